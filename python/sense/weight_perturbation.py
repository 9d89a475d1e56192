"""Adversarial weight perturbation, AWP (Wu et al. 2020, "Adversarial weight perturbation helps
robust generalization"): the gradient of the loss is taken at weights that increase the loss."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter

from .attacks.modes import in_attack
from .methods import Batch, Method, Step, TwoPartMethod

TINY = 1e-20  # as in the authors' code: keeps the ratio finite if the gradient is zero


class PerturbedWeights(Method):
    """A method whose loss is computed at perturbed weights.

    The examples of the batch are made at the weights w. One ascent step on the loss of these
    examples gives the perturbation of each layer l, v_l = gamma |w_l| g_l / |g_l|, where g is the
    gradient at w (eqs. 8 and 10 with one step, as in the authors' code). The loss is that of the
    same examples at w + v. As in the authors' code, only parameters with two or more dimensions
    are moved (not biases and not those of batch norm), and only the passes at w + v, and attacks
    in mode "updating", update running statistics.

    The weights stay moved, since the backward pass needs them: see `restored_weights`.

    Parameters
    ----------
    method
        The method.
    gamma
        Size of the perturbation relative to the norm of the weights of a layer.
    weight
        Weight of this process's loss in that of the whole batch.
    total
        Returns the sums of tensors over all processes.
    """

    def __init__(
        self,
        method: TwoPartMethod,
        gamma: float,
        weight: Tensor | float = 1.0,
        total: Callable[[list[Tensor]], list[Tensor]] = list,
    ) -> None:
        self.method, self.gamma, self.weight, self.total = method, gamma, weight, total

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        weights = perturbed_parameters(model)
        with kept_statistics(model):
            examples = self.method.examples(model, batch, epoch)
            examples = replace(examples, natural_logits=None)  # those of w
            loss = self.weight * self.method.loss(model, examples)
            found = torch.autograd.grad(loss, weights, allow_unused=True)
        pairs = zip(found, weights, strict=True)
        gradients = self.total([torch.zeros_like(w) if g is None else g for g, w in pairs])
        move_weights(weights, gradients, self.gamma)
        return Step(self.method.loss(model, examples), examples.stages, examples.means)


@torch.no_grad()
def move_weights(weights: list[Tensor], gradients: list[Tensor], gamma: float) -> None:
    """Add gamma |w| g / |g| to each of the weights w, with its gradient g.

    If a number of a gradient is NaN or infinite, nothing is moved: the loss or its gradient at the
    same weights then has the same fault, and training stops with its message.
    """
    norms = torch.stack(torch._foreach_norm(gradients))
    sizes = gamma * torch.stack(torch._foreach_norm(weights)) / (norms + TINY)
    finite = norms.isfinite().all()  # not read by Python, which would wait for the device
    steps = torch._foreach_mul(gradients, list(sizes.unbind()))
    torch._foreach_add_(weights, [torch.where(finite, step, 0.0) for step in steps])


def perturbed_parameters(model: nn.Module) -> list[Tensor]:
    """Return the parameters that AWP moves."""
    return [p for p in model.parameters() if p.requires_grad and p.dim() > 1]


@contextmanager
def restored_weights(weights: Sequence[Tensor]) -> Iterator[None]:
    """Restore these weights afterwards, bit for bit."""
    saved = [weight.detach().clone() for weight in weights]
    try:
        yield
    finally:
        if saved:
            with torch.no_grad():
                torch._foreach_copy_(list(weights), saved)


@contextmanager
def kept_statistics(model: nn.Module) -> Iterator[None]:
    """Inside, a forward pass of the model leaves its buffers as they were, except in an attack."""
    saved: list[Tensor] = []

    def before(*_: object) -> None:
        saved[:] = [] if in_attack() else [buffer.clone() for buffer in model.buffers()]

    def after(*_: object) -> None:
        buffers = tuple(model.buffers()) if saved else ()
        # Without a new version for autograd: the backward pass is still to come.
        with torch.no_grad(), _unsafe_preserve_version_counter(buffers):
            for buffer, value in zip(buffers, saved, strict=True):
                buffer.copy_(value)

    hooks = [model.register_forward_pre_hook(before), model.register_forward_hook(after)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
