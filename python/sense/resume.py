"""A run goes on from its checkpoint: everything is put back as it was when that was written.

A checkpoint's own sum tells damage, not who wrote it: what it holds is checked before it is used.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from .distributed import Processes
from .errors import InputError
from .methods import Method
from .monitor import Best
from .progress import Progress

# What torch, or Python, raises for content of another form.
_MISFITS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def restore(
    state: dict[str, Any],
    model: nn.Module,
    optimizer: Optimizer,
    method: Method,
    ranks: Processes,
    run: Path,
    best: Best,
) -> Progress:
    """Put everything back. Raises ValueError where the checkpoint is not one of this run."""
    try:
        check_alike("model", state["model"], model.state_dict())
        model.load_state_dict(state["model"])
        _restore_optimizer(state["optimizer"], optimizer)
        check_alike("method", state["method"], method.state_dict())
        method.load_state_dict(state["method"])
        if state.get("best"):
            _restore_best(state["best"], model, best)
        ranks.set_random_state(state)
        return progress_from(state["progress"])
    except _MISFITS as error:
        missing = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(
            f"the checkpoint in {run} is not one that this run goes on from ({missing}): take the "
            "folder from where it is whole, or begin the run anew in another"
        ) from error


def _restore_best(plain: Any, model: nn.Module, best: Best) -> None:
    """The weights of the best epoch so far."""
    check_alike("best epoch", plain["weights"], model.state_dict())
    if not _count(plain["epoch"]) or not all(map(_count, plain["score"])):
        raise InputError("its best epoch is that of no run")
    best.epoch, best.score, best.weights = plain["epoch"], plain["score"], plain["weights"]


def check_alike(what: str, found: Any, expected: Mapping[str, Any]) -> None:
    """Raise ValueError where these are not tensors of the same names, shapes and types."""
    if not isinstance(found, dict) or found.keys() != expected.keys():
        raise InputError(f"its {what} has other names")
    for name, tensor in expected.items():
        if not isinstance(tensor, Tensor):
            continue
        other = found[name]
        if not isinstance(other, Tensor):
            raise InputError(f"{name} of its {what} is no tensor")
        if (other.shape, other.dtype, other.layout) != (tensor.shape, tensor.dtype, tensor.layout):
            raise InputError(
                f"{name} of its {what} should be {tensor.dtype} of shape {tuple(tensor.shape)}, "
                f"is {other.dtype} of {tuple(other.shape)}"
            )


def progress_from(plain: Any) -> Progress:
    """How far the run was. Raises ValueError for numbers that no run has."""
    names = {field.name for field in fields(Progress)}
    if not isinstance(plain, dict) or plain.keys() != names:
        raise InputError("its progress has other names")
    progress = Progress(**plain)
    good = (
        all(_count(n) for n in (progress.epoch, progress.step, progress.images))
        and all(_number(x) for x in (progress.loss, progress.seconds))
        and (progress.step == 0) == (progress.images == 0)
        and (progress.stages is None or _counts(progress.stages))
        and all(_is_mean(pair) for pair in progress.means.values())
        and len(progress.metrics) == progress.epoch
        and all(isinstance(line, dict) for line in progress.metrics)
    )
    json.dumps(progress.metrics, allow_nan=False)  # as they will be written
    if not good:
        raise InputError("its progress is that of no run")
    return progress


def _restore_optimizer(state: dict[str, Any], optimizer: Optimizer) -> None:
    """The optimizer's options stay those of the run's config."""
    groups = [
        {name: value for name, value in group.items() if name not in ("params", "lr")}
        for group in optimizer.param_groups
    ]
    optimizer.load_state_dict(state)
    for group, before in zip(optimizer.param_groups, groups, strict=True):
        if {name: group.get(name) for name in before} != before:
            raise InputError("its optimizer has other options")
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            scalar = isinstance(value, Tensor) and value.dim() == 0 and name == "step"
            if (
                value is not None
                and not scalar
                and (not isinstance(value, Tensor) or value.shape != parameter.shape)
            ):
                raise InputError(f"{name} of its optimizer does not fit the network")


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _counts(values: Any) -> bool:
    return isinstance(values, list) and len(values) == 3 and all(_count(n) for n in values)


def _number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_mean(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and _number(pair[0]) and _count(pair[1])
