"""A method of the user's own: a function that returns a loss, or a class derived from `Method`."""

from typing import Any

from torch import Tensor, nn

from ..config import Config
from ..errors import InputError
from ..extensions import Code
from .base import Batch, Method, Step


def build_own_method(code: Code, config: Config, n: int) -> Method:
    """Return the method of a class derived from `Method`, which is called with (config, n), or of a
    function `loss(model, batch, config, epoch)`."""
    if not isinstance(code.code, type):
        return FunctionMethod(code, config, n)
    if not issubclass(code.code, Method):
        raise InputError(
            f"method {code} must be a function that returns a loss, or a class derived from "
            "sense.methods.Method"
        )
    return code.code(config, n)


class FunctionMethod(Method):
    """A method that is a function `loss(model, batch, config, epoch)`, which returns the loss of a
    batch, or a `Step`."""

    def __init__(self, code: Code, config: Config, n: int = 0) -> None:
        super().__init__(config, n)
        self.code = code

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        result = self.code.code(model, batch, self.config, epoch)
        return result if isinstance(result, Step) else Step(result)


def check_own_step(name: str, step: Any) -> None:
    """Raise InputError unless a method of the user's own returned a `Step` with a loss."""
    loss = step.loss if isinstance(step, Step) else step
    if not isinstance(step, Step) or not isinstance(loss, Tensor) or loss.ndim != 0:
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise InputError(
            f"method {name} must return the mean loss of the batch, a tensor with one number (a "
            f"class: a sense.methods.Step that holds it), got {got}"
        )
    if not loss.requires_grad:
        raise InputError(
            f"method {name} returned a loss without a gradient (torch.no_grad, detach or .item() "
            "inside it)"
        )
