"""How the passes of a network are computed: in which floating point format, and by which code.

What is trained, saved and evaluated is the network itself, in float32: a run's files are the same
whichever way its passes were computed.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

Precision = Literal["float32", "tf32", "bfloat16", "float16"]
Compile = Literal["none", "default", "cuda-graphs"]
HALF = {"bfloat16": torch.bfloat16, "float16": torch.float16}
RECOMPILE_LIMIT = 64  # what torch.compile makes at most: a piece for each mode and batch size
GRADIENT_SCALE = 256.0  # of float16, on the way back through the network in an attack


class Computed(nn.Module):
    """A network whose passes are computed in another way; its logits are float32 in any case, so
    that losses, and the comparison of p_y with c, are.

    Modes, parameters and buffers are those of the network itself, which stays as it is.
    """

    def __init__(self, network: nn.Module, precision: Precision | None, code: Compile) -> None:
        super().__init__()
        self.network = network
        self.format = HALF.get(precision or "float32")
        # Not a submodule, or it would have each of the network's names a second time.
        self._run: tuple[Callable[[Tensor], Tensor]] = (compiled(network, code),)
        self._overwritten = code == "cuda-graphs"

    def forward(self, x: Tensor) -> Tensor:
        if self.format is None:
            logits = self._run[0](x)
        else:
            # An attack asks for the gradient of the images and never of the weights: what a scale
            # does to these does not matter. In training GradScaler looks after them.
            scaled = x.requires_grad and self.format is torch.float16
            with torch.autocast(x.device.type, self.format):
                logits = self._run[0](scale_gradient(x, 1 / GRADIENT_SCALE) if scaled else x)
            logits = logits.float()
            logits = scale_gradient(logits, GRADIENT_SCALE) if scaled else logits
        # The next replay of a CUDA graph writes its result where this one did.
        return logits.clone() if self._overwritten else logits


def compiled(network: nn.Module, code: Compile) -> Callable[[Tensor], Tensor]:
    """The network, or code that torch.compile makes of it when it first meets a mode or a size."""
    if code == "none":
        return network
    # By default the ninth piece and all after it would be run as they are, with a warning alone.
    torch.compiler.config.recompile_limit = RECOMPILE_LIMIT
    mode = "reduce-overhead" if code == "cuda-graphs" else "default"
    run: Callable[[Tensor], Tensor] = torch.compile(network, mode=mode)
    return run


class _ScaleGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.factor * gradient, None


def scale_gradient(x: Tensor, factor: float) -> Tensor:
    """x, whose gradient is multiplied by the factor on its way back."""
    return _ScaleGradient.apply(x, factor)


def prepare(network: nn.Module, precision: Precision | None, code: Compile) -> nn.Module:
    """The network as methods shall call it: itself, where nothing is to be done in another way."""
    if precision not in HALF and code == "none":
        return network
    return Computed(network, precision, code)


class Descent:
    """The update of an optimizer. In float16 small gradients would become 0, so the loss is scaled
    up, and gradients that became infinite by it are left out (`torch.amp.GradScaler`)."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, precision: Precision | None, device: torch.device
    ) -> None:
        self.optimizer = optimizer
        self.scaler = torch.amp.GradScaler(device.type, enabled=precision == "float16")

    def backward(self, loss: Tensor) -> None:
        """New gradients, those of the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()

    def step(self) -> None:
        """The update by these gradients."""
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def state_dict(self) -> dict[str, Any]:
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
