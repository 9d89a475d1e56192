"""Each warning has a network, or an evaluation, that deserves it, and one that does not."""

import re
from dataclasses import replace

import pytest
import torch

from conftest import ROOT
from defences import Blocked, Noisy, Quantised, Rippled, Saturated, Softmax
from sense.data import to_float
from sense.evaluation import signs
from sense.evaluation.settings import Settings
from sense.evaluation.signs import Case
from sense.evaluation.suite import attack_images, build_attack, predict
from sense.runs import load_model

N = 60


@pytest.fixture(scope="module")
def honest(trained):
    """The plain network, which deserves no warning; its images are all naturally right."""
    folder, data = trained
    model = load_model(folder)
    x, y = to_float(data.test_x[:120]), data.test_y[:120]
    # Of whole grey levels in float32 too, and right by a margin that noise does not undo.
    sure = model(x).softmax(1).gather(1, y.unsqueeze(1)).squeeze(1) > 0.7
    return model, x[sure][:N], y[sure][:N]


def case(network, honest, *attacks, **options):
    """What is to be judged after these attacks."""
    _, x, y = honest
    settings = Settings(**{"eps": 0.1, "steps": 10, "restarts": 2, "queries": 100, **options})
    settings = settings.complete(None, None)
    network.eval()
    right = {"natural": torch.ones(N, dtype=torch.bool)}
    for name in attacks:
        torch.manual_seed(1)
        after = attack_images(build_attack(name, settings), network, x, y, y, 0)
        right[name] = after == y
    torch.manual_seed(2)
    return Case(network, x, y, range(N), settings, right)


DESERVED = {
    "randomness": (signs.randomness, Noisy, (), {}),
    "probabilities": (signs.probabilities, Softmax, (), {}),
    "zero gradients: levels": (signs.zero_gradients, Quantised, (), {}),
    "zero gradients: logits": (signs.zero_gradients, Saturated, (), {}),
    "large eps: levels": (signs.large_eps, Quantised, (), {}),
    "large eps: logits": (signs.large_eps, Saturated, (), {}),
    "one step, counted": (signs.one_step, Rippled, ("fgsm", "pgd"), {}),
    "one step, tried": (signs.one_step, Rippled, ("pgd",), {}),
    "gradient-free, counted": (signs.gradient_free, Rippled, ("pgd", "square"), {}),
    "gradient-free, tried": (signs.gradient_free, Quantised, ("pgd",), {}),
    "convergence": (signs.convergence, None, ("pgd",), {"steps": 3, "step_size": 0.01}),
    "stronger, counted": (signs.stronger_attack, Saturated, ("pgd", "margin-pgd"), {}),
    "stronger, tried": (signs.stronger_attack, Saturated, ("pgd",), {}),
}
NEEDS_SQUARE = ("gradient-free",)


@pytest.mark.parametrize("which", DESERVED)
def test_who_deserves_it_is_warned_and_the_honest_network_is_not(honest, which):
    check, defence, attacks, options = DESERVED[which]
    if which.startswith(NEEDS_SQUARE):
        pytest.importorskip("pyautoattack")
    model = honest[0]
    found = check(case(defence(model) if defence else model, honest, *attacks, **options))
    assert found.verdict == "warning", found
    assert found.value > found.threshold
    if defence is not None:
        fine = check(case(model, honest, *attacks, **options))
    else:
        fine = check(case(model, honest, *attacks))
    assert fine.verdict == "ok", fine
    assert fine.value <= fine.threshold
    assert found.text != fine.text


def test_the_honest_network_is_not_robust_at_all_to_what_the_defences_hide(honest):
    """The defences change hardly any prediction, and PGD breaks what they wrap far more often."""
    model, x, y = honest
    for defence in (Quantised, Saturated, Rippled):
        assert (predict(defence(model), x) == y).float().mean() > 0.7
        hidden = case(defence(model), honest, "pgd").right["pgd"].float().mean()
        assert hidden > case(model, honest, "pgd").right["pgd"].float().mean() + 0.1


def test_a_network_without_gradients_is_told(honest):
    found = signs.zero_gradients(case(Blocked(honest[0]), honest))
    assert (found.verdict, found.value) == ("warning", 1.0)
    assert "no gradients at all" in found.text


def test_what_cannot_be_judged_says_why(honest):
    model = honest[0]
    nothing = case(model, honest)
    for check in (signs.one_step, signs.gradient_free, signs.convergence, signs.stronger_attack):
        found = check(nothing)
        assert (found.verdict, found.value, found.threshold) == ("not judged", None, None)
        assert "was not tried" in found.text or "was tried" in found.text


def test_where_nothing_stands_more_steps_break_nothing(honest):
    lost = case(honest[0], honest, "pgd", eps=0.9)
    assert not lost.right["pgd"].any()
    assert signs.convergence(lost).text == "no image stands that more steps could break"


@pytest.mark.parametrize(
    ("check", "attacks"),
    [
        (signs.one_step, ("fgsm", "pgd")),
        (signs.gradient_free, ("square", "pgd")),
        (signs.stronger_attack, ("margin-pgd", "pgd")),
    ],
)
def test_a_cascade_in_the_wrong_order_is_not_judged(honest, check, attacks):
    """What the first one broke the second did not see."""
    some = case(honest[0], honest, "pgd", cascade=True)
    rights = {"natural": some.right["natural"]} | {name: some.right["pgd"] for name in attacks}
    assert check(replace(some, right=rights)).verdict == "not judged"
    turned = {"natural": some.right["natural"]} | {
        name: some.right["pgd"] for name in reversed(attacks)
    }
    assert check(replace(some, right=turned)).verdict == "ok"


def test_thresholds_are_those_of_autoattack():
    """checks.py of fra31/auto-attack: alpha = 1e-4, 1e-5, any point, .002."""
    assert signs.LOGITS_DIFFER == 1e-4
    assert signs.SUM_IS_ONE == 1e-5
    assert signs.FLAT == 0
    assert signs.NO_GRADIENT_BETTER == 0.002


def test_the_thresholds_shown_are_those_used():
    shown = re.findall(r"^\| `([a-z-]+)` \| .* \| ([\d.]+) \|$",
                       (ROOT / "docs/evaluation.md").read_text(), re.MULTILINE)  # fmt: skip
    assert {name: float(value) for name, value in shown} == {
        "randomness": signs.LOGITS_DIFFER, "probabilities": signs.PROBABLE,
        "zero-gradients": signs.FLAT, "large-eps": signs.RIGHT_AT_LARGE_EPS,
        "one-step": signs.ONE_STEP_BETTER, "gradient-free": signs.NO_GRADIENT_BETTER,
        "convergence": signs.RISING, "stronger-attack": signs.STRONGER_BETTER,
    }  # fmt: skip
    text = (ROOT / "docs/evaluation.md").read_text()
    assert f"first {signs.IMAGES} images" in text
    assert f"{signs.PASSES} passes" in text
    assert f"{signs.STEPS} steps of\nPGD (`large-eps`)" in text
    assert f"{signs.QUERIES:,} queries" in text
    assert f"{signs.TARGET_STEPS} steps towards" in text
    assert f"rises by more than {signs.LOSS_RISES}" in text
