"""IAAT, instance adaptive adversarial training (Balaji et al. 2019): PGD with a radius eps_i per
image, which grows while the image is correctly classified under PGD, and shrinks otherwise."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..attacks import pgd
from ..attacks.geometry import random_point
from ..attacks.modes import attack_mode
from ..config import Config
from .base import Batch, Examples, TwoPartMethod
from .per_example_state import PerExampleState


class InstanceAdaptive(TwoPartMethod):
    """Minimise CE(f(x'), y), where x' comes from PGD with radius eps_i.

    In the first `warmup` epochs eps_i is eps, or 0 if x is misclassified. Later the candidate is

    - 0 if x is misclassified,
    - else eps_i + gamma if x is correctly classified under PGD with this radius,
    - else eps_i if x is correctly classified under PGD with this radius,
    - else eps_i - gamma, at least 0,

    and eps_i becomes radius_rate candidate + (1 - radius_rate) eps_i. As in the authors' code eps_i
    may exceed eps; `radius_max` is an upper bound, in the warm-up too.
    """

    published_mode = "updating"

    def __init__(self, config: Config, n: int) -> None:
        super().__init__(config, n)
        self.radii = PerExampleState(n)

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        radii = self.new_radii(model, batch, epoch)
        self.radii.write(batch.indices, radii)
        x_adv = self.attack(model, batch.x, batch.y, radii)
        return Examples(batch.x, batch.y, x_adv, means={"radius": radii})

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        return self.cross_entropy(model(examples.x_adv), examples.y)

    def new_radii(self, model: nn.Module, batch: Batch, epoch: float) -> Tensor:
        """Return the new eps_i of each image, shape (n,)."""
        x, y, indices = batch
        config = self.config
        assert config.warmup is not None
        assert config.gamma is not None
        correct = self.correct(model, x, y)
        if epoch < config.warmup:
            return self.at_most_radius_max(config.eps * correct)
        old = self.radii.read(indices, x)
        larger, smaller = old + config.gamma, old - config.gamma
        x_old, x_larger = (self.attack(model, x, y, radii) for radii in (old, larger))
        correct_old, correct_larger = (self.correct(model, x_adv, y) for x_adv in (x_old, x_larger))
        candidate = torch.where(correct_old > 0, old, smaller)
        candidate = torch.where(correct_larger > 0, larger, candidate) * correct
        rate = config.radius_rate
        return self.at_most_radius_max(rate * candidate.clamp_min(0) + (1 - rate) * old)

    def at_most_radius_max(self, radii: Tensor) -> Tensor:
        largest = self.config.radius_max
        return radii if largest is None else radii.clamp_max(largest)

    def attack(self, model: nn.Module, x: Tensor, y: Tensor, radii: Tensor) -> Tensor:
        """Return the images of PGD. It starts at a random point of each ball, which is not clipped
        to the pixel bounds; the step size is 2 eps_i / steps, at least `step_size`."""
        config = self.config
        start = random_point(x, radii, config.lp, (-math.inf, math.inf))
        return pgd(
            model,
            x,
            y,
            eps=radii,
            step_size=(radii / (0.5 * config.steps)).clamp_min(config.step_size),
            steps=config.steps,
            norm=config.lp,
            start=start,
            mode=self.attack_mode,
            bounds=self.bounds,
        )

    def correct(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Return 1.0 for correctly classified images and 0.0 for others, shape (n,)."""
        with attack_mode(model, self.attack_mode) as network, torch.no_grad():
            return (network(x).argmax(1) == y).to(x)

    def state_dict(self) -> dict[str, Tensor]:
        return self.radii.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.radii.load_state_dict(state)
