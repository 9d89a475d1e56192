"""What an experiment of the paper is: its networks and attacks at each scale, as data."""

from dataclasses import dataclass, field
from typing import Any, Literal

ScaleName = Literal["paper", "cpu", "smoke"]
SCALES: dict[str, str] = {
    "paper": "the settings of the paper: a GPU, and days",
    "cpu": "the same experiment shortened for two cores: hours",
    "smoke": "seconds, to try the commands: the numbers mean nothing",
}
Block = dict[str, Any]  # recipe, options, grid and evaluation, as in a grid of sense.sweep


@dataclass(frozen=True)
class Transfer:
    """PGD on each network of the blocks, tried on this network and on each other one.

    `evaluation` are the options of `sense.evaluate` without the attack and the source network.
    """

    evaluation: dict[str, Any]
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Plan:
    """The trainings and attacks of an experiment at one scale.

    Attributes
    ----------
    blocks
        Networks and their evaluation, in the form of a grid of `sense.sweep`. Several blocks may
        have the same networks with other evaluations.
    transfer
        Transfer attacks, if there are any.
    shortened
        What differs from the paper beyond the options of training and evaluation, in words.
    """

    blocks: tuple[Block, ...]
    transfer: Transfer | None = None
    shortened: tuple[str, ...] = ()


@dataclass(frozen=True)
class Experiment:
    """A table, figure or section of the paper.

    Attributes
    ----------
    name, title, place
        The name of the command, what it shows, and where the paper has it ("not in the paper").
    needs
        Data and tools, such as "CIFAR10".
    plans
        By scale. Empty for a figure that R draws.
    """

    name: str
    title: str
    place: str
    needs: tuple[str, ...]
    plans: dict[str, Plan] = field(default_factory=dict)

    @property
    def is_drawn_by_r(self) -> bool:
        return not self.plans
