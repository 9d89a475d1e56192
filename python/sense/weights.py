"""Load weights into a network: its own, or those of another project with other names.

Projects save a state dict itself, in a list, or under some name in a larger dictionary;
torch.compile, DataParallel and trainers add a prefix to each name. A state dict is loaded only if
its names and shapes match those of the network.
"""

import hashlib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from .errors import InputError
from .models.normalised import Normalised

MAX_DEPTH = 4  # of nested dictionaries, and number of prefixes of a name
MAX_SHOWN = 3  # names of each kind in a message
MAX_CHANNELS = 4  # of images; longer tensors are no mean or std of pixels
# Last part of the name of a buffer with the mean or std of pixels.
STATISTICS = {"mean": "mean", "mu": "mean", "std": "std", "sigma": "std"}
# What torch.compile and DataParallel add to names.
WRAPPER_PREFIXES = re.compile(r"(?<![^.])(?:_orig_mod|module)\.")

_log = logging.getLogger("sense")

Weights = dict[str, Tensor]


def load_matching_weights(
    network: nn.Module, state: Mapping[str, Any], source: object
) -> nn.Module:
    """Load weights into a network and return it, in evaluation mode.

    The weights for a `Normalised` network may be those of the network inside it. A mean and std
    that are stored beside the weights must then be those of the wrapper. If the network has none,
    a warning says that they are not used.

    Raises InputError, which names the differences, if they belong to another network or to other
    normalised images; `source` is what messages call their file.
    """
    wanted = _state(network)
    found = dict(find_state_dicts(state))
    if not found:
        raise InputError(f"{source} holds no weights: a state dict was expected")
    matching = _matching(found, wanted)
    target, statistics = network, {}
    if not matching and isinstance(network, Normalised):  # weights without its mean and std
        target, statistics = network.model, {"mean": network.mean, "std": network.std}
        wanted = _state(target)
        matching = _matching(found, wanted)
    if not matching:
        _refuse(found, wanted, source)
    name, weights = next(iter(matching.items()))
    _check_statistics(found, weights, statistics, source)
    if len(matching) > 1:
        _log.warning(
            "%s holds several state dicts that match (%s): %s is used. To use another one, save it "
            "alone with torch.save",
            source,
            ", ".join(matching),
            name,
        )
    target.load_state_dict(_with_batch_counts(weights, wanted), strict=False)
    return network.eval()


def find_state_dicts(
    state: Any, name: str = "", depth: int = MAX_DEPTH
) -> Iterator[tuple[str, Weights]]:
    """Yield all state dicts in a checkpoint with their path of keys, the outer ones first. In a
    list the key is the position, from 0."""
    if isinstance(state, (list, tuple)):
        state = {str(position): value for position, value in enumerate(state)}
        tensors = {}  # a list of tensors has no names
    elif not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        return
    else:
        tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if tensors:
        yield name, tensors
    if depth:
        for key, value in state.items():
            yield from find_state_dicts(value, f"{name}.{key}" if name else key, depth - 1)


def _state(network: nn.Module) -> Weights:
    return {
        name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)
    }


def _matching(found: dict[str, Weights], wanted: Weights) -> dict[str, Weights]:
    """Return the state dicts that match, by their path of keys, with the names of the network."""
    matching: dict[str, Weights] = {}
    for name, weights in found.items():
        for prefix, renamed in name_variants(weights):
            if not mismatches(renamed, wanted) and not _is_among(matching.values(), renamed):
                matching[".".join(filter(None, (name, prefix)))] = renamed
    return matching


def _is_among(others: Iterable[Weights], weights: Weights) -> bool:
    """Return whether one of the others has the same tensors: prefixes can be removed in several
    ways."""
    return any(all(other.get(key) is value for key, value in weights.items()) for other in others)


def _refuse(found: dict[str, Weights], wanted: Weights, source: object) -> NoReturn:
    """Raise the error that names the differences of the state dict with most names in common."""
    nearest = max(
        (renamed for weights in found.values() for _, renamed in name_variants(weights)),
        key=lambda weights: (len(wanted.keys() & weights.keys()), len(weights)),
    )
    raise InputError(
        f"the weights in {source} belong to another network: "
        f"{'; '.join(mismatches(nearest, wanted))}. Name the network that they belong to"
    )


def _check_statistics(
    found: dict[str, Weights], loaded: Weights, own: Weights, source: object
) -> None:
    """Compare the mean and std of pixels that are stored beside the weights with those of the
    wrapper. Without them a network of normalised images has wrong accuracies."""
    if any(_last(name) in STATISTICS for name in loaded):
        return  # the network has them itself
    stored = {
        STATISTICS[_last(name)]: value.flatten().float().cpu()
        for weights in found.values()
        for name, value in weights.items()
        if _last(name) in STATISTICS and value.numel() <= MAX_CHANNELS
    }
    if not stored:
        return
    text = " and ".join(f"{name} {_rounded(value)}" for name, value in sorted(stored.items()))
    if not own:
        _log.warning(
            "%s holds weights for normalised images (%s), but the network takes pixels as they "
            "are: pass it as sense.Normalised(network, mean, std)",
            source,
            text,
        )
        return
    for name, value in stored.items():
        mine = own[name].flatten().float().cpu()
        if len({1, len(mine), len(value)}) > 2 or not torch.allclose(mine, value, atol=1e-3):
            raise InputError(
                f"{source} holds weights for images normalised by {text}, but the network has "
                f"{name} {_rounded(mine)}: give Normalised the mean and std of the weights, "
                "divided by 255 if they are those of bytes"
            )


def _rounded(values: Tensor) -> str:
    return "[" + ", ".join(f"{value:.3g}" for value in values.tolist()) + "]"


def name_variants(weights: Weights, depth: int = MAX_DEPTH) -> Iterator[tuple[str, Weights]]:
    """Yield the weights under their own names; without the prefixes of torch.compile and
    DataParallel; and, for each other prefix, those that have it, without it. Each comes with the
    prefix that was removed ("" for none, and for those of torch.compile and DataParallel)."""
    yield "", weights
    bare = {WRAPPER_PREFIXES.sub("", name): value for name, value in weights.items()}
    if len(bare) == len(weights) and bare.keys() != weights.keys():
        yield "", bare
    prefixes = dict.fromkeys(name.partition(".")[0] for name in weights if "." in name)
    for prefix in prefixes if depth else ():
        shortened = {
            name.partition(".")[2]: value
            for name, value in weights.items()
            if name.startswith(f"{prefix}.")
        }
        for inner, renamed in name_variants(shortened, depth - 1):
            yield ".".join(filter(None, (prefix, inner))), renamed


def mismatches(weights: Weights, wanted: Weights) -> list[str]:
    """Return what does not match, in words: missing names, unknown names and different shapes.
    Batch counts, which old checkpoints lack, may be missing."""
    missing = [name for name in wanted if name not in weights and not _is_batch_count(name)]
    unknown = [name for name in weights if name not in wanted]
    shapes = [
        f"{name} is {tuple(weights[name].shape)}, the network's {tuple(value.shape)}"
        for name, value in wanted.items()
        if name in weights and weights[name].shape != value.shape
    ] + [
        f"{name} is {weights[name].dtype}"
        for name, value in wanted.items()
        if name in weights and _loses_meaning(weights[name], value)
    ]
    found = []
    if missing:
        found.append(f"{_first_few(missing)} missing")
    if unknown:
        found.append(f"{_first_few(unknown)} unknown to the network")
    return found + ([_first_few(shapes)] if shapes else [])


def _loses_meaning(found: Tensor, wanted: Tensor) -> bool:
    """Return whether a conversion would change more than the precision: of complex numbers to real
    ones, and of whole numbers, as of a quantised network, to weights."""
    if found.is_complex():
        return not wanted.is_complex()
    return wanted.is_floating_point() and not found.is_floating_point()


def _with_batch_counts(weights: Weights, wanted: Weights) -> Weights:
    zeros = {
        name: torch.zeros_like(value) for name, value in wanted.items() if _is_batch_count(name)
    }
    return zeros | weights


def _is_batch_count(name: str) -> bool:
    return _last(name) == "num_batches_tracked"


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _first_few(names: list[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(names[:MAX_SHOWN]) + more


def weights_sha256(model: nn.Module) -> str:
    """Return a hash of the values of all parameters and buffers, by name."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if isinstance(value, Tensor):
            plain = value.detach().cpu().contiguous()
            digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
            digest.update(plain.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
