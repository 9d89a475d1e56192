"""A config.json that is malformed in any way is rejected, with its name."""

import json

import pytest

from conftest import ROOT
from sense.config import Config
from sense.description import MAX_CLASSES, parse_description
from sense.errors import InputError
from sense.runs import read_run

GOOD = {
    "config": Config().to_plain(),
    "data": {
        "name": "few",
        "sha256": "0" * 64,
        "shape": [1, 28, 28],
        "classes": ["a", "b"],
        "train": 3,
        "test": 2,
    },
    "provenance": {},
}


def changed(part, name, value):
    found = json.loads(json.dumps(GOOD))
    if name is None:
        found[part] = value
    else:
        found[part][name] = value
    return json.dumps(found)


def test_a_valid_description_is_accepted():
    config, description = parse_description(json.dumps(GOOD), "config.json")
    assert config == Config()
    assert description == GOOD


def test_stored_results_can_be_read():
    stored = [path.parent for path in ROOT.glob("inst/extdata/**/config.json")]
    assert len(stored) > 20
    for folder in stored:
        assert read_run(folder)[1]["data"]["shape"]


INVALID_VALUES = (
    None,
    True,
    -1,
    0,
    1.5,
    1e300,
    10**400,
    "",
    "x",
    "a" * 5000,
    "\ud800",
    [],
    [None],
    [[]],
    ["x"],
    [1, 2],
    {},
    {"a": 1},
    [[1, 28, 28]],
)


@pytest.mark.parametrize(
    "shape",
    [
        [1, 28],
        [1, 28, 28, 1],
        [0, 28, 28],
        [-1, 28, 28],
        [1, 28, True],
        [1, 28.0, 28],
        ["1", 2, 3],
        [1, 10**6, 10**6],
        [10**400, 1, 1],
        "123",
        {"0": 1, "1": 2, "2": 3},
    ],
)
def test_a_shape_must_be_three_positive_whole_numbers(shape):
    with pytest.raises(InputError, match=r"^the.json is damaged, or was changed: data.shape must"):
        parse_description(changed("data", "shape", shape), "the.json")


@pytest.mark.parametrize(
    "classes",
    [[], "ab", [1, 2], ["a", None], ["x" * 5000], ["\ud800"], {"a": 1}, ["a"] * (MAX_CLASSES + 1)],
)
def test_classes_must_be_names(classes):
    with pytest.raises(InputError, match=r"^the.json is damaged.*: data.classes must"):
        parse_description(changed("data", "classes", classes), "the.json")


@pytest.mark.parametrize("part", ["config", "data"])
def test_a_part_that_is_not_an_object_is_rejected(part):
    for value in (None, [], "x", 3):
        with pytest.raises(InputError, match=rf"^the.json is damaged.*: {part} must be an object"):
            parse_description(changed(part, None, value), "the.json")


@pytest.mark.parametrize("name", [*GOOD["config"], "unheard_of"])
def test_an_invalid_option_is_rejected_with_the_name_of_the_file(name):
    for value in INVALID_VALUES:
        try:
            config, _ = parse_description(changed("config", name, value), "the.json")
        except InputError as error:
            assert str(error).startswith("the.json")  # noqa: PT017
        else:
            assert isinstance(config, Config)


@pytest.mark.parametrize("name", ["name", "sha256", "shape", "classes"])
def test_the_description_of_the_data_is_checked(name):
    for value in INVALID_VALUES:
        try:
            _, found = parse_description(changed("data", name, value), "the.json")
        except InputError as error:
            assert str(error).startswith("the.json")  # noqa: PT017
        else:
            assert (name, value) in (
                ("name", ""),
                ("name", "x"),
                ("classes", ["x"]),
            )
            assert found["data"][name] == value
    for kept in ("name", "sha256", "shape", "classes"):
        less = json.loads(json.dumps(GOOD))
        del less["data"][kept]
        with pytest.raises(InputError, match=f"data.{kept} must be"):
            parse_description(json.dumps(less), "the.json")
