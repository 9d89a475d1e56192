"""TRADES (Zhang et al. 2019): natural cross-entropy, and beta times how much the prediction of an
adversarial image differs from the natural image's."""

from functools import partial

import torch.nn.functional as F
from torch import nn

from ..attacks.divergence import divergence_pgd
from ..attacks.losses import divergence
from ..attacks.modes import Mode
from .base import Batch, Step


class TRADES:
    """Minimises CE(f(x), y) + beta KL(p(x) || p(x')), beta = 1 / lambda of the authors' paper;
    gradients flow through both predictions. As in the authors' code p(x) of the second term is a
    pass of its own, which matters with dropout and for the running statistics of batch norm."""

    def __init__(
        self, *, beta: float, eps: float, step_size: float, steps: int, norm: float, mode: Mode
    ) -> None:
        self.beta = beta
        self.attack = partial(
            divergence_pgd, eps=eps, step_size=step_size, steps=steps, norm=norm, mode=mode
        )

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        x_adv = self.attack(model, batch.x)
        natural = F.cross_entropy(model(batch.x), batch.y)
        adversarial = model(x_adv)
        return Step(natural + self.beta * divergence(model(batch.x), adversarial).mean())
