"""Checks of a network before it is trained or evaluated, with the same messages for both."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attacks.modes import attack_mode
from .attacks.output_checks import check_logits, logits_of
from .devices import check_has_values, is_lazy
from .errors import InputError, NotFiniteError
from .random_numbers import preserved_random_state

CHECKED_IMAGES = 2
BATCH_OF_COMPARISON = 16  # images whose logits are compared with those of the first one alone
BATCH_TOLERANCE = 0.01  # of the largest logit; rounding is far below it

_log = logging.getLogger("sense")


class LogitsModel(nn.Module):
    """A network that returns an object with `.logits`, as a module that returns the logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.training = network.training

    def forward(self, x: Tensor) -> Tensor:
        return logits_of(self.network(x))


@contextmanager
def torch_defaults() -> Iterator[None]:
    """Inside, the default dtype is float32, gradients are enabled and autocast is off: results do
    not depend on what the caller has set."""
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    devices = [name for name in ("cpu", "cuda") if torch.is_autocast_enabled(name)]
    try:
        with ExitStack() as stack, torch.inference_mode(False), torch.enable_grad():
            for name in devices:
                stack.enter_context(torch.autocast(name, enabled=False))
            yield
    finally:
        torch.set_default_dtype(dtype)


def check_network(
    network: nn.Module, x: Tensor, y: Tensor, *, classes: int = 0, gradients_for: str | None = None
) -> nn.Module:
    """Check that a network returns finite logits in evaluation mode, by one forward pass.

    Parameters
    ----------
    network
        Its state, its mode and torch's random state are left unchanged.
    x, y
        Float32 images on the network's device, of which the first `CHECKED_IMAGES` are used; int64
        labels.
    classes
        Number of classes of the data. The network must have at least as many logits.
    gradients_for
        What needs gradients with respect to the images, such as "pgd". Default: nothing.

    Returns
    -------
    The network, wrapped in `LogitsModel` if its output is an object with `.logits`.

    Raises InputError if a check fails.
    """
    return _check_evaluation_pass(network, x, y, classes, gradients_for)[0]


def check_trainable(
    network: nn.Module, x: Tensor, y: Tensor, *, classes: int, smallest_batch: int, attacked: bool
) -> nn.Module:
    """`check_network` for training: also check that gradients of the loss exist, in training mode,
    on a batch of `smallest_batch` images. `attacked`: gradients of the images are needed too."""
    needed_by = "adversarial training" if attacked else None
    model, logits = _check_evaluation_pass(network, x, y, classes, needed_by)
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise InputError("the network has no parameter that can be trained (requires_grad)")
    if are_probabilities(logits).all():
        raise InputError(
            "the network returns probabilities, not logits, and the loss would apply another "
            "softmax to them: train it without its last softmax"
        )
    if logits.shape[1] > classes:
        _log.warning(
            "the network gives %d logits for %d classes: replace its last layer, unless the other "
            "outputs are to be trained too",
            logits.shape[1],
            classes,
        )
    n = min(smallest_batch, len(x))
    with attack_mode(network, "training"), preserved_random_state():
        network.train()
        gives_tensor = _check_training_pass(network, x[:n], y[:n])
    return model if gives_tensor or isinstance(model, LogitsModel) else LogitsModel(network)


def are_probabilities(outputs: Tensor) -> Tensor:
    """Return which rows hold numbers from 0 to 1 with the sum 1. Boolean, shape (n,).

    The tolerance is AutoAttack's."""
    tolerance = 1e-5
    in_range = ((outputs >= -tolerance) & (outputs <= 1 + tolerance)).all(1)
    return in_range & ((outputs.sum(1) - 1).abs() < tolerance)


@torch.no_grad()
def check_finite_weights(network: nn.Module, when: str) -> None:
    """Raise NotFiniteError that names the first parameter or buffer that is NaN or infinite."""
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
    """Raise NotFiniteError that names the first parameter whose gradient is NaN or infinite."""
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


def _check_evaluation_pass(
    network: nn.Module, x: Tensor, y: Tensor, classes: int, gradients_for: str | None
) -> tuple[nn.Module, Tensor]:
    """Return the network as one that returns logits, and the logits of the first images."""
    _check_weights(network)
    needed = max(classes, int(y.max()) + 1 if len(y) else 0)
    with attack_mode(network, "evaluation"), preserved_random_state():
        images = x[:CHECKED_IMAGES].clone().requires_grad_()
        passed = images.clone()  # not a leaf, so autograd allows changes in place
        version = passed._version
        with _explained_errors(network, passed):
            output = network(passed)
        logits = logits_of(output)
        check_logits(logits, len(images), needed)
        if passed._version != version or _changes_images(network, images.detach()):
            raise InputError(
                "the network changes its images in place: have its first operation make a copy"
            )
        with _explained_errors(network, images):
            without_gradient = bool(gradients_for) and not _has_image_gradient(logits, images)
        if without_gradient:
            raise InputError(
                "the network gives no gradients with respect to its images (torch.no_grad, detach, "
                f"or .data inside it), which {gradients_for} needs"
            )
    return network if isinstance(output, Tensor) else LogitsModel(network), logits.detach()


def _changes_images(network: nn.Module, images: Tensor) -> bool:
    """Return whether a pass without gradients changes the images, which autograd does not see."""
    passed = images.clone()
    with torch.no_grad(), _explained_errors(network, passed):
        network(passed)
    return not torch.equal(passed, images)


def warn_of_batch_dependence(network: nn.Module, x: Tensor) -> None:
    """Warn if the logits of an image depend on the other images of its batch. Not noticed for a
    network with random outputs."""
    images = x[: min(len(x), BATCH_OF_COMPARISON)]
    with attack_mode(network, "evaluation"), preserved_random_state(), torch.no_grad():
        together, again = (logits_of(network(images.clone())) for _ in range(2))
        alone = logits_of(network(images[:1].clone()))
    allowed = BATCH_TOLERANCE * max(1.0, float(together.abs().max()))
    difference = float((together[:1] - alone).abs().max())
    if torch.equal(together, again) and difference > allowed:
        _log.warning(
            "the logits of an image depend on the other images of its batch (by up to %.2g of %.2g "
            "among %d images): accuracies depend on --batch, and an attack on one image moves the "
            "logits of others",
            difference,
            float(together.abs().max()),
            len(images),
        )


def _check_weights(network: nn.Module) -> None:
    """Raise InputError if a weight has no values, is not finite or cannot have a gradient."""
    check_has_values(network)
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if value.is_inference():
            raise InputError(
                f"the network's {name} was created inside torch.inference_mode and cannot have a "
                "gradient: create the network outside of it"
            )
    check_finite_weights(network, "in the network that was passed")


@contextmanager
def _explained_errors(network: nn.Module, x: Tensor) -> Iterator[None]:
    """Inside is the first pass of a network, which may be anybody's, on x: raise its error as an
    InputError with the shape of x, but not that the memory was too small."""
    try:
        yield
    except (InputError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        for name, value in network.named_parameters():
            if value.is_floating_point() and value.dtype != x.dtype:
                raise InputError(
                    f"the network's {name} is {value.dtype}, images are {x.dtype}: pass "
                    "network.float()"
                ) from error
        words = next(iter(str(error).splitlines()), "")
        raise InputError(
            f"the network fails on a batch of shape {tuple(x.shape)} ({type(error).__name__}: "
            f"{words}): pass one that takes inputs of shape {tuple(x.shape[1:])}"
        ) from error


def _has_image_gradient(logits: Tensor, x: Tensor) -> bool:
    if not logits.requires_grad:
        return False
    (gradient,) = torch.autograd.grad(logits.sum(), x, allow_unused=True)
    return gradient is not None


def _check_training_pass(network: nn.Module, x: Tensor, y: Tensor) -> bool:
    """Check a forward and a backward pass in training mode. Return whether the output is a tensor:
    some networks have further outputs in this mode only."""
    batch = f"a batch of {len(x)} image{'s' if len(x) > 1 else ''}"
    with _explained_errors(network, x):
        try:
            output = network(x)
        except ValueError as error:  # torch's batch norm
            raise InputError(
                f"the network cannot be trained on {batch} ({error}): choose --batch-size and "
                "--train-size such that each batch has at least 2 images"
            ) from error
    logits = logits_of(output)
    check_logits(logits, len(x), 0)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    loss = F.cross_entropy(logits, y)
    with _explained_errors(network, x):
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    if all(gradient is None for gradient in gradients):
        raise InputError(
            "no parameter of the network has a gradient (torch.no_grad or detach inside it), so it "
            "cannot be trained"
        )
    return isinstance(output, Tensor)


def initialise_lazy_modules(network: nn.Module, x: Tensor) -> None:
    """Initialise the weights of lazy modules, if there are any, by a forward pass of x. Raises
    InputError if the network does not take x."""
    if any(map(is_lazy, [*network.parameters(), *network.buffers()])):
        with preserved_random_state(), torch.no_grad(), _explained_errors(network, x):
            network.eval()(x)


def uncompiled(network: nn.Module) -> nn.Module:
    """Return the network inside the wrapper of torch.compile, which has other parameter names; any
    other network unchanged."""
    inner: Any = getattr(network, "_orig_mod", None)
    return inner if isinstance(inner, nn.Module) else network


def saveable_state_dict(weights: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a state dict that safetensors can save: each tensor contiguous, in memory of its own
    (tied weights and layers that are registered twice are copied).

    Raises InputError for a value that is not a dense tensor.
    """
    saved: dict[str, Tensor] = {}
    storages: set[int] = set()
    for name, value in weights.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
            kind = type(value).__name__ if not isinstance(value, Tensor) else f"{value.layout}"
            raise InputError(
                f"the network's {name} is a {kind}, which cannot be saved: use dense tensors as "
                "parameters and buffers"
            )
        value = value.detach().contiguous()
        storage = value.untyped_storage().data_ptr()
        saved[name] = value.clone() if storage in storages and value.numel() else value
        storages.add(storage)
    return saved
