import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

from sense.config import RECIPES, Config, from_plain, recipe
from sense.evaluation.settings import Settings

BAD = [
    ("dataset", "cifar", "one of mnist-sample, mnist, cifar10, folder, arrays, table"),
    ("model", "resnet", "There are small-cnn"),
    ("model", 3, "text"),
    ("method", "pgd", "one of nt, r-at, sense, trades, mart, mma, iaat, sense-trades"),
    ("c", -0.1, "a probability, from 0 to 1"),
    ("c", 1.5, "a probability, from 0 to 1"),
    ("c", math.nan, "a probability, from 0 to 1"),
    ("c", "0.7", "a number"),
    ("eps", -0.3, "0 or more"),
    ("eps", math.nan, "0 or more"),
    ("eps", math.inf, "0 or more"),
    ("eps", 8.0, r"at most 1: pixels go from 0 to 1, got 8.0; 8/255 = 0.0314\?"),
    ("eval_eps", -0.1, "0 or more"),
    ("eval_eps", 8.0, r"at most 1: pixels go from 0 to 1, got 8.0; 8/255 = 0.0314\?"),
    ("step_size", 0.0, "more than 0"),
    ("step_size", math.inf, "more than 0"),
    ("fgsm_step", -0.1, "0 or more"),
    ("noise_scale", math.inf, "0 or more"),
    ("replays", 0, "a whole number >= 1"),
    ("eps_ramp", -1.0, "0 or more epochs"),
    ("eps_ramp", math.inf, "0 or more epochs"),
    ("eps_start", 0.0, "more than 0, at most eps, 0.3"),
    ("eps_start", 0.4, "more than 0, at most eps, 0.3"),
    ("nesterov", "yes", "true or false"),
    ("steps", 0, "a whole number >= 1"),
    ("steps", 2.5, "a whole number"),
    ("steps", True, "a whole number"),
    ("norm", "3", "one of inf, 2, 1"),
    ("random_start", "yes", "true or false"),
    ("stage_test", "end", "one of natural, start"),
    ("warmup", -1, "a whole number >= 0"),
    ("pretrain", -1, "a whole number >= 0"),
    ("epochs", 0, "a whole number >= 1"),
    ("batch_size", 0, "a whole number >= 1"),
    ("optimizer", "lion", "one of sgd, adam"),
    ("minutes", 0.0, "more than 0"),
    ("lr", 0.0, "more than 0"),
    ("lr", math.nan, "more than 0"),
    ("momentum", 1.0, "from 0 to less than 1"),
    ("weight_decay", -1.0, "0 or more"),
    ("schedule", "linear", "one of constant, step, cosine, one-cycle"),
    ("milestones", (80.5,), "whole numbers >= 0 .*fractions of the epochs between 0 and 1"),
    ("milestones", (math.inf,), "whole numbers >= 0"),
    ("milestones", ("a",), "a tuple, each a number"),
    ("milestones", (-0.5,), "whole numbers"),
    ("label_smoothing", 1.0, "from 0 to less than 1"),
    ("label_smoothing", -0.1, "from 0 to less than 1"),
    ("class_weights", (1.0, 0.0), "balanced, or numbers more than 0, one per class"),
    ("class_weights", "equal", "a tuple, each a number"),
    ("ema", 1.0, "from 0 to less than 1"),
    ("awp", -0.1, "0 or more"),
    ("awp_warmup", -1, "a whole number >= 0"),
    ("lr_decay", 0.0, "more than 0, at most 1"),
    ("lr_decay", 2.0, "more than 0, at most 1"),
    ("seed", -1, "a whole number"),
    ("seed", 2**32, "a whole number"),
    ("threads", 0, "a whole number >= 1"),
    ("monitor_size", 0, "a whole number >= 1"),
    ("validation_size", -1, "a whole number >= 0"),
    ("keep", "all", "one of last, best"),
    ("train_size", 0, "a whole number >= 1"),
    ("augment", "mixup", "one of none, reflect, zero, shift"),
    ("attack_mode", "train", "one of evaluation, training, published"),
    ("boundary", "turn", "one of revert, noise, bisect"),
    ("bisections", -1, "a whole number >= 0"),
    ("l2_form", "code", "one of paper, published"),
    ("natural_weight", -1.0, "0 or more"),
    ("beta", -6.0, "0 or more"),
    ("d_max", math.nan, "0 or more"),
    ("eps_min", -0.1, "0 or more"),
    ("gamma", "a", "a number"),
    ("radius_rate", 1.5, "from 0 to 1"),
    ("radius_max", -0.1, "0 or more"),
    ("precision", "fp8", "one of auto, float32, tf32, bfloat16"),
    ("cuda_graphs", "yes", "one of auto, off, on, compact"),
    ("milestone_lrs", (0.0,), "more than 0"),
]


@pytest.mark.parametrize(("option", "value", "expected"), BAD)
def test_the_error_has_the_option_its_value_and_what_is_allowed(option, value, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        from_plain({option: value})
    assert option in str(caught.value)
    assert (repr(value) if isinstance(value, str) else str(value)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_option_with_a_check_is_tested():
    free = {"data_dir", "device"}
    assert {option for option, *_ in BAD} == {option.name for option in fields(Config)} - free


def test_the_constructor_has_the_same_checks():
    with pytest.raises(ValueError, match="milestones must be"):
        Config(schedule="step", milestones=(80.5,))


def test_schedule_step_needs_milestones():
    with pytest.raises(ValueError, match="needs milestones, such as --milestones 80 140"):
        Config(schedule="step")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"milestone_lrs": (0.1,), "milestones": (1, 2)},
            r"one learning rate per milestone \(2\), got 1",
        ),
        (
            {"milestone_lrs": (0.1, 0.2), "milestones": (3, 1)},
            "milestones must be in increasing order with milestone_lrs, .* got 3 1$",
        ),
        (
            {"milestone_lrs": (0.1, 0.2), "milestones": (0.5, 3), "epochs": 10},
            r"increasing order with milestone_lrs, .* got 0\.5 3 \(epochs 5 3\)$",
        ),
        ({"method": "trades", "norm": "1"}, "norm must be inf or 2 with trades, got 1"),
        ({"method": "mma", "norm": "1"}, "norm must be inf or 2 with mma"),
        ({"method": "fgsm-rs", "norm": "1"}, "norm must be inf or 2 with fgsm-rs"),
        ({"method": "n-fgsm", "norm": "1"}, "norm must be inf or 2 with n-fgsm"),
        ({"method": "free", "norm": "1"}, "norm must be inf or 2 with free"),
        ({"method": "mma", "eps_min": 0.5}, "eps_min must be more than 0, at most d_max 0.45"),
        ({"method": "mma", "eps": 0.0}, "d_max must be more than 0"),
        ({"method": "mma", "eps_ramp": 2.0}, "eps_ramp must be 0 with mma"),
        ({"method": "iaat", "eps_ramp": 2.0}, "eps_ramp must be 0 with iaat"),
        ({"nesterov": True, "momentum": 0.0}, "nesterov needs optimizer sgd and momentum > 0"),
        ({"nesterov": True, "optimizer": "adam"}, "nesterov needs optimizer sgd"),
        ({"method": "mma", "natural_weight": 2.0}, "natural_weight must be from 0 to 1 with mma"),
        ({"method": "free", "awp": 0.01}, "awp must be 0 with free, whose attack is the backward"),
        ({"method": "mart", "label_smoothing": 0.1}, "label_smoothing must be 0 with mart, whose"),
    ],
)
def test_incompatible_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        from_plain(options)


@pytest.mark.parametrize("norm", ["2", "1"])
def test_eps_may_exceed_one_in_l2_and_l1(norm):
    assert Config(norm=norm, eps=2.0).lp == float(norm)


@pytest.mark.parametrize(
    ("option", "plain", "value"),
    [
        ("steps", 7.0, 7),
        ("threads", None, None),
        ("threads", 2.0, 2),
        ("c", 1, 1.0),
        ("norm", 2, "2"),
        ("norm", 1.0, "1"),
        ("norm", math.inf, "inf"),
        ("data_dir", "some/where", Path("some/where")),
        ("data_dir", None, None),
        ("random_start", True, True),
        ("milestones", [80.0, 140.0], (80, 140)),
        ("milestones", 80.0, (80,)),
        ("milestones", [], ()),
        ("gamma", 0, 0.0),
        ("train_size", 100.0, 100),
    ],
)
def test_values_from_r_and_json_are_converted(option, plain, value):
    found = getattr(from_plain({option: plain}), option)
    assert found == value
    assert type(found) is type(value)


def test_milestone_lrs_may_be_whole_numbers_or_a_single_number():
    assert from_plain({"milestone_lrs": [0.01, 1], "milestones": [1, 2]}).milestone_lrs == (
        0.01,
        1.0,
    )
    assert from_plain({"milestone_lrs": 0.5, "milestones": 1.0}).milestone_lrs == (0.5,)


def test_options_are_written_to_json_and_read_back():
    config = Config(
        data_dir=Path("a"), norm="2", schedule="step", milestones=(1, 2), threads=3, c=1.0
    )
    assert from_plain(json.loads(json.dumps(config.to_plain())), recipe("mnist")) == config


def test_all_unknown_options_are_reported():
    with pytest.raises(ValueError, match=r"unknown option epsilon: eps.*\?, stepsize: step_size\?"):
        from_plain({"stepsize": 1, "epsilon": 2, "c": 0.5})


def test_options_not_set_have_the_values_of_the_recipe():
    assert from_plain({"c": 0.5}, recipe("mnist")) == replace(RECIPES["mnist"], c=0.5)
    assert from_plain({}) == recipe() == RECIPES["mnist-demo"]


def test_the_papers_mnist_recipe():
    """Section 5.2.1."""
    paper = recipe("mnist")
    assert (paper.method, paper.model, paper.norm) == ("sense", "small-cnn", "inf")
    assert (paper.c, paper.eps, paper.step_size, paper.steps) == (0.7, 0.3, 0.05, 10)
    assert (paper.lr, paper.epochs) == (0.01, 500)


@pytest.mark.parametrize(
    ("name", "model", "c", "lr", "steps", "factor", "decay", "epochs", "warmup"),
    [
        ("cifar10-wrn-34-10", "wrn-34-10", 0.5, 0.1, (70, 90, 100), 0.2, 5e-4, 300, 10),
        ("cifar10-resnet", "resnet20", 0.7, 0.1, (80, 140, 170), 0.1, 2e-4, 200, 5),
        ("cifar10-cnn", "cifar-cnn-2", 0.7, 0.01, (80, 140, 170), 0.1, 2e-4, 150, 5),
    ],
)
def test_the_papers_cifar10_recipes(name, model, c, lr, steps, factor, decay, epochs, warmup):
    """Table 1, and c of sections 5.3.1 and 5.3.3."""
    paper = recipe(name)
    assert (paper.method, paper.dataset, paper.augment) == ("sense", "cifar10", "reflect")
    assert (paper.model, paper.c, paper.lr, paper.milestones) == (model, c, lr, steps)
    assert (paper.lr_decay, paper.weight_decay, paper.epochs, paper.warmup) == (
        factor,
        decay,
        epochs,
        warmup,
    )
    assert (paper.eps, paper.step_size, paper.steps) == (8 / 255, 2 / 255, 10)
    assert paper.pretrain == 0


def test_an_unknown_recipe_is_refused():
    with pytest.raises(
        ValueError,
        match=r"recipe must be one of mnist-demo, mnist-fast, mnist, cifar10-.*, got 'cifar'",
    ):
        recipe("cifar")


def test_data_dir_is_a_path_in_python_and_text_in_r():
    with pytest.raises(ValueError, match=r"data_dir must be a pathlib\.Path, got 'folder'"):
        Config(data_dir="folder")
    assert from_plain({"data_dir": "folder"}).data_dir == Path("folder")


@pytest.mark.parametrize("norm", [2, 2.0, "2", math.inf, "inf", 1])
def test_the_norm_may_be_a_number_or_text(norm):
    assert Config(norm=norm).lp == float(norm)
    assert Settings(norm=norm).lp == float(norm)


def test_numbers_may_be_fractions():
    plain = {
        "eps": "8/255",
        "step_size": "2/255",
        "lr": "1/100",
        "milestone_lrs": ["1/100"],
        "milestones": [1],
        "schedule": "step",
    }
    config = from_plain(plain)
    assert (config.eps, config.step_size, config.lr) == (8 / 255, 2 / 255, 1 / 100)
    assert config.milestone_lrs == (1 / 100,)
    for bad in ("8/0", "a/b", "1/2/3", "/", "8/"):
        with pytest.raises(ValueError, match="a fraction must be a number over a number"):
            from_plain({"eps": bad})
    with pytest.raises(ValueError, match="model"):
        from_plain({"model": "8/255"})


RESOLVED = {
    "nt": {},
    "r-at": {"random_start": True, "natural_weight": 0.0},
    "sense": {"random_start": False, "natural_weight": 0.0, "warmup": 0},
    "sense-trades": {"random_start": False, "natural_weight": 1.0, "warmup": 0},
    "trades": {},
    "mart": {},
    "mma": {"natural_weight": 1 / 3, "d_max": 0.45, "eps_min": 0.1},
    "iaat": {"warmup": 10, "gamma": 0.3 * 1.9 / 8},
    "fgsm-rs": {"fgsm_step": 0.375},
    "n-fgsm": {"fgsm_step": 0.3},
    "free": {"fgsm_step": 0.3},
}


@pytest.mark.parametrize("method", RESOLVED)
def test_resolved_fills_in_the_defaults_of_the_method(method):
    before = Config(method=method)
    after = before.resolved()
    changed = {
        option.name: getattr(after, option.name)
        for option in fields(Config)
        if getattr(after, option.name) != getattr(before, option.name)
    }
    assert changed == pytest.approx(RESOLVED[method])
    assert after.resolved() == after


def test_resolved_keeps_what_is_set():
    config = Config(method="mma", natural_weight=0.0, d_max=0.2, eps_min=0.05)
    assert config.resolved() == config


def test_resolved_starts_the_ramp_at_a_third_of_eps():
    assert Config(eps_ramp=2).resolved().eps_start == pytest.approx(0.1)
    assert Config(eps_ramp=2, eps=0).resolved().eps_start is None
    assert Config().resolved().eps_start is None


def test_a_recipe_with_another_method_has_the_defaults_of_that_method():
    assert replace(Config(method="sense"), method="iaat").resolved().warmup == 10
