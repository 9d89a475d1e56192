import torch

from defences import Noisy, Saturated
from sense.evaluation.batches import attack_batches, cut
from sense.evaluation.judgement import Judgement, judge
from sense.evaluation.outcomes import Record
from sense.evaluation.settings import Settings
from sense.evaluation.signs import CHECKS, IMAGES, Case, Check
from sense.evaluation.suite import NATURAL, build_suite
from sense.runs import load_model


def case_of(model, data, n=90):
    settings = Settings(eps=0.05, steps=5, restarts=1, queries=30, batch=40).complete(None, None)
    batches = cut(range(n), data.test_x, data.test_y, 40, torch.device("cpu"))
    record = Record(range(n), data.test_y[:n].tolist(), 40)
    for attack in (NATURAL, *build_suite(settings)):
        list(attack_batches(attack, model, batches, settings, record))
    return Case.of(model, batches, settings, record), record


def test_the_images_judged_are_the_first_that_are_naturally_right(trained):
    folder, data = trained
    case, record = case_of(load_model(folder), data)
    right = [i for i, fine in enumerate(record.standing(["natural"])) if fine]
    assert list(case.where) == right[:IMAGES]
    assert torch.equal(case.y, data.test_y[right[:IMAGES]])
    assert torch.equal(case.x, data.test_x[right[:IMAGES]].float() / 255)
    assert case.right["pgd"].tolist() == record.standing(["pgd"])
    assert case.standing(["pgd"]).tolist() == [record.standing(["pgd"])[i] for i in case.where]


def test_every_sign_is_looked_for_once_and_a_defence_is_found_out(trained):
    folder, data = trained
    torch.manual_seed(0)
    verdict = judge(case_of(Noisy(Saturated(load_model(folder))), data)[0])
    assert [check.check for check in verdict.checks] == [
        "randomness", "probabilities", "zero-gradients", "large-eps", "one-step", "gradient-free",
        "convergence", "stronger-attack",
    ]  # fmt: skip
    assert len(verdict.checks) == len(CHECKS)
    found = {check.check for check in verdict.warnings}
    assert {"randomness", "zero-gradients"} <= found
    assert "probabilities" not in found
    assert verdict.seconds > 0


def test_as_json_has_it():
    verdict = Judgement(5, 0.12345, (Check("randomness", "ok", 0.0, 1e-4, "the same"),))
    assert verdict.plain() == {
        "images": 5, "seconds": 0.123,
        "checks": [{"check": "randomness", "verdict": "ok", "value": 0.0, "threshold": 1e-4,
                    "text": "the same"}],
    }  # fmt: skip
    assert verdict.warnings == []


def test_where_nothing_is_right_nothing_is_judged(trained):
    folder, data = trained
    case, _ = case_of(load_model(folder), data)
    nothing = Case(case.model, case.x[:0], case.y[:0], [], case.settings, case.right)
    assert judge(nothing).checks == ()
