import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

from sense.config import RECIPES, Config, from_plain, recipe

BAD = [
    ("dataset", "cifar", "one of mnist-sample, mnist, arrays"),
    ("model", "resnet", "There are small-cnn"),
    ("model", 3, "There are small-cnn"),
    ("method", "pgd", "one of nt, r-at, sense"),
    ("c", -0.1, "a probability, from 0 to 1"),
    ("c", 1.5, "a probability, from 0 to 1"),
    ("c", math.nan, "a probability, from 0 to 1"),
    ("c", "0.7", "a number"),
    ("eps", -0.3, "0 or more"),
    ("eps", math.nan, "0 or more"),
    ("eps", math.inf, "0 or more"),
    ("eps", 8.0, r"at most 1: pixels go from 0 to 1, got 8.0; 8/255 = 0.0314\?"),
    ("step_size", 0.0, "more than 0"),
    ("step_size", math.inf, "more than 0"),
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
    ("lr", 0.0, "more than 0"),
    ("lr", math.nan, "more than 0"),
    ("momentum", 1.0, "from 0 to less than 1"),
    ("weight_decay", -1.0, "0 or more"),
    ("schedule", "linear", "one of constant, step, cosine, one-cycle"),
    ("milestones", (80.5,), "whole numbers"),
    ("milestones", ("a",), "whole numbers"),
    ("milestones", (-1,), "whole numbers"),
    ("decay", 0.0, "more than 0, at most 1"),
    ("decay", 2.0, "more than 0, at most 1"),
    ("seed", -1, "a whole number"),
    ("seed", 2**32, "a whole number"),
    ("threads", 0, "a whole number >= 1"),
    ("monitor", 0, "a whole number >= 1"),
]


@pytest.mark.parametrize(("option", "value", "expected"), BAD)
def test_a_bad_option_is_named_with_its_value_and_what_is_good(option, value, expected):
    with pytest.raises(ValueError, match=expected) as caught:
        from_plain({option: value})
    assert option in str(caught.value)
    assert (repr(value) if isinstance(value, str) else str(value)) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_option_that_can_be_bad_is_in_the_list():
    free = {"data_dir", "device"}
    assert {option for option, *_ in BAD} == {option.name for option in fields(Config)} - free


def test_constructed_directly_the_checks_are_the_same():
    with pytest.raises(ValueError, match="milestones must be"):
        Config(schedule="step", milestones=(80.5,))


def test_schedule_step_asks_for_milestones():
    with pytest.raises(ValueError, match="needs milestones, such as --milestones 80 140"):
        Config(schedule="step")


@pytest.mark.parametrize("norm", ["2", "1"])
def test_other_balls_may_be_wider_than_a_pixel(norm):
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
    ],
)
def test_plain_values_as_r_and_json_give_them(option, plain, value):
    found = getattr(from_plain({option: plain}), option)
    assert found == value
    assert type(found) is type(value)


def test_plain_form_is_json_and_reads_back():
    config = Config(
        data_dir=Path("a"), norm="2", schedule="step", milestones=(1, 2), threads=3, c=1.0
    )
    assert from_plain(json.loads(json.dumps(config.to_plain())), recipe("mnist")) == config


def test_unknown_options_are_refused_together():
    with pytest.raises(ValueError, match=r"unknown option epsilon, stepsize. There are .*eps, "):
        from_plain({"stepsize": 1, "epsilon": 2, "c": 0.5})


def test_what_is_not_set_is_the_recipes():
    assert from_plain({"c": 0.5}, recipe("mnist")) == replace(RECIPES["mnist"], c=0.5)
    assert from_plain({}) == recipe() == RECIPES["mnist-demo"]


def test_the_papers_mnist_recipe():
    """Section 5.2.1."""
    paper = recipe("mnist")
    assert (paper.method, paper.model, paper.norm) == ("sense", "small-cnn", "inf")
    assert (paper.c, paper.eps, paper.step_size, paper.steps) == (0.7, 0.3, 0.05, 10)
    assert (paper.lr, paper.epochs) == (0.01, 500)


def test_unknown_recipe():
    with pytest.raises(ValueError, match="recipe must be one of mnist-demo, mnist, got 'cifar'"):
        recipe("cifar")


def test_a_data_dir_that_is_text_is_refused_from_python_and_taken_from_r():
    with pytest.raises(ValueError, match=r"data_dir must be a pathlib\.Path, got 'folder'"):
        Config(data_dir="folder")
    assert from_plain({"data_dir": "folder"}).data_dir == Path("folder")
