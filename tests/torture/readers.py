"""All functions that read the folder of a finished run."""

import hashlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from sense.checkpoint import load_checkpoint, read_weights
from sense.errors import InputError
from sense.evaluation.compare import compare
from sense.evaluation.outcomes import read_outcomes
from sense.evaluation.summary import read_evaluation
from sense.evaluation.targets import open_run, open_target
from sense.runs import load, read_run
from sense.weights import weights_sha256

from .children import Failure


def digest(content: Any) -> str:
    """A hash of tensors and plain values."""
    found = hashlib.sha256()

    def take(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found.update(f"{value.dtype} {tuple(value.shape)}".encode())
            found.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        elif isinstance(value, dict):
            for name in sorted(value, key=repr):
                take(name)
                take(value[name])
        elif isinstance(value, list | tuple):
            found.update(f"{len(value)}".encode())
            for item in value:
                take(item)
        else:
            found.update(repr(value).encode())

    take(content)
    return found.hexdigest()


# reader(folder, other): other is the folder of an undamaged evaluation of another run.
READERS: dict[str, Callable[[Path, Path], Any]] = {
    "read_run": lambda folder, other: read_run(folder),
    "load": lambda folder, other: weights_sha256(load(folder)),
    "load_checkpoint": lambda folder, other: digest(load_checkpoint(folder)),
    "read_weights": lambda folder, other: digest(read_weights(folder / "model.safetensors")),
    "weights of checkpoint": lambda folder, other: digest(read_weights(folder / "checkpoint.pt")),
    "open_run": lambda folder, other: open_run(folder).plain(),
    "open_target": lambda folder, other: open_target(str(folder / "model.safetensors")).plain(),
    "read_evaluation": lambda folder, other: read_evaluation(folder),
    "read_outcomes": lambda folder, other: read_outcomes(folder),
    "compare": lambda folder, other: compare({"one": folder, "other": other})["pairs"],
}


def read_all(folder: Path, other: Path) -> dict[str, Any]:
    """Return the result of each reader or the message of its InputError. Raises `Failure` for any
    other error."""
    found = {}
    for name, reader in READERS.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that the previous checkpoint is used
                found[name] = reader(folder, other)
        except InputError as error:
            found[name] = Refusal(str(error))
        except Exception as error:
            raise Failure(f"{name}: {type(error).__name__}: {error}") from error
    return found


class Refusal(str):
    """The message of an InputError."""
