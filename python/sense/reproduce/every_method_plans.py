"""Experiments on CIFAR10 that are not in the paper: every method on one network, over seeds, values
of c and numbers of epochs; and three methods on a residual network, and for the same time on the
network of the recipe cifar10-fast."""

from typing import Any

from .blocks import SMALL, block
from .cifar10_plans import DRAWN, PGD_40_SHORT, PGD_100, SHORT, THIN, TINY_CNN, WHITE_BOX
from .experiment import Block, Experiment, Plan, Transfer

# Chosen by 4 and 8 epochs on 49,000 images, from accuracy on the other 1,000 training images.
LR_ADVERSARIAL, LR_SENSE = 0.05, 0.02
_FULL = {**PGD_100, "attacks": ["pgd", "autoattack"], **DRAWN}
_BASIC = {**SHORT, "epochs": 20}
# Per method: options on top of the common ones, and seeds.
_EVERY_METHOD: tuple[tuple[dict[str, Any], list[int]], ...] = (
    ({"method": "r-at", "lr": LR_ADVERSARIAL}, [1, 2, 3]),
    ({"method": "sense", "c": 0.5, "lr": LR_SENSE}, [1, 2, 3]),
    ({"method": "trades", "beta": 6.0, "lr": LR_ADVERSARIAL}, [1, 2, 3]),
    ({"method": "nt", "lr": LR_ADVERSARIAL}, [1]),
    ({"method": "mart", "beta": 5.0, "lr": LR_ADVERSARIAL}, [1]),
    ({"method": "mma", "eps_min": 0.005, "lr": LR_ADVERSARIAL}, [1]),
    ({"method": "iaat", "warmup": 2, "lr": LR_ADVERSARIAL}, [1]),
    ({"method": "sense-trades", "c": 0.5, "lr": LR_SENSE}, [1]),
    ({"method": "sense", "c": 0.3, "lr": LR_SENSE}, [1]),
    ({"method": "sense", "c": 0.7, "lr": LR_SENSE}, [1]),
    ({"method": "sense", "boundary": "bisect", "c": 0.3, "lr": LR_SENSE}, [1]),
    ({"method": "sense", "boundary": "bisect", "c": 0.5, "lr": LR_SENSE}, [1]),
    ({"method": "sense", "boundary": "bisect", "c": 0.7, "lr": LR_SENSE}, [1]),
)


def _every_method(
    options: dict[str, Any], evaluation: dict[str, Any], epochs: list[int]
) -> tuple[Block, ...]:
    """Every method with its seeds; and further numbers of epochs for R-AT, SENSE-AT and TRADES."""
    methods = [
        block("cifar10-cnn", {**options, **own}, {"seed": seeds}, evaluation)
        for own, seeds in _EVERY_METHOD
    ]
    shared = {name: value for name, value in options.items() if name != "epochs"}
    budgets = [
        block("cifar10-cnn", {**shared, **own}, {"epochs": epochs, "seed": [1]}, evaluation)
        for own, seeds in _EVERY_METHOD
        if len(seeds) > 1
    ]
    return (*methods, *budgets)


def _one_seed(options: dict[str, Any], *evaluations: dict[str, Any]) -> tuple[Block, ...]:
    """The networks of the transfer matrix: the first of each method."""
    first = {str(own["method"]): own for own, _ in reversed(_EVERY_METHOD)}
    return tuple(
        block("cifar10-cnn", {**options, **own}, {"seed": [1]}, *evaluations)
        for own in first.values()
    )


CIFAR10 = Experiment(
    "cifar10",
    "every method on one network, over seeds, c and budgets",
    "not in the paper",
    ("CIFAR10",),
    {
        "paper": Plan(_every_method({"epochs": 150, "warmup": 0}, _FULL, [50, 300])),
        "cpu": Plan(
            _every_method(_BASIC, _FULL, [10, 40, 80]),
            Transfer(PGD_40_SHORT, _one_seed(_BASIC)),
        ),
        "smoke": Plan(
            _one_seed(TINY_CNN, {**SMALL, "attacks": ["pgd"]})[-2:],
            Transfer(SMALL, _one_seed(TINY_CNN)[-2:]),
        ),
    },
)


_THREE_METHODS: tuple[dict[str, Any], ...] = (
    {"method": "r-at"},
    {"method": "sense", "c": 0.5},
    {"method": "trades", "beta": 6.0},
)
# With the recipe cifar10-fast: as many epochs as take about the time of R-AT's on a processor with
# AMX.
_IN_AN_HOUR: tuple[dict[str, Any], ...] = (
    {"method": "r-at"},
    {"method": "trades", "beta": 6.0, "epochs": 32},
    {"method": "sense", "c": 0.3, "boundary": "bisect", "bisections": 3, "epochs": 42},
)


def _each_method(
    recipe: str,
    options: dict[str, Any],
    evaluation: dict[str, Any],
    methods: tuple[dict[str, Any], ...] = _THREE_METHODS,
) -> tuple[Block, ...]:
    """One network of each method. With the options of table 3 they are networks of that table."""
    return tuple(block(recipe, {**options, **own}, {"seed": [1]}, evaluation) for own in methods)


CIFAR10_WRN = Experiment(
    "cifar10-wrn",
    "R-AT, SENSE-AT and TRADES on a wide residual network",
    "not in the paper",
    ("CIFAR10",),
    {
        "paper": Plan(_each_method("cifar10-wrn-34-10", {}, WHITE_BOX)),
        "cpu": Plan(_each_method("cifar10-wrn-34-10", THIN, {**WHITE_BOX, **DRAWN})),
        "smoke": Plan(_each_method("cifar10-cnn", TINY_CNN, {**SMALL, "attacks": ["pgd"]})[:2]),
    },
)


CIFAR10_FAST = Experiment(
    "cifar10-fast",
    "R-AT, TRADES and SENSE-AT for an hour each, on two cores with AMX",
    "not in the paper",
    ("CIFAR10",),
    {
        "paper": Plan(_each_method("cifar10-gpu", {}, WHITE_BOX)),
        "cpu": Plan(
            _each_method(
                "cifar10-fast",
                {},
                {**PGD_100, **DRAWN, "attacks": ["pgd", "autoattack"]},
                _IN_AN_HOUR,
            )
        ),
        "smoke": Plan(_each_method("cifar10-cnn", TINY_CNN, {**SMALL, "attacks": ["pgd"]})[:2]),
    },
)
