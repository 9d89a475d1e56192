import pytest
import torch

from defences import Noisy, Saturated
from diagnosed import FEW, case, honest_network, told
from sense.evaluation.case import Check
from sense.evaluation.diagnostic_report import CHECKS, DiagnosticReport, run_diagnostics

NAMES = [
    "chance",
    "one-class",
    "randomness",
    "probabilities",
    "zero-gradients",
    "large-eps",
    "one-step",
    "gradient-free",
    "convergence",
    "stronger-attack",
]


@pytest.fixture(scope="module")
def honest(trained):
    return honest_network(trained)


def test_every_sign_is_looked_for_once_and_a_defence_is_found_out(honest):
    verdict = run_diagnostics(case(Noisy(Saturated(honest[0])), honest, "pgd", n=FEW, queries=20))
    assert [check.check for check in verdict.checks] == NAMES
    assert len(verdict.checks) == len(CHECKS)
    found = {check.check for check in verdict.warnings}
    assert {"randomness", "zero-gradients"} <= found
    assert "probabilities" not in found
    assert verdict.seconds > 0


def test_as_json_has_it():
    verdict = DiagnosticReport(5, 0.12345, (Check("randomness", "ok", 0.0, 1e-4, "the same"),))
    assert verdict.plain() == {
        "images": 5,
        "seconds": 0.123,
        "checks": [
            {
                "check": "randomness",
                "verdict": "ok",
                "value": 0.0,
                "threshold": 1e-4,
                "text": "the same",
            }
        ],
    }
    assert verdict.warnings == []


class Constant(torch.nn.Module):
    """One class for all images, as a network that has collapsed: its gradients are zero."""

    def forward(self, x):
        return torch.arange(10.0, 0.0, -1.0).expand(len(x), 10) + 0 * x.sum()


def test_a_network_that_collapsed_is_named_and_its_attacks_are_not_blamed():
    labels = torch.arange(100) % 10
    right = (labels == 0).tolist()
    constant = told({"natural": right, "pgd": right}, labels, 0 * labels)
    verdict = run_diagnostics(
        constant.__class__(
            **{**vars(constant), "model": Constant(), "images": torch.rand(100, 1, 4, 4)}
        )
    )
    assert [check.check for check in verdict.warnings] == ["chance", "one-class"]
    left = [check for check in verdict.checks if check.verdict == "skipped"]
    assert [check.check for check in left] == NAMES[4:]
    assert {check.text for check in left} == {"the network itself is at fault (chance)"}


def test_where_nothing_is_right_chance_alone_is_warned_of(honest):
    model, _, y = honest
    some = case(model, honest)
    wrong = vars(some) | {
        "labels": (y + 1) % 10,
        "right": {"natural": torch.zeros(len(y), dtype=torch.bool)},
        "where": torch.tensor([], dtype=torch.long),
    }
    verdict = run_diagnostics(some.__class__(**wrong))
    assert [check.check for check in verdict.warnings] == ["chance"]
    assert verdict.images == 0


@pytest.mark.parametrize("n", [1, 3])
def test_on_a_few_images_nothing_is_said_of_shares(honest, n):
    verdict = run_diagnostics(case(honest[0], honest, "pgd", n=n))
    said = {check.check: check.verdict for check in verdict.checks}
    assert said == {
        name: "ok" if name in ("randomness", "probabilities") else "skipped" for name in NAMES
    }
