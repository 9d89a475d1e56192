"""IAAT, instance adaptive adversarial training (Balaji et al. 2019): PGD in a ball of each image's
own radius eps_i, which grows while PGD does not fool the network and shrinks where it does."""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attacks import pgd
from ..attacks.geometry import random_point
from ..attacks.modes import Mode, attack_mode
from .base import Batch, Step
from .per_example_state import PerExampleState


class InstanceAdaptive:
    """Minimises CE(f(x'), y), x' by PGD with radius eps_i.

    In the first `warmup` epochs eps_i is eps, or 0 where x is misclassified. Later eps_i + gamma is
    the candidate if PGD with that radius does not fool the network, else eps_i if that does not,
    else eps_i - gamma, and 0 where x is misclassified; eps_i moves to the candidate, not below 0,
    by the part `rate`. As in the authors' code nothing keeps eps_i from growing past eps, unless
    `eps_max` is given.
    """

    def __init__(
        self,
        n: int,
        *,
        eps: float,
        step_size: float,
        steps: int,
        norm: float,
        warmup: int,
        gamma: float,
        rate: float,
        eps_max: float | None,
        mode: Mode,
    ) -> None:
        self.radii = PerExampleState(n)
        self.eps, self.step_size, self.steps, self.norm = eps, step_size, steps, norm
        self.warmup, self.gamma, self.rate, self.eps_max = warmup, gamma, rate, eps_max
        self.mode: Mode = mode

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        x, y, position = batch
        radii = self.select(model, batch, epoch)
        self.radii.write(position, radii)
        x_adv = self.attack(model, x, y, radii)
        return Step(F.cross_entropy(model(x_adv), y), means={"radius": radii})

    def select(self, model: nn.Module, batch: Batch, epoch: float) -> Tensor:
        """The new eps_i of each image of the batch, shape (n,)."""
        x, y, position = batch
        right = self.correct(model, x, y)
        if epoch < self.warmup:
            return self.eps * right
        old = self.radii.read(position, x)
        now, more = (self.attack(model, x, y, radii) for radii in (old, old + self.gamma))
        stands, stands_more = (self.correct(model, images, y) for images in (now, more))
        candidate = torch.where(stands > 0, old, old - self.gamma)
        candidate = torch.where(stands_more > 0, old + self.gamma, candidate) * right
        new = self.rate * candidate.clamp_min(0) + (1 - self.rate) * old
        return new if self.eps_max is None else new.clamp_max(self.eps_max)

    def attack(self, model: nn.Module, x: Tensor, y: Tensor, radii: Tensor) -> Tensor:
        """PGD from a random point of each ball (not clipped to pixels), by steps of 2 eps_i / K or
        of step_size, whichever is longer."""
        step_size = (radii / (0.5 * self.steps)).clamp_min(self.step_size)
        start = random_point(x, radii, self.norm, (-math.inf, math.inf))
        return pgd(
            model,
            x,
            y,
            eps=radii,
            step_size=step_size,
            steps=self.steps,
            norm=self.norm,
            start=start,
            mode=self.mode,
        )

    def correct(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """1 where the network is right, 0 where not; float, shape (n,)."""
        with attack_mode(model, self.mode) as network, torch.no_grad():
            return (network(x).argmax(1) == y).to(x)

    def state_dict(self) -> dict[str, Tensor]:
        return self.radii.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.radii.load_state_dict(state)
