"""Networks that seem robust and are not: each hides its gradients or its output in another way."""

import math

import torch
from torch import Tensor, nn


class Wrapped(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class Noisy(Wrapped):
    """Other logits each time."""

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x + 0.05 * torch.randn_like(x))


class Softmax(Wrapped):
    """Probabilities instead of logits."""

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x).softmax(1)


class Quantised(Wrapped):
    """Eight grey levels: constant almost everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        return self.network((x * 7).round() / 7)


class Stepped(Wrapped):
    """Activations of its first layer in sixteen levels: constant almost everywhere."""

    def forward(self, x: Tensor) -> Tensor:
        first, *rest = self.network.children()
        if isinstance(first, nn.Sequential):
            first, rest = first[0], [first[1:], *rest]
        x = (4 * first(x)).round() / 4
        for layer in rest:
            x = layer(x)
        return x


class Shuffled(Wrapped):
    """Correct logits, and wrong gradients."""

    def forward(self, x: Tensor) -> Tensor:
        logits = self.network(x)
        return _WrongGradient.apply(logits)


class _WrongGradient(torch.autograd.Function):
    """The identity, with the gradient of another class."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        return gradient.roll(1, 1).abs()


class Saturated(Wrapped):
    """Logits so large that the cross-entropy is 0 to the last bit, and flat."""

    def forward(self, x: Tensor) -> Tensor:
        return 1000 * self.network(x)


class Rippled(Wrapped):
    """Ripples with the period of a grey level: too small to change predictions, and so steep that
    the sign of a gradient is random, except at images of whole grey levels."""

    def forward(self, x: Tensor) -> Tensor:
        turn = 2 * math.pi * 255
        return self.network(x + 30 / turn * (turn * x).sin())


class Blocked(Wrapped):
    """No gradients."""

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)
