"""Every attack refuses bad arguments: all faults x all attacks that have the argument."""

import inspect
import math

import numpy as np
import pytest
import torch

import sense.attacks as attacks
from networks import conv_network, images_and_labels
from sense.attacks.arguments import BOOLEANS, INTEGERS, as_norm, one_of
from sense.attacks.divergence import divergence_pgd
from sense.attacks.margins import boundary_points
from sense.errors import InputError

NOT_ATTACKS = {"Stage", "Verdicts"}
ATTACKS = {name: getattr(attacks, name) for name in attacks.__all__ if name not in NOT_ATTACKS}
ATTACKS |= {"divergence_pgd": divergence_pgd, "boundary_points": boundary_points}
NEEDED = {
    "step_size": 0.05,
    "steps": 2,
    "c": 0.2,
    "farthest": 0.3,
    "queries": 5,
    "parts": ["apgd-ce"],
}
CLASSES, N = 5, 6
WITHOUT_L1 = ("deepfool", "deepfool_points", "divergence_pgd", "boundary_points")


def arguments(name, network, x, y):
    """Return valid arguments of the attack, by name."""
    parameters = inspect.signature(ATTACKS[name]).parameters
    given = {"model": network, "x": x, "y": y, "source": network, "eps": 0.1, **NEEDED}
    if name == "boundary_points":
        given["eps"] = torch.full((len(x),), 0.1, dtype=x.dtype)
    return {key: value for key, value in given.items() if key in parameters}


def call(name, network=None, images=None, **changes):
    """Call the attack with valid arguments, except for `changes`: values, or functions that return
    a value from the valid arguments."""
    if name in ("square", "autoattack", "autoattack_with_verdicts"):
        pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")
    if network is None:
        network = conv_network(classes=CLASSES)
    x, y = images_and_labels(network, N, 1, 8, 8) if images is None else images
    given = arguments(name, network, x, y)
    changed = {key: make(given) if callable(make) else make for key, make in changes.items()}
    return ATTACKS[name](**(given | changed))


def poisoned(value):
    def make(given):
        x = given["x"].clone()
        x[3, 0, 2, 2] = value
        return x

    return make


def label(value):
    def make(given):
        y = given["y"].clone()
        y[2] = value
        return y

    return make


def radii(value):
    def make(given):
        radii = torch.full((N,), 0.1, dtype=torch.float64)
        radii[4] = value
        return radii

    return make


# The argument, its value, and what the message must contain.
FAULTS = [
    ("x", lambda g: 255 * g["x"], r"pixels from 0 to 1, got .* to 2\d\d.*: divide x by 255"),
    ("x", lambda g: g["x"] - 1, r"pixels from 0 to 1, got -.*: pass their bounds"),
    ("x", poisoned(1.0001), "pixels from 0 to 1, got"),
    ("x", poisoned(math.nan), "NaN or infinite pixel, first in image 3 of 6"),
    ("x", poisoned(math.inf), "NaN or infinite pixel, first in image 3 of 6"),
    ("x", lambda g: (255 * g["x"]).byte(), r"floating point tensor, such as .* got torch.uint8"),
    ("x", lambda g: g["x"].numpy(), "x must be a torch tensor, got a ndarray"),
    ("x", lambda g: torch.tensor(0.5), r"batch, images first, got shape \(\)"),
    ("y", label(-100), "labels of at least 0, got -100 for image 2"),
    ("y", label(-1), "labels of at least 0, got -1 for image 2"),
    ("y", label(5), "labels up to 5, the network gives 5 logits: labels must be from 0 to 4"),
    ("y", lambda g: g["y"].int(), r"one int64 label per image, shape \(6,\), got torch.int32"),
    ("y", lambda g: g["y"].double(), "one int64 label per image"),
    ("y", lambda g: g["y"][:5], r"one int64 label per image, .* of shape \(5,\)"),
    ("y", lambda g: g["y"][:, None], "one int64 label per image"),
    ("y", lambda g: g["y"].tolist(), "y must be a torch tensor of labels, got a list"),
    ("eps", -0.1, r"eps must be a finite number >= 0, such as 8/255, got -0.1"),
    ("eps", math.nan, "eps must be a finite number .* got nan"),
    ("eps", math.inf, "eps must be a finite number .* got inf"),
    ("eps", 8, r"eps must be at most 1, .* got 8: .*8/255 = 0.0314"),
    ("eps", 300.0, "eps must be at most 1"),
    ("eps", True, "eps must be a finite number .* got True"),
    ("eps", "0.1", "eps must be a finite number .* got '0.1'"),
    ("eps", None, "eps must be a finite number .* got None"),
    ("eps", radii(math.nan), "eps must be finite numbers .* got nan among them"),
    ("eps", radii(-0.1), "eps must be finite numbers .* got -0.1 among them"),
    ("eps", radii(8.0), "eps must be at most 1"),
    ("eps", lambda g: torch.full((N - 1,), 0.1), r"one per image, shape \(6,\), got"),
    ("step_size", 0.0, "step_size must be a finite number > 0, got 0.0"),
    ("step_size", -1, "step_size must be a finite number > 0"),
    ("step_size", math.nan, "step_size must be a finite number > 0, got nan"),
    ("step_size", radii(0.0), "step_size must be finite numbers > 0, got 0.0 among them"),
    ("c", -0.1, "c must be a finite number >= 0, got -0.1"),
    ("c", 1.1, "c is a probability, from 0 to 1, got 1.1"),
    ("c", math.nan, "c must be a finite number"),
    ("farthest", math.nan, "farthest must be a finite number"),
    ("overshoot", math.nan, "overshoot must be a finite number >= 0, got nan"),
    ("overshoot", -1, "overshoot must be a finite number >= 0, got -1"),
    ("norm", 3, r"norm must be inf(, 2 or 1| or 2), got 3"),
    ("norm", "two", "norm must be inf.* got 'two'"),
    ("norm", math.nan, "norm must be inf.* got nan"),
    ("norm", None, "norm must be inf.* got None"),
    ("norm", True, "norm must be inf.* got True"),
    ("bounds", (1, 0), r"bounds must be \(low, high\) with low < high, got \(1, 0\)"),
    ("bounds", (0, math.nan), r"bounds must be \(low, high\), two numbers"),
    ("bounds", 1, r"bounds must be \(low, high\), two numbers, got 1"),
    ("start", lambda g: g["x"][:3], r"start must be floating point of shape \(6, 1, 8, 8\)"),
    ("start", poisoned(math.nan), "start holds NaN"),
    ("reference", lambda g: torch.zeros(3, CLASSES), r"reference must be .* shape \(6, classes\)"),
    ("parts", [], "parts must be a list of some of apgd-ce"),
    ("parts", "apgd-ce", "parts must be a list of some of"),
    ("parts", ["apgd"], r"parts must be .* got \['apgd'\]"),
    ("parts", ["square", "pgd"], "parts must be a list of some of"),
    ("model", lambda g: lambda x: x, "must be a torch.nn.Module that gives logits, got a function"),
    ("model", None, "must be a torch.nn.Module that gives logits, got a NoneType"),
]
FAULTS += [
    (name, bad, f"{name} must be a whole number >= {least}, got")
    for name, least in INTEGERS.items()
    for bad in (least - 1, 2.5, True, "3")
]
FAULTS += [
    (name, "foo", f"{name} must be .*, got 'foo'")
    for name in ("boundary", "l2_form", "loss", "mode", "stage_test")
]
FAULTS += [("mode", "eval", "mode must be evaluation, training or updating, got 'eval'")]
FAULTS += [(name, "no", f"{name} must be True or False, got 'no'") for name in BOOLEANS]
CASES = [
    (name, argument, change, message)
    for name, attack in ATTACKS.items()
    for argument, change, message in FAULTS
    if argument in inspect.signature(attack).parameters
    and (name, argument) != ("transfer", "model")  # its source is checked instead, see below
]


@pytest.mark.parametrize(
    ("name", "argument", "change", "message"),
    CASES,
    ids=[f"{name}-{argument}-{i}" for i, (name, argument, _, _) in enumerate(CASES)],
)
def test_a_bad_argument_is_refused_with_its_value_and_what_to_pass(name, argument, change, message):
    with pytest.raises(InputError, match=message):
        call(name, **{argument: change})


def test_the_source_of_transfer_is_checked():
    with pytest.raises(InputError, match=r"source must be a torch\.nn\.Module"):
        call("transfer", source=lambda given: lambda x: x)


def test_the_table_has_a_fault_for_every_argument():
    faulted = {argument for argument, _, _ in FAULTS} | {"source"}
    for attack in ATTACKS.values():
        assert set(inspect.signature(attack).parameters) <= faulted


@pytest.mark.parametrize("name", ATTACKS)
def test_arguments_in_other_forms_have_the_same_result(name):
    torch.manual_seed(1)
    expected = call(name)
    other = {
        "norm": "inf",
        "eps": np.float64(0.1),
        "steps": np.int64(2),
        "step_size": 1 / 20,
        "bounds": [0, 1],
    }
    known = set(inspect.signature(ATTACKS[name]).parameters)
    if name == "boundary_points":
        known -= {"eps"}
    torch.manual_seed(1)
    found = call(name, **{key: value for key, value in other.items() if key in known})
    first = [part[0] if isinstance(part, tuple) else part for part in (expected, found)]
    assert torch.equal(*first)


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        (name, norm)
        for name, attack in ATTACKS.items()
        for norm in (2.0, 1.0)
        if "eps" in inspect.signature(attack).parameters and not (norm == 1 and name in WITHOUT_L1)
    ],
)
def test_a_radius_may_reach_the_corners_of_the_bounds_but_not_more(name, norm):
    parameters = inspect.signature(ATTACKS[name]).parameters
    corners = 64 ** (1 / norm)
    whole = torch.full((N,), corners, dtype=torch.float64)
    eps = whole if name == "boundary_points" else corners
    call(name, norm=norm, eps=eps, **({"farthest": corners} if "farthest" in parameters else {}))
    with pytest.raises(InputError, match=f"eps must be at most {corners:g}"):
        call(name, norm=norm, eps=1.01 * eps)


def test_values_are_listed_as_in_a_sentence():
    assert one_of((math.inf, 2.0, 1.0)) == "inf, 2 or 1"
    assert one_of((math.inf, 2.0)) == "inf or 2"
    assert one_of(("one",)) == "one"


def test_a_norm_may_be_text():
    for value in (math.inf, "inf", np.float32(math.inf)):
        assert as_norm(value) == math.inf
    for value in (2, 2.0, "2", np.int64(2)):
        assert as_norm(value) == 2.0
