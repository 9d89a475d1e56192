"""FGSM-RS, the method of "Fast is better than free" (Wong et al. 2020): the cross-entropy of the
images after one step from a random start."""

import math

import torch
from torch import Tensor, nn

from ..attacks.fgsm import one_step
from ..attacks.geometry import random_point
from ..schedules import attack_size
from .base import Batch, Examples, TwoPartMethod


class FastFGSM(TwoPartMethod):
    """Minimise CE(f(x'), y), where x' is a uniform random point of the ball after one step of
    length `fgsm_step`, projected into the ball and the pixel bounds."""

    published_mode = "updating"

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        x, y, _ = batch
        eps, step_size = attack_size(self.config, epoch)
        norm = self.config.lp
        start = random_point(x, eps, norm, self.bounds)
        x_adv = one_step(
            model,
            x,
            y,
            start,
            eps=eps,
            step_size=step_size,
            norm=norm,
            mode=self.attack_mode,
            bounds=self.bounds,
        )
        return Examples(x, y, x_adv)

    def after_one_step(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Return the images of the attack of training."""
        return self.examples(model, Batch(x, y, torch.arange(len(x))), math.inf).x_adv

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        return self.cross_entropy(model(examples.x_adv), examples.y)
