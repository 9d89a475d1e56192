"""Load weights into a network: its own, or those of another project with other names.

Projects save a state dict itself or under some name in a larger dictionary; torch.compile,
DataParallel and trainers add a prefix to each name. A state dict is loaded only if its names and
shapes match those of the network.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .errors import InputError
from .models.normalised import Normalised

MAX_DEPTH = 4  # of nested dictionaries, and number of prefixes of a name
MAX_SHOWN = 3  # names of each kind in a message
# What torch.compile and DataParallel add to names.
WRAPPER_PREFIXES = re.compile(r"(?<![^.])(?:_orig_mod|module)\.")

_log = logging.getLogger("sense")

Weights = dict[str, Tensor]


def load_matching_weights(
    network: nn.Module, state: Mapping[str, Any], source: object
) -> nn.Module:
    """Load weights into a network and return it, in evaluation mode.

    The weights for a `Normalised` network may be those of the network inside it.

    Raises InputError, which names the differences, if they belong to another network; `source` is
    what messages call their file.
    """
    wanted = {
        name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)
    }
    found = dict(find_state_dicts(state))
    matching = {
        name: renamed
        for name, weights in found.items()
        for renamed in name_variants(weights)
        if not mismatches(renamed, wanted)
    }
    if matching:
        name, weights = next(iter(matching.items()))
        if len(matching) > 1:
            _log.warning(
                "%s holds several state dicts that match (%s): %s is used",
                source,
                ", ".join(matching),
                name,
            )
        network.load_state_dict(_with_batch_counts(weights, wanted), strict=False)
        return network.eval()
    if not found:
        raise InputError(f"{source} holds no weights: a state dict was expected")
    if isinstance(network, Normalised):  # weights of the network without its mean and std
        load_matching_weights(network.model, state, source)
        return network.eval()
    nearest = min(
        (renamed for weights in found.values() for renamed in name_variants(weights)),
        key=lambda weights: len(wanted.keys() ^ weights.keys()),
    )
    raise InputError(
        f"the weights in {source} belong to another network: "
        f"{'; '.join(mismatches(nearest, wanted))}. Name the network that they belong to"
    )


def find_state_dicts(
    state: Any, name: str = "", depth: int = MAX_DEPTH
) -> Iterator[tuple[str, Weights]]:
    """Yield all state dicts in a checkpoint with their path of keys, the outer ones first."""
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        return
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if tensors:
        yield name, tensors
    if depth:
        for key, value in state.items():
            yield from find_state_dicts(value, f"{name}.{key}" if name else key, depth - 1)


def name_variants(weights: Weights, depth: int = MAX_DEPTH) -> Iterator[Weights]:
    """Yield the weights under their own names; without the prefixes of torch.compile and
    DataParallel; and, for each other prefix, those that have it, without it."""
    yield weights
    bare = {WRAPPER_PREFIXES.sub("", name): value for name, value in weights.items()}
    if len(bare) == len(weights) and bare.keys() != weights.keys():
        yield bare
    prefixes = dict.fromkeys(name.partition(".")[0] for name in weights if "." in name)
    for prefix in prefixes if depth else ():
        shortened = {
            name.partition(".")[2]: value
            for name, value in weights.items()
            if name.startswith(f"{prefix}.")
        }
        yield from name_variants(shortened, depth - 1)


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
        if name in weights and weights[name].is_complex() and not value.is_complex()
    ]
    found = []
    if missing:
        found.append(f"{_first_few(missing)} missing")
    if unknown:
        found.append(f"{_first_few(unknown)} unknown to the network")
    return found + ([_first_few(shapes)] if shapes else [])


def _with_batch_counts(weights: Weights, wanted: Weights) -> Weights:
    zeros = {
        name: torch.zeros_like(value) for name, value in wanted.items() if _is_batch_count(name)
    }
    return zeros | weights


def _is_batch_count(name: str) -> bool:
    return name.rpartition(".")[2] == "num_batches_tracked"


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
