"""The attacks of an evaluation, and running them batch by batch."""

import math
from dataclasses import replace

import pytest
import torch

from defences import Blocked
from networks import CountRows, linear_network
from sense import attacks
from sense.evaluation import runner as module
from sense.evaluation.batch_size import BatchSize
from sense.evaluation.outcomes import OUTCOMES, Record
from sense.evaluation.runner import (
    NO_ATTACK,
    Attack,
    attack_images,
    build_attack,
    build_attacks,
    check_attackable,
    choose_images,
    end_of_batch,
    evaluated_images,
    first_misclassification,
    predict,
    run_attack,
)
from sense.evaluation.settings import ATTACKS, Settings

SETTINGS = Settings(eps=0.1, steps=3, restarts=2, step_size=0.04, queries=300, l2_eps=0.5)


@pytest.fixture
def network():
    torch.manual_seed(3)
    return torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 20), torch.nn.Tanh(), torch.nn.Linear(20, 5)
    ).eval()


@pytest.fixture
def images(network):
    x = 0.2 + 0.6 * torch.rand(12, 1, 8, 8)
    return x, predict(network, x)


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "natural"])
def test_each_attack_is_called_with_its_ball_and_options(network, images, name):
    if name in ("autoattack", "square"):
        pytest.importorskip("pyautoattack")
    x, y = images
    attack = build_attack(name, SETTINGS, source=network)
    x_adv = attack(network, x, y, 7)
    assert x_adv.shape == x.shape
    norm, eps = (2, 0.5) if name == "deepfool-l2" else (math.inf, 0.1)
    entry = attack.plain()
    assert (entry["eps"], entry["norm"]) == (eps, f"{norm:g}")
    distance = torch.linalg.vector_norm((x_adv - x).flatten(1), ord=norm, dim=1)
    assert distance.max() <= eps + 1e-5
    assert (predict(network, x_adv) != y).any()
    assert name.split("-")[-1] in attack.label.lower() or name == "autoattack"


@pytest.mark.parametrize(
    ("name", "function"),
    [("pgd", attacks.pgd), ("margin-pgd", attacks.margin_pgd), ("transfer", attacks.pgd)],
)
def test_a_restart_is_the_attack_itself(network, images, name, function):
    x, y = images
    attack = build_attack(name, SETTINGS, source=network)
    torch.manual_seed(5)
    mine = attack(network, x, y, 0)
    torch.manual_seed(5)
    assert torch.equal(mine, function(network, x, y, eps=0.1, step_size=0.04, steps=3))


@pytest.mark.parametrize(("l2_eps", "within"), [(None, 0.1), (0.5, 0.5)])
def test_l2_eps_is_the_radius_of_deepfool_l2_with_norm_2_too(l2_eps, within):
    settings = replace(SETTINGS, norm="2", l2_eps=l2_eps).complete(None, None)
    assert build_attack("deepfool-l2", settings).eps == within


def test_evaluation_json_has_the_options_of_an_attack(network):
    entry = build_attack("pgd", SETTINGS).plain()
    assert entry == {
        "label": "PGD-3 x 2",
        "steps": 3,
        "step_size": 0.04,
        "restarts": 2,
        "eps": 0.1,
        "norm": "inf",
    }
    assert NO_ATTACK.plain() == {"label": "natural"}
    entry = build_attack("transfer", SETTINGS, source=network).plain()
    assert len(entry["source_sha256"]) == 64
    assert [attack.name for attack in build_attacks(SETTINGS.complete(None, None))] == ["pgd"]


def test_transfer_attacks_the_source(network, images):
    x, y = images
    source, victim = CountRows(network), CountRows(network)
    build_attack("transfer", SETTINGS, source=source)(victim, x, y, 0)
    assert (source.rows, victim.rows) == (3 * 12, 0)


def test_a_misclassified_image_is_not_attacked_again():
    attacked = []

    def push(model, x, y, **ball):
        attacked.append(len(x))
        return torch.cat([torch.zeros_like(x[:1]), x[1:]])

    model = torch.nn.Sequential(torch.nn.Flatten(), linear_network(torch.ones(4)))
    x, y = torch.full((5, 1, 2, 2), 0.01), torch.tensor([1, 1, 1, 0, 0])
    attack = Attack("pgd", "PGD", push, 0.01, math.inf, restarts=5)
    after = attack_images(attack, model, x, y, predict(model, x), 0)
    assert attacked == [3, 2, 1]
    assert (after != y).all()


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (lambda model, x, y, **ball: 1 - x, "went to a distance of"),
        (lambda model, x, y, **ball: x - 0.1, "left the pixel bounds"),
        (lambda model, x, y, **ball: x + torch.nan, "NaN or infinite"),
    ],
)
def test_an_attack_that_breaks_its_rules_is_refused(network, attack, message):
    x = torch.full((3, 1, 8, 8), 0.05)
    cheat = Attack("pgd", "PGD", attack, 0.1, math.inf)
    with pytest.raises(ArithmeticError, match=message):
        attack_images(cheat, network, x, predict(network, x), predict(network, x), 0)


def test_predictions_are_made_in_evaluation_mode(images):
    x, _ = images
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.9), torch.nn.Linear(64, 5))
    expected = predict(network, x)

    def careless(model, x, y, **ball):
        model.train()
        return x

    cheat = Attack("pgd", "PGD", careless, 0.1, math.inf)
    assert torch.equal(attack_images(cheat, network, x, expected, expected, 0), expected)


def test_nan_logits_are_refused(images):
    with pytest.raises(FloatingPointError, match="gives a logit of nan, first for image 0"):
        predict(
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3)), images[0] * torch.nan
        )


def test_a_network_that_cannot_be_evaluated_is_refused_before_time_is_spent(network, images):
    x, y = images
    pgd = [build_attack("pgd", SETTINGS)]
    check_attackable(network, x, y, pgd)
    with pytest.raises(ValueError, match=r"logits of shape \(2, classes\), .* gave \(2, 1, 8, 8\)"):
        check_attackable(torch.nn.Identity(), x, y, pgd)
    with pytest.raises(ValueError, match="labels up to 7, the network gives 5 logits"):
        check_attackable(network, x, y * 0 + 7, pgd)
    with pytest.raises(ValueError, match=r"gives no gradients .*which pgd needs"):
        check_attackable(Blocked(network), x, y, pgd)
    check_attackable(Blocked(network), x, y, [])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(module, "has_pyautoattack", lambda: False)
    with pytest.raises(
        ImportError, match=r"autoattack needs the package pyautoattack: pip install"
    ):
        build_attack("autoattack", SETTINGS)


def test_deepfool_refuses_the_norm_1():
    with pytest.raises(ValueError, match="deepfool supports the norms inf and 2, got 1"):
        build_attack("deepfool", Settings(eps=1.0, norm="1"))


def test_the_first_n_images_or_a_random_draw():
    assert choose_images(100, None, None) == list(range(100))
    assert choose_images(100, 3, None) == [0, 1, 2]
    drawn = choose_images(100, 10, 5)
    assert drawn == choose_images(100, 10, 5) == sorted(set(drawn))
    assert drawn != choose_images(100, 10, 6)
    assert len(drawn) == 10
    assert choose_images(100, None, 5) == list(range(100))


@pytest.mark.parametrize("n", [0, -1, 101])
def test_n_out_of_range_is_refused(n):
    with pytest.raises(ValueError, match=f"from 1 to 100, the number of test images, got {n}"):
        choose_images(100, n, None)


def test_the_images_are_those_at_the_positions(few):
    found = evaluated_images([3, 50, 99], few.test_x, few.test_y, torch.device("cpu"))
    assert found.images == [3, 50, 99]
    assert torch.equal(found.x, few.test_x[[3, 50, 99]].float() / 255)
    assert found.y.tolist() == few.test_y[[3, 50, 99]].tolist()


def test_a_batch_has_a_number_of_images_to_attack():
    to_attack = [False, True, True, False, True, False, True]
    assert end_of_batch(to_attack, 0, 2) == 4
    assert end_of_batch(to_attack, 4, 1) == 6
    assert end_of_batch(to_attack, 2, 9) == end_of_batch([False] * 7, 3, 1) == 7


def line(n):
    """Images on a line: two classes, and the cross-entropy of PGD knows the way."""
    torch.manual_seed(4)
    model = torch.nn.Sequential(torch.nn.Flatten(), linear_network(torch.tensor([1.0, -1.0])))
    return model, torch.rand(n, 1, 1, 2), torch.randint(2, (n,))


def batch_settings(**options):
    return Settings(**{"eps": 0.2, "steps": 3, "restarts": 1, **options}).complete(None, None)


def run_attacks(record, model, images, chosen, names, most=99, size=4):
    """Run at most so many batches."""
    for name in names:
        attack = NO_ATTACK if name == "natural" else build_attack(name, chosen)
        for _ in run_attack(attack, model, images, chosen, record, BatchSize(size)):
            most -= 1
            if not most:
                return


@pytest.mark.parametrize("cascade", [False, True])
def test_interrupted_after_any_batch_the_outcomes_are_the_same(locked, cascade):
    model, x, y = line(10)
    chosen = batch_settings(cascade=cascade, attacks=("fgsm", "pgd"))
    images = evaluated_images(range(10), x, y, torch.device("cpu"))
    names = ("natural", "fgsm", "pgd")
    whole = Record(range(10), y.tolist())
    run_attacks(whole, model, images, chosen, names)
    for most in range(1, 9):
        locked.remove([OUTCOMES])
        run_attacks(Record(range(10), y.tolist(), locked), model, images, chosen, names, most)
        torch.rand(7)
        again = Record(range(10), y.tolist(), locked)
        run_attacks(again, model, images, chosen, names, size=3)
        assert again.outcomes() == whole.outcomes()


def test_each_attack_runs_on_correct_images_and_a_cascade_on_those_correct_so_far(monkeypatch):
    model, x, y = line(40)
    images = evaluated_images(range(40), x, y, torch.device("cpu"))
    for cascade in (False, True):
        chosen = batch_settings(cascade=cascade, attacks=("fgsm", "pgd"), eps=0.1)
        record, seen = Record(range(40), y.tolist()), []
        run_attacks(record, model, images, chosen, ("natural", "fgsm"), size=40)
        attack = build_attack("pgd", chosen)

        def look(model, x, y, *, function=attack.function, seen=seen, **options):
            seen.append(len(x))
            return function(model, x, y, **options)

        object.__setattr__(attack, "function", look)
        list(run_attack(attack, model, images, chosen, record, BatchSize(40)))
        correct = record.correct()
        natural, fgsm = int(correct["natural"].sum()), int(correct["fgsm"].sum())
        assert 0 < fgsm < natural
        assert seen == [fgsm if cascade else natural]
        # On a linear network PGD breaks the same images as FGSM.
        assert torch.equal(correct["fgsm"], correct["pgd"])


def test_the_first_successful_attack_gives_the_wrong_prediction():
    record = Record(range(3), [1, 1, 1])
    record.add("natural", [1, 1, 7])
    record.add("fgsm", [1, 4, 7])
    record.add("pgd", [5, 6, 1])
    assert first_misclassification(record, ["natural", "fgsm", "pgd"]) == [5, 4, 7]
    assert first_misclassification(record, ["natural"]) == [1, 1, 7]
