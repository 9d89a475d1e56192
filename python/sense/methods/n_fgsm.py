"""N-FGSM (de Jorge et al. 2022): the cross-entropy of the images after strong noise and one step,
which is not projected into the ball."""

import math

from torch import nn

from ..attacks.fgsm import one_step
from ..attacks.geometry import random_point
from ..schedules import attack_size
from .base import Batch, Examples
from .fgsm_rs import FastFGSM


class NoiseFGSM(FastFGSM):
    """Minimise CE(f(x'), y), where x' is a uniform random point of the ball of radius `noise_scale`
    eps after one step of length `fgsm_step`, both clipped to the pixel bounds only. x' may be
    outside of the ball of radius eps: projection into it would shorten the step."""

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        x, y, _ = batch
        eps, step_size = attack_size(self.config, epoch)
        norm = self.config.lp
        start = random_point(x, self.config.noise_scale * eps, norm, self.bounds)
        x_adv = one_step(
            model,
            x,
            y,
            start,
            eps=math.inf,
            step_size=step_size,
            norm=norm,
            mode=self.attack_mode,
            bounds=self.bounds,
        )
        return Examples(x, y, x_adv)
