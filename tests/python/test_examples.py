"""Adversarial examples to look at: the stored pixels are those of the network."""

import json

import pytest
import torch
from torch import nn

from sense.data import ImageData
from sense.evaluation.examples import EXAMPLES, make_examples, settings_of, write_examples
from sense.evaluation.runner import build_attack, worst_images
from sense.evaluation.settings import Settings
from sense.evaluation.targets import Target

W = torch.tensor([[1.0, -2.0, 0.5, 1.0, 0.0, -1.0]])


class Linear(nn.Module):
    """Logits 0 and w.x of 2 x 3 pixels."""

    def forward(self, x):
        score = (x.flatten(1) * W).sum(1)
        return torch.stack([torch.zeros_like(score), score], 1)


@pytest.fixture
def target(tmp_path):
    x = torch.tensor(
        [
            [0.5, 0.2, 0.5, 0.5, 0.5, 0.5],  # w.x = 0.35: class 1
            [1.0, 0.0, 1.0, 1.0, 1.0, 0.0],  # w.x = 2.5: class 1, beyond eps = 0.1
            [0.5, 0.5, 0.5, 0.5, 0.5, 0.5],  # w.x = -0.25: class 0, labelled 1
        ]
    ).view(3, 1, 2, 3)
    y = torch.tensor([1, 1, 1])
    data = ImageData("toy", x, y, x, y, ("no", "yes"))
    return Target("toy", "object", "linear", Linear(), data, tmp_path, None)


def options(**changes):
    return Settings(
        attacks=("pgd",), eps=0.1, norm="inf", steps=5, restarts=2, step_size=0.05, **changes
    )


def test_the_examples_of_a_linear_network_are_the_closed_form(target):
    found = make_examples(target, options(), n=3)
    x, x_adv = torch.tensor(found["x"]), torch.tensor(found["x_adv"])
    assert torch.equal(x, target.data.test_x.flatten(1))
    best = (x - 0.1 * W.sign()).clamp(0, 1)
    seen = W[0] != 0  # a pixel without weight stays at its random start
    assert torch.allclose(x_adv[:2][:, seen], best[:2][:, seen], atol=1e-6)
    assert torch.equal(x_adv[2], x[2]), "misclassified as it is: not attacked"
    images = found["images"]
    assert images["image"] == [0, 1, 2]
    assert images["label"] == [1, 1, 1]
    assert images["prediction"] == [1, 1, 0]
    assert images["attacked"] == [0, 1, 0]
    expected = torch.sigmoid((x_adv * W).sum(1))
    expected = torch.where(torch.tensor(images["attacked"]) == 1, expected, 1 - expected)
    assert images["attacked_probability"] == pytest.approx(expected.tolist(), abs=1e-5)
    assert found["attack"]["label"] == "PGD-5 x 2"
    assert found["shape"] == [1, 2, 3]
    assert found["classes"] == ["no", "yes"]


def test_the_predictions_are_those_of_the_images(target):
    settings = options()
    x, y = target.data.test_x, target.data.test_y
    found, predictions = worst_images(
        build_attack("pgd", settings), target.model, x, y, target.model(x).argmax(1), 0
    )
    assert torch.equal(target.model(found).argmax(1), predictions)
    assert predictions.tolist() == [0, 1, 0]


def test_the_content_is_plain_json_and_reproducible(target, locked, tmp_path):
    found = make_examples(target, options(), n=2)
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    assert make_examples(target, options(), n=2) == found
    assert torch.equal(torch.random.get_rng_state(), before)
    write_examples(locked, found)
    assert json.loads((tmp_path / EXAMPLES).read_text()) == found


@pytest.mark.parametrize(
    ("settings", "n", "message"),
    [
        (
            Settings(attacks=("fgsm", "pgd"), eps=0.1),
            1,
            "exactly one attack, got fgsm pgd",
        ),
        (Settings(attacks=("natural",), eps=0.1), 1, "exactly one attack, got none"),
        (
            Settings(attacks=("pgd",), eps=0.1),
            4,
            "from 1 to 3, the number of test images, got 4",
        ),
        (Settings(attacks=("pgd",), eps=0.1), 0, "got 0"),
        (Settings(attacks=("pgd",)), 1, "the target has no eps"),
    ],
)
def test_options_that_do_not_fit_are_refused(target, settings, n, message):
    with pytest.raises(ValueError, match=message):
        make_examples(target, settings, n=n)


def test_the_attack_is_that_of_the_evaluation():
    entry = {"steps": 7, "restarts": 3, "step_size": 0.02, "eps": 0.2, "norm": "2", "label": "x"}
    content = {"options": {"eps": 0.2, "norm": "2", "seed": 4}, "attacks": {"pgd": entry}}
    settings = settings_of(content)
    assert (settings.steps, settings.restarts, settings.step_size) == (7, 3, 0.02)
    assert (settings.eps, settings.norm, settings.seed) == (0.2, "2", 4)
    content["attacks"] = {"fgsm": {}}
    assert settings_of(content) == Settings(attacks=("pgd",), eps=0.2, norm="2", seed=4)


def test_by_default_at_most_all_images_are_taken(target):
    assert make_examples(target, options())["images"]["image"] == [0, 1, 2]
