"""The experiments on MNIST: section 5.2.1, figure 7 and figure 8."""

from typing import Any

from .experiment import Block, Experiment, Plan

C_OF_FIGURE_7 = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
CAPACITIES = ("capacity-1", "capacity-2", "capacity-3", "capacity-4")
# Section 5.2.1: PGD-500 with 20 restarts, step size 0.01.
PGD_500 = {"attacks": ["pgd"], "steps": 500, "restarts": 20, "step_size": 0.01}
CONVERGENCE = {**PGD_500, "attacks": ["natural"], "n": 100, "convergence": 100}
SMALL = {"n": 20, "steps": 2, "restarts": 2, "diagnostics": False}  # attacks of the scale smoke
# Few steps, few images, one short epoch.
TINY = {
    "train_size": 100,
    "pretrain": 1,
    "epochs": 1,
    "batch_size": 50,
    "steps": 2,
    "monitor_size": 16,
}
TINY_SAMPLE = {**TINY, "dataset": "mnist-sample", "model": "capacity-1"}


def _methods(options: dict[str, Any], seeds: list[int], evaluation: dict[str, Any]) -> Block:
    """SENSE-AT as in section 5.2.1, with NT and R-AT beside it."""
    grid = {"method": ["nt", "r-at", "sense"], "seed": seeds}
    return {"recipe": "mnist", "options": options, "grid": grid, "evaluation": evaluation}


def _trades(
    recipe: str, options: dict[str, Any], seeds: list[int], evaluation: dict[str, Any]
) -> Block:
    own = {"method": "trades", "beta": 1.0}  # as TRADES's authors have it for MNIST
    return {
        "recipe": recipe,
        "options": {**options, **own},
        "grid": {"seed": seeds},
        "evaluation": evaluation,
    }


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


def _figure_7(
    recipe: str,
    options: dict[str, Any],
    models: tuple[str, ...],
    values_of_c: tuple[float, ...],
    seeds: list[int],
    evaluation: dict[str, Any],
) -> list[Block]:
    """c by capacity; and R-AT and NT, which have no c."""
    common: dict[str, Any] = {"recipe": recipe, "evaluation": evaluation}
    grid = {"model": list(models), "seed": seeds}
    sense = {"options": {**options, "method": "sense"}, "grid": {"c": list(values_of_c), **grid}}
    others = {"options": options, "grid": {"method": ["r-at", "nt"], **grid}}
    return [{**common, **sense}, {**common, **others}]


def _conventions(
    recipe: str,
    options: dict[str, Any],
    models: tuple[str, ...],
    values_of_c: tuple[float, ...],
    seeds: list[int],
    evaluation: dict[str, Any],
) -> list[Block]:
    """The start and the stage test of the authors' code in place of the paper's."""
    return [
        {
            "recipe": recipe,
            "options": {**options, "method": "sense", "random_start": True, "stage_test": test},
            "grid": {"c": list(values_of_c), "model": list(models), "seed": seeds},
            "evaluation": evaluation,
        }
        for test in ("natural", "start")
    ]


_SEEDS = [1, 2, 3, 4, 5]
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

FIGURE_7 = Experiment(
    "fig7",
    "accuracy by c and capacity, and collapse",
    "figure 7",
    (),
    {
        "paper": Plan(tuple(_figure_7("mnist", {}, CAPACITIES, C_OF_FIGURE_7, [1], PGD_500))),
        "cpu": Plan(
            (
                *_figure_7("mnist-demo", _HALF, CAPACITIES, C_OF_FIGURE_7, _SEEDS, _PGD_100),
                *_figure_7(
                    "mnist-demo",
                    {**_HALF, "boundary": "bisect"},
                    CAPACITIES,
                    C_OF_FIGURE_7,
                    _SEEDS,
                    _PGD_100,
                )[:1],
                *_conventions("mnist-demo", _HALF, CAPACITIES, (0.7,), _SEEDS, _PGD_100),
            ),
        ),
        "smoke": Plan(
            (
                *_figure_7("mnist-demo", TINY, ("capacity-1",), (0.0, 0.7), [1], SMALL),
                *_conventions("mnist-demo", TINY, ("capacity-1",), (0.7,), [1], SMALL)[:1],
            ),
        ),
    },
)


def _sense_only(options: dict[str, Any], evaluation: dict[str, Any]) -> Block:
    grid = {"method": ["sense"], "seed": [1]}
    return {"recipe": "mnist", "options": options, "grid": grid, "evaluation": evaluation}


FIGURE_8 = Experiment(
    "fig8",
    "convergence of PGD-500 on MNIST",
    "figure 8",
    ("MNIST",),
    {
        "paper": Plan((_sense_only({}, CONVERGENCE),)),
        "cpu": Plan((_sense_only(SHORT, CONVERGENCE),)),
        "smoke": Plan(
            (
                _sense_only(
                    TINY_SAMPLE,
                    {**SMALL, "attacks": ["natural"], "steps": 4, "convergence": 20},
                ),
            ),
        ),
    },
)
