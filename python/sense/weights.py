"""Weights put into a network: its own, or those of another project, whose names may differ.

Projects save a state dict as it is, or under a name of their own in a larger one; torch.compile,
DataParallel and trainers put a word before each name. What fits the network, name by name and shape
by shape, is taken, and nothing that does not.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .errors import InputError

DEPTH = 4  # of dictionaries in one another, and of words before a name
SHOWN = 3  # names of each kind in a message
# What torch.compile and DataParallel put into names.
WRAPPERS = re.compile(r"(?<![^.])(?:_orig_mod|module)\.")

_log = logging.getLogger("sense")

Weights = dict[str, Tensor]


def load_matching_weights(network: nn.Module, state: Mapping[str, Any], where: object) -> nn.Module:
    """The network with these weights, in evaluation mode.

    Raises InputError, which names what does not fit, where they are of another network; `where` is
    what it calls their place.
    """
    wanted = {
        name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)
    }
    found = dict(find_state_dicts(state))
    fitting = {
        name: renamed
        for name, weights in found.items()
        for renamed in name_variants(weights)
        if not differences(renamed, wanted)
    }
    if fitting:
        name, weights = next(iter(fitting.items()))
        if len(fitting) > 1:
            _log.warning(
                "%s holds several state dicts that fit (%s): %s is taken",
                where,
                ", ".join(fitting),
                name,
            )
        network.load_state_dict(_with_counts(weights, wanted), strict=False)
        return network.eval()
    if not found:
        raise InputError(f"{where} holds no weights: a state dict was expected")
    nearest = min(
        (renamed for weights in found.values() for renamed in name_variants(weights)),
        key=lambda weights: len(wanted.keys() ^ weights.keys()),
    )
    raise InputError(
        f"the weights in {where} are of another network: "
        f"{'; '.join(differences(nearest, wanted))}. Name the network that they belong to"
    )


def find_state_dicts(
    state: Any, name: str = "", depth: int = DEPTH
) -> Iterator[tuple[str, Weights]]:
    """All state dicts in a checkpoint, by the names that lead there: the outer ones first."""
    if not isinstance(state, Mapping) or not all(isinstance(key, str) for key in state):
        return
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if tensors:
        yield name, tensors
    if depth:
        for key, value in state.items():
            yield from find_state_dicts(value, f"{name}.{key}" if name else key, depth - 1)


def name_variants(weights: Weights, depth: int = DEPTH) -> Iterator[Weights]:
    """The weights under the names they have; without what torch.compile and DataParallel put before
    some of them or in between; and those behind each word that is before some of them, without it.
    """
    yield weights
    bare = {WRAPPERS.sub("", name): value for name, value in weights.items()}
    if len(bare) == len(weights) and bare.keys() != weights.keys():
        yield bare
    words = dict.fromkeys(name.partition(".")[0] for name in weights if "." in name)
    for word in words if depth else ():
        behind = {
            name.partition(".")[2]: value
            for name, value in weights.items()
            if name.startswith(f"{word}.")
        }
        yield from name_variants(behind, depth - 1)


def differences(weights: Weights, wanted: Weights) -> list[str]:
    """In words, what does not fit: names that are missing, that the network has not, and shapes
    that differ. Counts of batches, which old checkpoints lack, may be missing."""
    missing = [name for name in wanted if name not in weights and not _is_count(name)]
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
    told = []
    if missing:
        told.append(f"{_few(missing)} missing")
    if unknown:
        told.append(f"{_few(unknown)} unknown to the network")
    return told + ([_few(shapes)] if shapes else [])


def _with_counts(weights: Weights, wanted: Weights) -> Weights:
    zeros = {name: torch.zeros_like(value) for name, value in wanted.items() if _is_count(name)}
    return zeros | weights


def _is_count(name: str) -> bool:
    return name.rpartition(".")[2] == "num_batches_tracked"


def _few(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def weights_sha256(model: nn.Module) -> str:
    """A hash of all parameters and buffers, by name: of what is computed with, not of a file."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        if isinstance(value, Tensor):
            plain = value.detach().cpu().contiguous()
            digest.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
            digest.update(plain.view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
