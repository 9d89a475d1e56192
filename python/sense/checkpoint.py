"""Files that are whole or not there: checkpoints and weights, checked before they are believed.

A file is written beside its final place, flushed to disk, then renamed. A checkpoint keeps the
one before it, for the day that the newest is damaged. Nothing is ever unpickled beyond tensors
and plain values.
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

CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint-previous.pt"
WEIGHTS = "model.safetensors"
WEIGHTS_SUM = "model.safetensors.sha256"


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Have `write` fill a temporary file beside `path`, then rename it to `path`."""
    part = path.with_name(f".{path.name}.part")
    try:
        write(part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; the one it replaces stays as checkpoint-previous.pt."""
    path, buffer = folder / CHECKPOINT, io.BytesIO()
    torch.save(state, buffer)

    def write(part: Path) -> None:
        part.write_bytes(seal(buffer.getvalue()))
        if path.exists():
            path.replace(folder / PREVIOUS)

    write_atomically(path, write)


def has_checkpoint(folder: Path) -> bool:
    """Whether there is a checkpoint, whole or not."""
    return (folder / CHECKPOINT).exists() or (folder / PREVIOUS).exists()


def load_checkpoint(folder: Path) -> dict[str, Any]:
    """The newest checkpoint that is whole.

    Raises FileNotFoundError where there is none, ValueError where each is damaged.
    """
    problems: list[str] = []
    for path in (folder / CHECKPOINT, folder / PREVIOUS):
        if not path.exists():
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


def save_weights(folder: Path, weights: dict[str, Tensor]) -> None:
    """Write model.safetensors, and its SHA-256 in the form that `sha256sum -c` reads."""
    content = pack_weights(weights)
    digest = hashlib.sha256(content).hexdigest()
    write_atomically(folder / WEIGHTS, lambda part: part.write_bytes(content))
    write_atomically(folder / WEIGHTS_SUM, lambda part: part.write_text(f"{digest}  {WEIGHTS}\n"))


def load_weights(folder: Path) -> dict[str, Tensor]:
    """The weights of a run. Raises ValueError where they are not those that were written."""
    content = (folder / WEIGHTS).read_bytes()
    expected = (folder / WEIGHTS_SUM).read_text().partition(" ")[0]
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise InputError(
            f"{folder / WEIGHTS} is damaged: its SHA-256 should be {expected}, is {found}"
        )
    return unpack_weights(content)


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights in a safetensors file, a checkpoint of ours, or a .pt file of nothing but tensors
    and plain values: a state dict, or one under "state_dict", "model_state_dict" or "model".

    Raises ValueError where the file is damaged, or holds something that would have to be unpickled.
    """
    content = path.read_bytes()
    if path.suffix == ".safetensors":
        if path.with_name(WEIGHTS_SUM).exists() and path.name == WEIGHTS:
            return load_weights(path.parent)
        try:
            return unpack_weights(content)
        except SafetensorError as error:
            raise InputError(f"{path} is no safetensors file, or damaged: {error}") from None
    try:
        state = _read(path) if path.name in (CHECKPOINT, PREVIOUS) else _unpickle(content)
    except Exception as error:  # torch's reader stumbles over rubbish in many ways
        raise InputError(f"{path} cannot be read as weights: {error}") from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict) or not any(isinstance(v, Tensor) for v in state.values()):
        raise InputError(f"{path} holds no weights: a state dict was expected")
    # What DataParallel puts before each name.
    return {name.removeprefix("module."): value for name, value in state.items()}


def pack_weights(weights: dict[str, Tensor]) -> bytes:
    """Weights as the bytes of a safetensors file."""
    return safetensors_save({name: tensor.contiguous() for name, tensor in weights.items()})


def unpack_weights(content: bytes) -> dict[str, Tensor]:
    """The weights in the bytes of a safetensors file."""
    return safetensors_load(content)


def seal(content: bytes) -> bytes:
    """A zip file's bytes with their SHA-256 as its comment, which readers of zip files leave alone.

    The checksums within a zip file do not cover its headers: there, one flipped bit is enough for
    torch to load other numbers without a word.
    """
    digest = hashlib.sha256(content).hexdigest().encode()  # 64 bytes
    return content[:-2] + struct.pack("<H", len(digest)) + digest


def _read(path: Path) -> dict[str, Any]:
    """A checkpoint file. Raises ValueError with what is wrong with it."""
    content = path.read_bytes()
    if content != seal(content[: -2 - 64] + b"\0\0"):
        raise InputError("its SHA-256 is not the one it was written with")
    return _unpickle(content)


def _unpickle(content: bytes) -> Any:
    """Tensors and plain values. Raises ValueError for anything else."""
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError("it holds more than tensors and plain values") from None
