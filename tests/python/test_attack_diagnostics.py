"""Each warning of an attack that was too weak has an evaluation that deserves it, and one that does
not."""

from dataclasses import replace

import pytest

from defences import Quantised, Rippled, Saturated
from diagnosed import FEW, N, case, honest_network, told
from sense.attacks import autoattack_with_verdicts
from sense.evaluation import attack_diagnostics as signs
from sense.evaluation.case import FEWEST

DESERVED = {
    "one step, counted": (signs.one_step, Rippled, ("fgsm", "pgd"), {}),
    "one step, tried": (signs.one_step, Rippled, ("pgd",), {}),
    "gradient-free, counted": (signs.gradient_free, Quantised, ("pgd", "square"), {}),
    "gradient-free, tried": (signs.gradient_free, Quantised, ("pgd",), {}),
    "convergence": (signs.convergence, None, ("pgd",), {"steps": 3, "step_size": 0.01}),
    "stronger, counted": (signs.stronger_attack, Saturated, ("pgd", "margin-pgd"), {}),
    "stronger, tried": (signs.stronger_attack, None, ("pgd",), {"steps": 1, "step_size": 0.001}),
}
NEEDS_SQUARE = ("gradient-free",)
ALL = (signs.one_step, signs.gradient_free, signs.convergence, signs.stronger_attack)


@pytest.fixture(autouse=True)
def _only_quick_parts(monkeypatch):
    """The slowest of AutoAttack's parts are never needed here."""
    monkeypatch.setattr(signs, "BY_GRADIENT", signs.APGD)
    monkeypatch.setattr(signs, "APGD", ("apgd-ce",))


@pytest.fixture(scope="module")
def honest(trained):
    return honest_network(trained)


@pytest.mark.parametrize("which", DESERVED)
def test_who_deserves_it_is_warned_and_the_honest_network_is_not(honest, which):
    check, defence, attacks, options = DESERVED[which]
    if which.startswith(NEEDS_SQUARE):
        pytest.importorskip("pyautoattack")
    model = honest[0]
    network = defence(model) if defence else model
    found = check(case(network, honest, *attacks, **options, n=FEW if defence else N))
    assert found.verdict == "warning", found
    assert found.value > found.threshold
    fine = check(
        case(model, honest, *attacks, n=FEW)
        if defence
        else case(model, honest, "pgd", eps=0.05, steps=30)
    )
    assert fine.verdict == "ok", fine
    assert found.text != fine.text


def test_what_autoattack_breaks_by_gradient_is_no_sign_of_masking(honest):
    """PGD cannot move where logits are saturated: Square breaks what it leaves; so does APGD."""
    pytest.importorskip("pyautoattack")
    hidden = case(Saturated(honest[0]), honest, "pgd", "square", n=FEW, eps=0.2)
    broken = hidden.right["pgd"] & ~hidden.right["square"]
    assert int(broken.sum()) > 5
    by_gradient = autoattack_with_verdicts(
        hidden.model, hidden.x[broken], hidden.y[broken], eps=0.2, parts=("apgd-ce", "apgd-t")
    )
    assert None not in by_gradient.broken_by
    found = signs.gradient_free(hidden)
    assert (found.verdict, found.value) == ("ok", 0.0)
    assert "APGD and FAB all but 0 of these" in found.text


def test_only_so_many_images_are_given_to_autoattack(honest, monkeypatch):
    """The images looked at end where enough are broken, and with them the share's denominator."""
    monkeypatch.setattr(signs, "BEYOND", 4)
    hidden = case(Quantised(honest[0]), honest, "pgd", "square")
    looked, images, before = signs._broken_by_square(hidden, hidden.everything, ["pgd"])
    broken = (hidden.right["pgd"] & ~hidden.right["square"]).nonzero().squeeze(1)
    assert images.tolist() == broken[:4].tolist()
    assert looked == (int(broken[3]) + 1, 1.0)
    assert before == int(hidden.right["pgd"][: looked.n].sum())


def test_points_are_of_all_images_where_only_some_were_looked_at(honest):
    """30 of 60 naturally right images fall, of 240 evaluated: 12.5 points, not 50."""
    right = {"natural": [1] * 60 + [0] * 180, "pgd": [1] * 60 + [0] * 180}
    some = told(right)
    assert signs.check_stronger(30, 60, some.some, [], "another").value == pytest.approx(0.125)
    text = signs.check_stronger(30, 60, some.some, [], "another").text
    assert "30 of 60 images that stand under PGD fall to another: PGD overstates" in text
    assert "12.5 points [" in text


def test_what_was_counted_is_told_by_those_that_stand_and_by_all():
    """63 of the 1231 of 2000 images that stand: 3.1 points."""
    natural = [1] * 1893 + [0] * 107
    pgd, auto = [1] * 1231 + [0] * 769, [1] * 1168 + [0] * 832
    found = signs.stronger_attack(told({"natural": natural, "pgd": pgd, "autoattack": auto}))
    assert found.verdict == "warning"
    assert found.value == pytest.approx(63 / 2000)
    assert "63 of 1231 images that stand under PGD fall to autoattack" in found.text
    assert "by 3.1 points [2.4, 4.0] of the accuracy over all images" in found.text


def test_what_cannot_be_judged_says_why(honest):
    nothing = case(honest[0], honest)
    for check in ALL:
        found = check(nothing)
        assert (found.verdict, found.value, found.threshold) == ("skipped", None, None)
        assert "was not tried" in found.text or "was tried" in found.text


@pytest.mark.parametrize("n", [1, 3, FEWEST - 1])
@pytest.mark.parametrize("attacks", [("pgd",), ("fgsm", "pgd", "margin-pgd", "square")])
def test_a_few_images_are_skipped(honest, n, attacks):
    few = case(Saturated(honest[0]), honest, *attacks, n=n, queries=20)
    for check in ALL:
        found = check(few)
        assert (found.verdict, found.value) == ("skipped", None), found
        assert int(found.text.split()[0]) <= n


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
def test_a_cascade_in_the_wrong_order_is_skipped(honest, check, attacks):
    """What the first one broke the second did not see."""
    some = case(honest[0], honest, "pgd", cascade=True)
    rights = {"natural": some.right["natural"]} | {name: some.right["pgd"] for name in attacks}
    assert check(replace(some, right=rights)).verdict == "skipped"
    turned = {"natural": some.right["natural"]} | {
        name: some.right["pgd"] for name in reversed(attacks)
    }
    assert check(replace(some, right=turned)).verdict == "ok"


def test_without_pyautoattack_another_attack_stands_in(honest, monkeypatch):
    monkeypatch.setattr(signs, "has_pyautoattack", lambda: False)
    hidden = case(Saturated(honest[0]), honest, "pgd")
    assert "fall to targeted PGD" in signs.stronger_attack(hidden).text
    assert "needs the package" in signs.gradient_free(hidden).text
