"""The experiments on MNIST: section 5.2.1, figure 7 and figure 8."""

from typing import Any

from .blocks import SMALL, block, sense_by_c, without_c
from .blocks import TINY as SHORTEST
from .experiment import Block, Experiment, Plan

C_OF_FIGURE_7 = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CAPACITIES = ("capacity-1", "capacity-2", "capacity-3", "capacity-4")
# Section 5.2.1: PGD-500 with 20 restarts, step size 0.01.
PGD_500 = {"attacks": ["pgd"], "steps": 500, "restarts": 20, "step_size": 0.01}
CONVERGENCE = {**PGD_500, "attacks": ["natural"], "n": 100, "convergence": 100}
TINY = {**SHORTEST, "pretrain": 1}
TINY_SAMPLE = {**TINY, "dataset": "mnist-sample", "model": "capacity-1"}


def _methods(options: dict[str, Any], seeds: list[int], evaluation: dict[str, Any]) -> Block:
    """SENSE-AT as in section 5.2.1, with NT and R-AT beside it."""
    return block("mnist", options, {"method": ["nt", "r-at", "sense"], "seed": seeds}, evaluation)


def _trades(
    recipe: str, options: dict[str, Any], seeds: list[int], evaluation: dict[str, Any]
) -> Block:
    own = {"method": "trades", "beta": 1.0}  # as TRADES's authors have it for MNIST
    return block(recipe, {**options, **own}, {"seed": seeds}, evaluation)


# Section 5.2.1 in six epochs: long steps, and a learning rate that rises and falls.
SHORT = {"steps": 5, "step_size": 0.1, "schedule": "one-cycle", "pretrain": 1, "epochs": 6}
DRAWN = {"attacks": ["pgd", "autoattack"], "n": 1000, "draw": 1}
PGD_500_ON_200 = {**PGD_500, "n": 200, "draw": 1}

MNIST = Experiment(
    "mnist",
    "SmallCNN on MNIST: natural and robust accuracy",
    "section 5.2.1",
    ("MNIST",),
    {
        "paper": Plan(
            (
                _methods({}, [1], {**PGD_500, "attacks": ["pgd", "autoattack"]}),
                _trades("trades-mnist", {}, [1], {**PGD_500, "attacks": ["pgd", "autoattack"]}),
            ),
        ),
        "cpu": Plan(
            (
                _methods(SHORT, [1, 2, 3], DRAWN),
                _trades("mnist", SHORT, [1, 2, 3], DRAWN),
                _methods(SHORT, [1], PGD_500_ON_200),
                _trades("mnist", SHORT, [1], PGD_500_ON_200),
            ),
        ),
        "smoke": Plan(
            (
                _methods(TINY_SAMPLE, [1], SMALL),
                _trades("mnist", TINY_SAMPLE, [1], SMALL),
            ),
        ),
    },
)


_GRID: dict[str, list[Any]] = {"model": list(CAPACITIES), "seed": [1, 2, 3, 4, 5]}
_SMALLEST: dict[str, list[Any]] = {"model": ["capacity-1"], "seed": [1]}
# Hundreds of trainings: half the epochs of the recipe, half the steps, each twice as long, and a
# short evaluation.
_HALF = {"steps": 5, "step_size": 0.1, "epochs": 6}
_PGD_100 = {
    "attacks": ["pgd"],
    "steps": 100,
    "restarts": 1,
    "step_size": 0.01,
    "n": 500,
    "diagnostics": False,
}
# The start and the stage test of the authors' code in place of the paper's.
_CONVENTIONS: list[dict[str, Any]] = [
    {"random_start": True, "stage_test": test} for test in ("natural", "start")
]

FIGURE_7 = Experiment(
    "fig7",
    "accuracy by c and capacity, and collapse",
    "figure 7",
    (),
    {
        "paper": Plan(
            (
                sense_by_c("mnist", {}, C_OF_FIGURE_7, {**_GRID, "seed": [1]}, PGD_500),
                without_c("mnist", {}, {**_GRID, "seed": [1]}, PGD_500),
            ),
        ),
        "cpu": Plan(
            (
                sense_by_c("mnist-demo", _HALF, C_OF_FIGURE_7, _GRID, _PGD_100),
                without_c("mnist-demo", _HALF, _GRID, _PGD_100),
                sense_by_c(
                    "mnist-demo", {**_HALF, "boundary": "bisect"}, C_OF_FIGURE_7, _GRID, _PGD_100
                ),
                *(
                    sense_by_c("mnist-demo", {**_HALF, **one}, (0.7,), _GRID, _PGD_100)
                    for one in _CONVENTIONS
                ),
            ),
        ),
        "smoke": Plan(
            (
                sense_by_c("mnist-demo", TINY, (0.0, 0.7), _SMALLEST, SMALL),
                without_c("mnist-demo", TINY, _SMALLEST, SMALL),
                sense_by_c("mnist-demo", {**TINY, **_CONVENTIONS[0]}, (0.7,), _SMALLEST, SMALL),
            ),
        ),
    },
)

_SENSE_ONLY: dict[str, list[Any]] = {"method": ["sense"], "seed": [1]}
FIGURE_8 = Experiment(
    "fig8",
    "convergence of PGD-500 on MNIST",
    "figure 8",
    ("MNIST",),
    {
        "paper": Plan((block("mnist", {}, _SENSE_ONLY, CONVERGENCE),)),
        "cpu": Plan((block("mnist", SHORT, _SENSE_ONLY, CONVERGENCE),)),
        "smoke": Plan(
            (
                block(
                    "mnist",
                    TINY_SAMPLE,
                    _SENSE_ONLY,
                    {**SMALL, "attacks": ["natural"], "steps": 4, "convergence": 20},
                ),
            ),
        ),
    },
)
