"""What a network must be, to be trained or evaluated: asked before the first step, in the same
words for both."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from .attacks.modes import attack_mode
from .attacks.output_checks import check_logits, logits_of
from .errors import InputError, NotFiniteError
from .random_numbers import preserved_random_state

SUM_IS_ONE = 1e-5  # of probabilities
CHECKED_IMAGES = 2


class LogitsModel(nn.Module):
    """A network whose output object has `.logits`, as one that gives these alone."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training

    def forward(self, x: Tensor) -> Tensor:
        return logits_of(self.network(x))


def logits_model(network: nn.Module, x: Tensor) -> nn.Module:
    """The network, or where its output is an object with `.logits` one that gives these. Takes a
    pass on the first image, in evaluation mode."""
    with attack_mode(network, "evaluation"), preserved_random_state():
        output = network(x[:1])
    return network if isinstance(output, Tensor) else LogitsModel(network)


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Inside, tensors are float32 unless they say otherwise, and gradients can be had, whatever the
    caller has set: results do not depend on it."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            yield
    finally:
        torch.set_default_dtype(dtype)


def check_network(
    network: nn.Module, x: Tensor, y: Tensor, *, classes: int = 0, gradients_for: str | None = None
) -> None:
    """Raise InputError unless the network gives finite logits for each image, in evaluation mode.

    Parameters
    ----------
    network
        Is left as it was, and so is torch's random state.
    x, y
        Float32 images, on the network's device, the first few of which are passed through; int64
        labels.
    classes
        How many classes the data have: the network must know as many.
    gradients_for
        What asks for gradients with respect to the images, such as "pgd".
    """
    _check_weights_can_be_used(network)
    needed = max(classes, int(y.max()) + 1 if len(y) else 0)
    x = x[:CHECKED_IMAGES].clone()
    with attack_mode(network, "evaluation"), preserved_random_state():
        passed = x.clone()
        version = passed._version
        check_logits(_first_pass(network, passed), len(x), needed)
        if passed._version != version:
            raise InputError(
                "the network changes its images in place: have its first operation make a copy"
            )
        x.requires_grad_()
        logits = logits_of(network(x))
        if gradients_for and not _has_image_gradient(logits, x):
            raise InputError(
                "the network gives no gradients with respect to its images (torch.no_grad, detach, "
                f"or .data inside it), which {gradients_for} needs"
            )


def check_trainable(
    network: nn.Module, x: Tensor, y: Tensor, *, classes: int, smallest_batch: int, attacked: bool
) -> None:
    """Raise InputError, before the first step, unless the network can be trained on batches of
    these images and saved. `attacked` says whether gradients of images are needed too."""
    check_network(
        network, x, y, classes=classes, gradients_for="adversarial training" if attacked else None
    )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError("the network has no parameter that can be trained (requires_grad)")
    with attack_mode(network, "evaluation"), preserved_random_state(), torch.no_grad():
        logits = logits_of(network(x))
    if are_probabilities(logits).all():
        raise InputError(
            "the network gives probabilities, not logits: the loss would take them through another "
            "softmax; train it without its last softmax"
        )
    n = min(smallest_batch, len(x))
    with attack_mode(network, "training"), preserved_random_state():
        network.train()
        _check_training_pass(network, x[:n], y[:n])


def are_probabilities(outputs: Tensor) -> Tensor:
    """Which rows of outputs are probabilities: numbers of 0 to 1 whose sum is 1. Boolean, (n,)."""
    within = ((outputs >= -SUM_IS_ONE) & (outputs <= 1 + SUM_IS_ONE)).all(1)
    return within & ((outputs.sum(1) - 1).abs() < SUM_IS_ONE)


@torch.no_grad()
def check_finite_weights(network: nn.Module, when: str) -> None:
    """Raise NotFiniteError where a weight or a buffer is NaN or infinite, naming it."""
    tensors = {
        name: value
        for name, value in network.state_dict().items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    sums = [value.detach().double().sum() for value in tensors.values()]
    if not sums or torch.isfinite(torch.stack(sums)).all():
        return
    for name, value in tensors.items():
        bad = int((~torch.isfinite(value)).sum())
        if bad:
            raise NotFiniteError(
                f"{bad} of the {value.numel()} numbers of {name} are NaN or infinite {when}"
            )


def check_finite_gradients(network: nn.Module, when: str) -> None:
    """Raise NotFiniteError where the gradient of a parameter is NaN or infinite, naming it."""
    gradients = {
        name: parameter.grad
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }
    if not gradients or torch.isfinite(nn.utils.get_total_norm(gradients.values())):
        return
    for name, gradient in gradients.items():
        if not torch.isfinite(gradient).all():
            raise NotFiniteError(f"the gradient of {name} is NaN or infinite {when}")


def _check_weights_can_be_used(network: nn.Module) -> None:
    """Finite all of them, and such that gradients can be had of them."""
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if value.is_inference():
            raise InputError(
                f"the network's {name} was made inside torch.inference_mode, so no gradient can be "
                "had: make the network outside"
            )
    check_finite_weights(network, "in the network that was given")


@torch.no_grad()
def _first_pass(network: nn.Module, x: Tensor) -> Any:
    """What the network gives, or an error that names weights of another type than the images."""
    try:
        return logits_of(network(x))
    except RuntimeError as error:
        for name, value in network.named_parameters():
            if value.dtype != x.dtype:
                raise InputError(
                    f"the network's {name} is {value.dtype}, images are {x.dtype}: pass "
                    "network.float()"
                ) from error
        raise


def _has_image_gradient(logits: Tensor, x: Tensor) -> bool:
    if not logits.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(logits.sum(), x, allow_unused=True, retain_graph=True)
    return gradient is not None


def _check_training_pass(network: nn.Module, x: Tensor, y: Tensor) -> None:
    """A pass forwards and backwards in training mode, on as few images as there may be at once."""
    what = f"a batch of {len(x)} image{'s' if len(x) > 1 else ''}"
    try:
        logits = logits_of(network(x))
    except ValueError as error:  # torch's batch norm
        raise InputError(
            f"the network cannot be trained on {what} ({error}): choose --batch-size and "
            "--train-size such that there are 2 or more"
        ) from error
    check_logits(logits, len(x), 0)
    wanted = [parameter for parameter in network.parameters() if parameter.requires_grad]
    loss = F.cross_entropy(logits, y)
    gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        raise InputError(
            "no parameter of the network has a gradient (torch.no_grad, or detach, inside it), so "
            "it cannot be trained"
        )


def initialise_lazy_modules(network: nn.Module, x: Tensor) -> None:
    """Give lazy modules, if there are any, their weights, by a pass of these images."""
    lazy = (UninitializedParameter, UninitializedBuffer)
    if any(isinstance(value, lazy) for value in [*network.parameters(), *network.buffers()]):
        with preserved_random_state(), torch.no_grad():
            network.eval()(x)


def uncompiled(network: nn.Module) -> nn.Module:
    """The network itself, where torch.compile has wrapped it: the wrapper's weights have other
    names."""
    inner: Any = getattr(network, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else network


def saveable_state_dict(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state dict as it can be saved: contiguous, and tensors that share memory (tied weights, a
    layer registered twice) each with its own copy. Raises InputError for what is no plain tensor.
    """
    saved: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
            kind = type(value).__name__ if not isinstance(value, Tensor) else f"{value.layout}"
            raise InputError(
                f"the network's {name} is a {kind}, which cannot be saved: keep plain tensors as "
                "parameters and buffers"
            )
        value = value.detach().contiguous()
        place = value.untyped_storage().data_ptr()
        saved[name] = value.clone() if place in seen and value.numel() else value
        seen.add(place)
    return saved
