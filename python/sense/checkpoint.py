"""Checkpoints and weights, checked before they are used.

A checkpoint file contains its own checksum. The previous checkpoint is kept, in case the newest is
damaged. The checksum of the weights is in the folder's manifest. Only tensors and plain values are
unpickled.
"""

import hashlib
import io
import os
import pickle
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as safetensors_load
from safetensors.torch import save as safetensors_save
from torch import Tensor

from .errors import InputError, MissingFileError
from .files import read_file, write_atomically
from .manifest import MANIFEST, read_manifest
from .networks import saveable_state_dict
from .run_folder import CHECKPOINT, CHECKPOINT_LIMIT, LIMITS, PREVIOUS, RunFolder
from .weights import find_state_dicts

WEIGHTS = "model.safetensors"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one that it replaces becomes checkpoint-previous.pt."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(folder / CHECKPOINT, seal(buffer.getvalue()), backup=folder / PREVIOUS)


def has_checkpoint(folder: Path) -> bool:
    """Return whether there is a checkpoint, valid or damaged."""
    return any(os.path.lexists(folder / name) for name in (CHECKPOINT, PREVIOUS))


def load_checkpoint(
    folder: Path, fault: Callable[[dict[str, Any]], str | None] = lambda state: None
) -> dict[str, Any]:
    """Return the newest valid checkpoint. `fault` returns what is wrong with the content of one, or
    None: such a checkpoint is only used if there is no other.

    Raises MissingFileError if there is no checkpoint, InputError if all are damaged.
    """
    problems: list[str] = []
    usable: tuple[str, dict[str, Any]] | None = None
    for path in (folder / CHECKPOINT, folder / PREVIOUS):
        if not os.path.lexists(path):
            continue
        try:
            state = _read(path)
        except ValueError as error:
            problems.append(f"{path.name} is damaged ({error})")
            continue
        if found := fault(state):
            problems.append(f"{path.name} has a fault ({found})")
            usable = usable or (path.name, state)
            continue
        usable = path.name, state
        break
    if usable:
        name, state = usable
        if problems:
            warnings.warn(f"{'; '.join(problems)}: resuming from {name}", stacklevel=2)
        return state
    if problems:
        raise InputError(f"no checkpoint in {folder} can be used: {'; '.join(problems)}")
    raise MissingFileError(
        f"no {CHECKPOINT} in {folder}: pass the folder of a run that has trained at least a step"
    )


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a run. Raises InputError if the file was damaged or changed."""
    return unpack_weights(RunFolder(folder).read(WEIGHTS), folder / WEIGHTS)


def weights_file_sha256(folder: Path) -> str | None:
    """Return the SHA-256 of the file of a run's weights, as its manifest has it. None if there is
    no such file, or it is being replaced."""
    manifest = read_manifest(folder)
    entry = None if manifest is None else manifest.entries.get(WEIGHTS)
    if entry is None or not entry.settled or entry.current is None:
        return None
    return entry.current.sha256


def read_weights(path: Path) -> dict[str, Any]:
    """Return the content of a safetensors file, a checkpoint of this package, or a .pt file of
    tensors and plain values: a state dict, or a dictionary that contains one.

    Raises InputError if the file is damaged or contains other objects.
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
    except Exception as error:  # torch raises many kinds of errors for invalid files
        raise InputError(f"{path} cannot be read as weights: {error}") from None
    if not any(find_state_dicts(state)):
        raise InputError(f"{path} holds no weights: a state dict was expected")
    return state


def pack_weights(weights: dict[str, Tensor]) -> bytes:
    """Return weights as the bytes of a safetensors file."""
    return safetensors_save(saveable_state_dict(weights))


def unpack_weights(content: bytes, name: Path | str = "the weights") -> dict[str, Tensor]:
    """Return the weights in the bytes of a safetensors file; `name` is for error messages."""
    try:
        return safetensors_load(content)
    except SafetensorError as error:
        raise InputError(f"{name} is not a safetensors file, or is damaged: {error}") from None


def seal(content: bytes) -> bytes:
    """Return the bytes of a zip file with their SHA-256 as its comment, which zip readers ignore.

    The checksums in a zip file do not cover its headers: with one flipped bit there torch loads
    other numbers without an error.
    """
    digest = hashlib.sha256(content).hexdigest().encode()  # 64 bytes
    return content[:-2] + struct.pack("<H", len(digest)) + digest


def _read(path: Path) -> dict[str, Any]:
    """Return the content of a checkpoint file. Raises InputError if it is damaged."""
    content = read_file(path, CHECKPOINT_LIMIT)
    if content != seal(content[: -2 - 64] + b"\0\0"):
        raise InputError("its SHA-256 differs from the stored one")
    return _unpickle(content)


def _unpickle(content: bytes) -> Any:
    """Return tensors and plain values. Raises InputError for any other object."""
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError("it contains more than tensors and plain values") from None
    except Exception as error:  # torch raises many kinds of errors for invalid files
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"torch cannot read it: {reason}") from None
