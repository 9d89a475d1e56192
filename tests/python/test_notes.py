"""Notes on unusual options, and the marks of options with the methods that use them."""

from dataclasses import fields, replace

import pytest
import torch

from networks import conv_network, images_and_labels
from sense.config import RECIPES, Config, default_recipe, from_plain, notes
from sense.config.options import used_by
from sense.methods import METHODS, Batch, build_method
from sense.train import fit

PLAIN = Config()


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_have_no_notes(name):
    assert notes(RECIPES[name]) == []


UNUSUAL = [
    ({"method": "sense", "beta": 3.0}, "beta has no effect with method sense"),
    ({"method": "r-at", "c": 0.5}, "c has no effect with method r-at"),
    ({"method": "nt", "boundary": "bisect"}, "boundary has no effect with method nt"),
    ({"method": "trades", "gamma": 0.1}, "gamma has no effect with method trades"),
    ({"bisections": 3}, "bisections has no effect with boundary revert"),
    ({"l2_form": "published"}, "l2_form has no effect with norm inf"),
    ({"optimizer": "adam", "momentum": 0.5}, "momentum has no effect with optimizer adam"),
    ({"lr_decay": 0.5}, "lr_decay has no effect with schedule constant"),
    (
        {"lr_decay": 0.5, "schedule": "step", "milestones": (3,), "milestone_lrs": (0.1,)},
        "lr_decay has no effect with milestone_lrs",
    ),
    ({"milestones": (3,)}, "milestones has no effect with schedule constant"),
    (
        {"method": "sense-trades", "natural_weight": 0.0, "label_smoothing": 0.1},
        "label_smoothing has no effect with natural_weight 0",
    ),
    ({"awp_warmup": 3}, "awp_warmup has no effect with awp 0"),
    ({"eps_start": 0.1}, "eps_start has no effect with eps_ramp 0"),
    (
        {"monitor_size": 9, "validation_size": 9},
        "monitor_size has no effect with validation images",
    ),
    ({"step_size": 0.4}, r"step_size 0.4 is larger than eps 0.3"),
    ({"steps": 2}, "steps x step_size is 0.1, less than eps 0.3"),
    ({"eps": 0.0}, "eps is 0, so sense trains on no adversarial images"),
    ({"c": 1.0}, "c is 1, so no image is attacked"),
    ({"c": 0.0}, "c is 0, so no step is reverted"),
    ({"dataset": "cifar10"}, "eps 0.3 is large for colour images"),
]


@pytest.mark.parametrize(
    ("change", "expected"), UNUSUAL, ids=[str(change) for change, _ in UNUSUAL]
)
def test_unusual_options_have_a_note_of_one_line(change, expected):
    found = notes(replace(PLAIN, **change))
    assert any(line.startswith(expected) for line in found), found
    assert all("\n" not in line for line in found)


def test_three_channels_are_colour_images():
    assert notes(PLAIN) == []
    assert "large for colour images" in notes(PLAIN, channels=3)[0]


def test_a_train_size_of_more_than_all_images_has_a_note(tmp_path, few, tiny, capsys):
    assert notes(replace(PLAIN, train_size=300), images=300) == []
    expected = "train_size 20000 is more than the 250 training images, all of which are used"
    config = replace(tiny, train_size=20_000, validation_size=50)
    assert expected in notes(config, images=250)
    fit(config, tmp_path / "run", data=few, show=True)
    assert f"note: {expected}" in capsys.readouterr().err


@pytest.mark.parametrize(("dataset", "channels"), [("cifar10", None), ("arrays", 3)])
def test_defaults_follow_the_data(dataset, channels):
    config = default_recipe(dataset, channels)
    assert (config.eps, config.step_size, config.model) == (8 / 255, 2 / 255, "cifar-cnn-2")
    assert config.dataset == dataset
    assert config.train_size is None
    for grey in (default_recipe("mnist"), default_recipe("arrays", 1), default_recipe(None)):
        assert (grey.eps, grey.model) == (0.3, "capacity-3")
    assert from_plain({"dataset": "cifar10"}).eps == 8 / 255
    assert from_plain({"dataset": "cifar10", "eps": 0.1}).eps == 0.1
    assert from_plain({"dataset": "mnist"}).eps == 0.3


# Another value of each option that is marked.
CHANGES = {
    "c": 0.9,
    "stage_test": "start",
    "boundary": "bisect",
    "bisections": 1,
    "l2_form": "published",
    "warmup": 5,
    "natural_weight": 0.7,
    "beta": 2.0,
    "d_max": 0.2,
    "eps_min": 0.15,
    "gamma": 0.2,
    "radius_rate": 0.9,
    "radius_max": 0.01,
    "fgsm_step": 0.11,
    "noise_scale": 1.1,
    "replays": 3,
    "random_start": True,
    "attack_mode": "training",
    "eps_ramp": 9.0,
    "eps_start": 0.02,
    "label_smoothing": 0.1,
}


def loss(config):
    network = conv_network(classes=5)
    x, y = images_and_labels(network, 24, 1, 8, 8)
    method = build_method(config, 24)
    torch.manual_seed(5)
    found = []
    for epoch in (0, 7, 20):
        found.append(method(network, Batch(x, y, torch.arange(24)), epoch).loss)
        found[-1].backward()  # with free it moves the images
    return torch.stack([*found, torch.tensor(float(method.replays))]).detach()


@pytest.mark.parametrize("option", CHANGES)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_does_not_depend_on_options_not_marked_for_it(method, option):
    base = Config(method=method, c=0.3, eps=0.2, step_size=0.07, steps=3)
    if option == "eps_start":
        base = base if method in ("mma", "iaat") else replace(base, eps_ramp=9.0)
    if option in ("eps_ramp", "eps_start") and method in ("mma", "iaat"):
        return  # refused, or without effect since it has no eps_ramp
    if option == "label_smoothing" and method == "mart":
        return  # refused
    changed = replace(base, **{option: CHANGES[option]})
    if method not in used_by(option):
        assert torch.equal(loss(base), loss(changed))


@pytest.mark.parametrize(
    ("option", "method"),
    [(option, method) for option in CHANGES for method in used_by(option)],
)
def test_a_method_depends_on_each_option_marked_for_it(option, method):
    base = Config(method=method, c=0.3, eps=0.2, step_size=0.07, steps=3)
    if option in ("bisections",):
        base = replace(base, boundary="bisect")
    if option == "stage_test":
        base = replace(base, random_start=True)
    if option == "l2_form":
        base = replace(base, norm="2", eps=1.5, step_size=0.5, random_start=True)
    if option == "eps_start":
        base = replace(base, eps_ramp=9.0)
    if option == "random_start":
        changed = replace(base, random_start=method != "r-at")
    else:
        changed = replace(base, **{option: CHANGES[option]})
    assert not torch.equal(loss(base), loss(changed))


def test_every_marked_option_is_tested():
    marked = {field.name for field in fields(Config) if used_by(field.name) is not None}
    assert marked == set(CHANGES)
