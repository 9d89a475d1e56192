"""Checkpoints and weights, checked before they are believed.

A checkpoint has its sum in itself, and keeps the one before it, for the day that the newest is
damaged. The sum of the weights is in the folder's manifest. Nothing is ever unpickled beyond
tensors and plain values.
"""

import hashlib
import io
import os
import pickle
import struct
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as safetensors_load
from safetensors.torch import save as safetensors_save
from torch import Tensor

from .errors import InputError, MissingFileError
from .files import read_file, write_atomically
from .manifest import MANIFEST
from .networks import saveable_state_dict
from .run_folder import CHECKPOINT, CHECKPOINT_LIMIT, LIMITS, PREVIOUS, RunFolder
from .weights import find_state_dicts

WEIGHTS = "model.safetensors"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one it replaces stays as checkpoint-previous.pt."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(folder / CHECKPOINT, seal(buffer.getvalue()), backup=folder / PREVIOUS)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint, whole or not."""
    return any(os.path.lexists(folder / name) for name in (CHECKPOINT, PREVIOUS))


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The newest checkpoint that is whole.

    Raises FileNotFoundError where there is none, ValueError where each is damaged.
    """
    problems: list[str] = []
    for path in (folder / CHECKPOINT, folder / PREVIOUS):
        if not os.path.lexists(path):
            continue
        try:
            state = _read(path)
        except ValueError as error:
            problems.append(f"{path.name} is damaged ({error})")
            continue
        if problems:
            warnings.warn(f"{problems[0]}: going on from {path.name}", stacklevel=2)
        return state
    if problems:
        raise InputError(f"no checkpoint in {folder} can be used: {'; '.join(problems)}")
    raise MissingFileError(f"no {CHECKPOINT} in {folder}: this is not a run, or it never began")


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a run. Raises ValueError where they are not those that were written."""
    return unpack_weights(RunFolder(folder).read(WEIGHTS), folder / WEIGHTS)


def read_weights(path: Path) -> dict[str, Any]:
    """What is in a safetensors file, a checkpoint of ours, or a .pt file of nothing but tensors and
    plain values: a state dict, or a larger dictionary with one in it, as `load_matching_weights`
    takes it.

    Raises ValueError where the file is damaged, or holds something that would have to be unpickled.
    """
    if path.name == WEIGHTS and os.path.lexists(path.with_name(MANIFEST)):
        return load_weights(path.parent)
    if path.suffix == ".safetensors":
        return unpack_weights(read_file(path, LIMITS[WEIGHTS], follow=True), path)
    try:
        if path.name in (CHECKPOINT, PREVIOUS):
            state = _read(path)
        else:
            state = _unpickle(read_file(path, CHECKPOINT_LIMIT, follow=True))
    except Exception as error:  # torch's reader stumbles over rubbish in many ways
        raise InputError(f"{path} cannot be read as weights: {error}") from None
    if not any(find_state_dicts(state)):
        raise InputError(f"{path} holds no weights: a state dict was expected")
    return state


def pack_weights(weights: dict[str, Tensor]) -> bytes:
    """Weights as the bytes of a safetensors file."""
    return safetensors_save(saveable_state_dict(weights))


def unpack_weights(content: bytes, where: Path | str = "the weights") -> dict[str, Tensor]:
    """The weights in the bytes of a safetensors file, which an error calls `where`."""
    try:
        return safetensors_load(content)
    except SafetensorError as error:
        raise InputError(f"{where} is no safetensors file, or damaged: {error}") from None


def seal(content: bytes) -> bytes:
    """A zip file's bytes with their SHA-256 as its comment, which readers of zip files leave alone.

    The checksums within a zip file do not cover its headers: there, one flipped bit is enough for
    torch to load other numbers without a word.
    """
    digest = hashlib.sha256(content).hexdigest().encode()  # 64 bytes
    return content[:-2] + struct.pack("<H", len(digest)) + digest


def _read(path: Path) -> dict[str, Any]:
    """A checkpoint file. Raises ValueError with what is wrong with it."""
    content = read_file(path, CHECKPOINT_LIMIT)
    if content != seal(content[: -2 - 64] + b"\0\0"):
        raise InputError("its SHA-256 is not the one it was written with")
    return _unpickle(content)


def _unpickle(content: bytes) -> Any:
    """Tensors and plain values. Raises ValueError for anything else."""
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError("it holds more than tensors and plain values") from None
    except Exception as error:  # torch's reader stumbles over rubbish in many ways
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"torch cannot read it: {reason}") from None
