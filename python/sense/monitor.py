"""Accuracies after each epoch on validation images, and the weights of the best epoch.

Validation images are held out of the training set. The test set is left to evaluation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .attacks import pgd
from .attacks.geometry import Bounds
from .collapse import MINIMUM_UPDATES, find_collapse
from .config import Config
from .data import Data, to_float
from .data.split import hold_out, stratified_sample
from .random_numbers import preserved_random_state

SEED = 0  # of the random starts and of the choice of training images: the same in each run


AfterOneStep = Callable[[nn.Module, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Monitor:
    """Images that accuracies are measured on.

    Attributes
    ----------
    x, y
        Float32 images and labels, on the device.
    kind
        "validation": held out of the training set; "training": part of it.
    bounds
        Of the attacked images.
    """

    x: Tensor
    y: Tensor
    kind: str
    bounds: Bounds = (0, 1)

    @classmethod
    def of(
        cls, data: Data, kept: Tensor, held_out: Tensor, config: Config, device: torch.device
    ) -> "Monitor":
        """All held-out images (positions in the training set); if there are none,
        `config.monitor_size` of those that are trained on, `kept`."""
        positions = held_out
        if not len(held_out):
            n = min(config.monitor_size, len(kept))
            positions = kept[stratified_sample(data.train_y[kept], n, SEED)]
        return cls(
            to_float(data.train_x[positions].to(device)),
            data.train_y[positions].to(device),
            "validation" if len(held_out) else "training",
            data.bounds,
        )

    def evaluate(
        self,
        network: nn.Module,
        config: Config,
        updates: int = 0,
        after_one_step: AfterOneStep | None = None,
    ) -> dict[str, Any]:
        """Return the number of images that are correctly classified, without an attack and under
        PGD with `claimed_eps`, the step size and steps of training and one random start; and the
        kind of a collapse, after this number of updates of the weights. `after_one_step` is
        `Method.after_one_step`, whose images count too; they are compared with PGD in the ball of
        training, `trained_eps_correct` if that is another one."""
        network.eval()
        with preserved_random_state():
            x_adv = self._pgd(network, config, config.claimed_eps)
            attacked = {"natural_correct": self.x, "robust_correct": x_adv}
            if after_one_step is not None:
                attacked["one_step_correct"] = after_one_step(network, self.x, self.y)
                if config.claimed_eps != config.eps:
                    attacked["trained_eps_correct"] = self._pgd(network, config, config.eps)
        with torch.no_grad():
            predictions = {name: network(images).argmax(1) for name, images in attacked.items()}
        network.train()
        correct = {name: int((found == self.y).sum()) for name, found in predictions.items()}
        collapse = None
        if updates >= MINIMUM_UPDATES:
            collapse = find_collapse(
                self.y,
                predictions["natural_correct"],
                correct.get("trained_eps_correct", correct["robust_correct"]),
                correct.get("one_step_correct"),
            )
        return {
            "monitored": len(self.x),
            "monitored_on": self.kind,
            **correct,
            **({"collapse": collapse} if collapse else {}),
        }

    def _pgd(self, network: nn.Module, config: Config, eps: float) -> Tensor:
        """Return the images under PGD in the ball of this radius, from the same random start."""
        torch.manual_seed(SEED)
        return pgd(
            network,
            self.x,
            self.y,
            eps=eps,
            step_size=config.step_size,
            steps=config.steps,
            norm=config.lp,
            bounds=self.bounds,
        )


def training_part(data: Data, config: Config) -> tuple[Tensor, Tensor]:
    """Return the positions of the images to train on, and of those held out for validation."""
    kept, held_out = torch.arange(len(data.train_y)), torch.arange(0)
    if config.validation_size:
        kept, held_out = hold_out(data.train_y, config.validation_size, config.seed)
    return kept[: config.train_size], held_out


@dataclass
class BestWeights:
    """The weights of the epoch with the most images correctly classified under PGD (with nt:
    without an attack); of several such epochs the last."""

    epoch: int = 0
    score: list[int] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def update(self, metrics: dict[str, Any], model: nn.Module, method: str) -> None:
        """Keep the weights if the epoch with these metrics is the best so far."""
        score = [metrics["robust_correct"], metrics["natural_correct"]]
        score = score[::-1] if method == "nt" else score
        if score >= self.score:
            self.epoch, self.score = metrics["epoch"], score
            self.weights = {
                name: value.detach().cpu().clone() for name, value in model.state_dict().items()
            }
