"""The attacks as an evaluation calls them, and what they must keep to."""

import math

import pytest
import torch

from defences import Blocked
from networks import CountRows, linear_network
from sense import attacks
from sense.evaluation import runner as module
from sense.evaluation.runner import (
    NATURAL,
    Attack,
    attack_images,
    attackable,
    build_attack,
    build_suite,
    predict,
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
    told = attack.plain()
    assert (told["eps"], told["norm"]) == (eps, f"{norm:g}")
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


def test_what_is_told_of_an_attack(network):
    told = build_attack("pgd", SETTINGS).plain()
    assert told == {
        "label": "PGD-3 x 2",
        "steps": 3,
        "step_size": 0.04,
        "restarts": 2,
        "eps": 0.1,
        "norm": "inf",
    }
    assert NATURAL.plain() == {"label": "natural"}
    told = build_attack("transfer", SETTINGS, source=network).plain()
    assert len(told["source_sha256"]) == 64
    assert [attack.name for attack in build_suite(SETTINGS.complete(None, None))] == ["pgd"]


def test_transfer_makes_its_images_on_the_source(network, images):
    x, y = images
    source, victim = CountRows(network), CountRows(network)
    build_attack("transfer", SETTINGS, source=source)(victim, x, y, 0)
    assert (source.rows, victim.rows) == (3 * 12, 0)


def test_an_image_that_fell_is_not_attacked_again():
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
def test_a_cheating_attack_is_not_believed(network, attack, message):
    x = torch.full((3, 1, 8, 8), 0.05)
    cheat = Attack("pgd", "PGD", attack, 0.1, math.inf)
    with pytest.raises(ArithmeticError, match=message):
        attack_images(cheat, network, x, predict(network, x), predict(network, x), 0)


def test_predictions_are_made_in_evaluation_mode_whatever_an_attack_left(images):
    x, _ = images
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.9), torch.nn.Linear(64, 5))
    expected = predict(network, x)

    def careless(model, x, y, **ball):
        model.train()
        return x

    cheat = Attack("pgd", "PGD", careless, 0.1, math.inf)
    assert torch.equal(attack_images(cheat, network, x, expected, expected, 0), expected)


def test_nan_is_no_prediction(images):
    with pytest.raises(FloatingPointError, match="gives a logit of nan, first for image 0"):
        predict(
            torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3)), images[0] * torch.nan
        )


def test_a_network_that_cannot_be_evaluated_is_refused_before_time_is_spent(network, images):
    x, y = images
    pgd = [build_attack("pgd", SETTINGS)]
    attackable(network, x, y, pgd)
    with pytest.raises(ValueError, match=r"logits of shape \(2, classes\), .* gave \(2, 1, 8, 8\)"):
        attackable(torch.nn.Identity(), x, y, pgd)
    with pytest.raises(ValueError, match="labels up to 7, the network gives 5 logits"):
        attackable(network, x, y * 0 + 7, pgd)
    with pytest.raises(ValueError, match=r"gives no gradients .*which pgd needs"):
        attackable(Blocked(network), x, y, pgd)
    attackable(Blocked(network), x, y, [])


def test_an_absent_package_is_named(monkeypatch):
    monkeypatch.setattr(module, "has_pyautoattack", lambda: False)
    with pytest.raises(
        ImportError, match=r"autoattack needs the package pyautoattack: pip install"
    ):
        build_attack("autoattack", SETTINGS)


def test_deepfool_has_no_l1():
    with pytest.raises(ValueError, match="deepfool knows the norms inf and 2, not 1"):
        build_attack("deepfool", Settings(eps=1.0, norm="1"))
