"""MMA, max-margin adversarial training (Ding et al. 2020): each image is trained on at its own
margin, the distance to where p_y = 1/2, as long as that is less than d_max."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attacks.losses import soft_margin
from ..attacks.margins import boundary_points, random_start
from ..attacks.modes import Mode
from .base import Batch, Step
from .per_example_state import PerExampleState

REACH = 1.05  # margins are searched up to this times d_max


class MaxMargin:
    """Minimises (1 - natural) L + natural CE(f(x), y), where L is the mean over the batch of
    CE(f(x + d u), y) of images with p_y(x) > 1/2 and margin d < d_max, of CE(f(x), y) of those with
    p_y(x) <= 1/2, and of 0 of the others.

    The margin that an image had the last time is the radius, eps_min at least, of the PGD that
    looks for it the next time.
    """

    def __init__(
        self,
        n: int,
        *,
        d_max: float,
        eps_min: float,
        steps: int,
        norm: float,
        natural: float,
        mode: Mode,
        searches: int = 10,
    ) -> None:
        self.margins = PerExampleState(n)
        self.d_max, self.eps_min, self.natural = d_max, eps_min, natural
        self.steps, self.norm, self.searches = steps, norm, searches
        self.mode: Mode = mode

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        x, y, position = batch
        logits = model(x)
        natural = F.cross_entropy(logits, y)
        right = soft_margin(logits.detach(), y) < 0

        images, counted, margins = x.clone(), ~right, torch.zeros_like(x[:, 0, 0, 0])
        # Drawn for all: which images need it may differ with the number of processes.
        eps = self.margins.read(position, x).clamp_min(self.eps_min)
        start = random_start(x, eps, self.norm)
        if right.any():
            images[right], distance = boundary_points(
                model,
                x[right],
                y[right],
                eps=eps[right],
                farthest=REACH * self.d_max,
                steps=self.steps,
                norm=self.norm,
                searches=self.searches,
                start=start[right],
                mode=self.mode,
            )
            counted[right] = distance < self.d_max
            margins[right] = distance
        losses = F.cross_entropy(model(images), y, reduction="none")
        margin_loss = losses[counted].sum() / len(x)
        self.margins.write(position, margins)
        loss = (1 - self.natural) * margin_loss + self.natural * natural
        return Step(loss, means={"margin": margins})

    def state_dict(self) -> dict[str, Tensor]:
        return self.margins.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.margins.load_state_dict(state)
