"""Free adversarial training (Shafahi et al. 2019, "Adversarial training for free!"): each batch is
used several times, and the backward pass that updates the weights also updates the perturbation."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..attacks.fgsm import one_step
from ..attacks.geometry import ascent_direction, clip, project, random_point
from ..config import Config
from ..errors import InputError
from ..random_numbers import first_in_batch
from ..schedules import attack_size
from .base import Batch, Examples, TwoPartMethod


class FreeAdversarialTraining(TwoPartMethod):
    """Minimise CE(f(x + delta), y), where x + delta is clipped to the pixel bounds.

    delta belongs to the position in the batch, not to the image: it begins at 0 and is kept from
    step to step and from batch to batch. The backward pass of the loss also gives its gradient g;
    delta then becomes delta + `fgsm_step` sign(g), projected into the ball. As in the authors'
    code, g is zero where x + delta is clipped. Each batch is used `replays` times in succession.
    """

    state_by_position = True

    def __init__(self, config: Config, n: int = 0) -> None:
        super().__init__(config, n)
        self.replays = config.replays
        rows = config.batch_size + 1  # a last batch may have one image more
        self.updates = torch.zeros(rows, dtype=torch.int64)
        self.delta: Tensor | None = None  # on the device of the images, from the first batch on

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        x, y, _ = batch
        eps, step_size = attack_size(self.config, epoch)
        rows = slice(first_in_batch(), first_in_batch() + len(x))
        whole = self.delta = self.whole_delta(x.shape[1:]).to(x)
        delta = whole[rows].clone().requires_grad_()

        def ascend(gradient: Tensor) -> None:
            """Update delta; called in the backward pass."""
            moved = whole[rows] + step_size * ascent_direction(gradient, self.config.lp)
            unbounded = (-torch.inf, torch.inf)
            whole[rows] = project(moved, torch.zeros_like(moved), eps, self.config.lp, unbounded)
            self.updates[rows] += 1

        delta.register_hook(ascend)
        return Examples(x, y, clip(x + delta, self.bounds))

    def after_one_step(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Return the images after one step from a random point of the ball: delta belongs to other
        images."""
        eps, step_size = attack_size(self.config, math.inf)
        norm, bounds = self.config.lp, self.bounds
        start = random_point(x, eps, norm, bounds)
        return one_step(model, x, y, start, eps=eps, step_size=step_size, norm=norm, bounds=bounds)

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        return self.cross_entropy(model(examples.x_adv), examples.y)

    def whole_delta(self, shape: torch.Size | tuple[int, ...]) -> Tensor:
        """Return delta for all positions in a batch; zero before the first batch."""
        return torch.zeros(len(self.updates), *shape) if self.delta is None else self.delta

    def state_dict(self) -> dict[str, Tensor]:
        values = self.whole_delta(self.shape).detach().to("cpu", copy=True)
        return {"values": values, "updates": self.updates.clone()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        values, rows = state["values"], len(self.updates)
        if values.shape != (rows, *self.shape):
            raise InputError(
                f"the checkpoint has perturbations of shape {tuple(values.shape)}, but "
                f"{(rows, *self.shape)} is needed"
            )
        device = "cpu" if self.delta is None else self.delta.device
        self.delta, self.updates = values.to(device, copy=True), state["updates"].clone()
