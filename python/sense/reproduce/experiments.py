"""All experiments by name, and their cells at each scale."""

from collections.abc import Sequence
from pathlib import Path

from ..config.checks import check_choice
from ..errors import InputError
from ..sweep import Cell, grid_cells
from .cifar10_plans import FIGURE_9, TABLE_3, TABLE_4, TABLE_5, TABLE_6, TABLE_7
from .every_method_plans import CIFAR10, CIFAR10_FAST, CIFAR10_WRN
from .experiment import SCALES, Block, Experiment, Plan
from .figures import FIGURES
from .mnist_plans import FIGURE_7, FIGURE_8, MNIST

MAX_SEEDS = 1000  # of every training

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        *FIGURES,
        FIGURE_7,
        FIGURE_8,
        FIGURE_9,
        TABLE_3,
        TABLE_4,
        TABLE_5,
        TABLE_6,
        TABLE_7,
        MNIST,
        CIFAR10,
        CIFAR10_WRN,
        CIFAR10_FAST,
    )
}


def get_experiment(name: str) -> Experiment:
    """Return the experiment of that name. Raises InputError, which lists the names."""
    check_choice("name", name, tuple(EXPERIMENTS))
    return EXPERIMENTS[name]


def get_plan(experiment: Experiment, scale: str) -> Plan:
    """Return the plan of an experiment that trains networks, at a scale."""
    check_choice("scale", scale, tuple(SCALES))
    return experiment.plans[scale]


def plan_cells(plan: Plan, seeds: int | None = None) -> list[Cell]:
    """Return the cells of a plan with their evaluations, without transfer attacks.

    `seeds` is the number of seeds of every training, 1, 2 ...; default: those of the plan."""
    return _cells(plan.blocks, seeds)


def transfer_cells(plan: Plan, runs: Path, seeds: int | None = None) -> list[Cell]:
    """Return the cells of a plan that are attacked by transfer: by PGD on the network itself, then
    from each other network of the same seed, which is in the folder `runs`."""
    if plan.transfer is None:
        return []
    options, networks = plan.transfer.evaluation, _cells(plan.transfer.blocks, seeds)
    own = {**options, "attacks": ["pgd"]}
    return [
        Cell(
            victim.recipe,
            victim.options,
            [
                own,
                *(
                    {**options, "attacks": ["transfer"], "source": str(runs / source.name)}
                    for source in networks
                    if source.config.seed == victim.config.seed and source.name != victim.name
                ),
            ],
        )
        for victim in networks
    ]


def _cells(blocks: Sequence[Block], seeds: int | None) -> list[Cell]:
    if seeds is not None and not 1 <= seeds <= MAX_SEEDS:
        raise InputError(f"seeds must be a whole number from 1 to {MAX_SEEDS:,}, got {seeds:,}")
    return grid_cells({"also": [_with_seeds(block, seeds) for block in blocks]})


def _with_seeds(block: Block, seeds: int | None) -> Block:
    if seeds is None:
        return block
    return {**block, "grid": {**block["grid"], "seed": list(range(1, seeds + 1))}}
