"""A look at training after each epoch, on images held out of the training set, and the weights of
the epoch that looked best. The test set is left to evaluation."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .attacks import pgd
from .config import Config
from .data import ImageData, to_float
from .data.split import hold_out, stratified
from .random_numbers import preserved_random_state

SEED = 0  # of the random starts, and of which training images are looked at: the same in each run


@dataclass(frozen=True)
class Monitor:
    """Float32 images and labels on the device, and which they are: "validation" images, held out
    of the training set, or, where none are, "training" images."""

    x: Tensor
    y: Tensor
    on: str

    @staticmethod
    def of(data: ImageData, held: Tensor, config: Config, device: torch.device) -> "Monitor":
        """All images held out, else as many training images as `config.monitor` says."""
        n = min(config.monitor, len(data.train_y))
        places = held if len(held) else stratified(data.train_y, n, SEED)
        return Monitor(
            to_float(data.train_x[places].to(device)),
            data.train_y[places].to(device),
            "validation" if len(held) else "training",
        )

    def look(self, model: nn.Module, config: Config) -> dict[str, Any]:
        """How many of the images are right as they are, and under PGD with the training's eps, step
        size and steps and one random start."""
        model.eval()
        with preserved_random_state():
            torch.manual_seed(SEED)
            x_adv = pgd(
                model,
                self.x,
                self.y,
                eps=config.eps,
                step_size=config.step_size,
                steps=config.steps,
                norm=config.lp,
            )
        with torch.no_grad():
            natural = int((model(self.x).argmax(1) == self.y).sum())
            robust = int((model(x_adv).argmax(1) == self.y).sum())
        model.train()
        return {
            "monitored": len(self.x),
            "monitored_on": self.on,
            "natural_correct": natural,
            "robust_correct": robust,
        }


def training_part(data: ImageData, config: Config) -> tuple[Tensor, Tensor]:
    """The positions of the images that are trained on, and of those held out."""
    kept, held = torch.arange(len(data.train_y)), torch.arange(0)
    if config.validation:
        kept, held = hold_out(data.train_y, config.validation, config.seed)
    return kept[: config.train_size], held


@dataclass
class Best:
    """The weights of the epoch with the most images right under PGD, or of natural training with
    the most right as they are; of several such epochs the last."""

    epoch: int = 0
    score: list[int] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def see(self, line: dict[str, Any], model: nn.Module, method: str) -> None:
        """Keep the weights where the epoch with these metrics is the best so far."""
        score = [line["robust_correct"], line["natural_correct"]]
        score = score[::-1] if method == "nt" else score
        if score >= self.score:
            self.epoch, self.score = line["epoch"], score
            self.weights = {
                name: value.detach().cpu().clone() for name, value in model.state_dict().items()
            }
