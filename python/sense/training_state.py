"""Everything that a checkpoint holds, and how it is restored when a run is resumed.

The checksum of a checkpoint shows damage, not who wrote it: its content is checked before use.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from .distributed import OneProcess
from .errors import InputError
from .methods import Method
from .methods.per_example_state import merge
from .monitor import BestWeights
from .optimizers import SHIPPED
from .progress import TrainingProgress

# Errors of torch or Python for content of another form.
WRONG_CONTENT = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass
class TrainingState:
    """What changes while a network is trained. `average` is that of the weights, if there is
    one."""

    model: nn.Module
    optimizer: Optimizer
    method: Method
    processes: OneProcess
    progress: TrainingProgress = field(default_factory=TrainingProgress)
    best: BestWeights = field(default_factory=BestWeights)
    average: AveragedModel | None = None

    @property
    def result(self) -> nn.Module:
        """The network that is evaluated and kept: the average of the weights, or the model."""
        return self.model if self.average is None else self.average.module

    def kept_weights(self) -> dict[str, Any]:
        """Return the weights of the last or best epoch."""
        return self.best.weights or self.result.state_dict()

    def share_method_state(self) -> None:
        """Give each process what the others have changed in the state of the method."""
        self.method.load_state_dict(merge(self.processes.gather(self.method.state_dict())))

    def state_dict(self) -> dict[str, Any]:
        """Return the content of a checkpoint. Every process must call this."""
        self.share_method_state()
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "method": self.method.state_dict(),
            "progress": asdict(self.progress),
            "best": asdict(self.best) if self.best.weights else {},
            "average": {} if self.average is None else self.average.state_dict(),
            **self.processes.random_state(),
        }

    def load_state_dict(self, state: dict[str, Any], folder: Path) -> None:
        """Restore the checkpoint of the run in `folder`. Raises InputError if it is of another."""
        try:
            self._load(state)
        except WRONG_CONTENT as error:
            missing = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            raise InputError(
                f"the checkpoint in {folder} is not one of this run ({missing}): restore the "
                "folder from a copy, or begin a new run in another"
            ) from error

    def _load(self, state: dict[str, Any]) -> None:
        check_tensors("model", state["model"], self.model.state_dict())
        self.model.load_state_dict(state["model"])
        if self.average is not None:
            check_tensors("average", state["average"], self.average.state_dict())
            self.average.load_state_dict(state["average"])
        _load_optimizer(state["optimizer"], self.optimizer)
        check_tensors("method", state["method"], self.method.state_dict())
        self.method.load_state_dict(state["method"])
        if state.get("best"):
            self.best = _best_weights(state["best"], self.model)
        self.processes.set_random_state(state)
        self.progress = training_progress(state["progress"])


def check_tensors(what: str, found: Any, expected: Mapping[str, Any]) -> None:
    """Raise InputError unless these are tensors of the expected names, shapes and types."""
    if not isinstance(found, dict) or found.keys() != expected.keys():
        raise InputError(f"its {what} has other names")
    for name, tensor in expected.items():
        if not isinstance(tensor, Tensor):
            continue
        other = found[name]
        if not isinstance(other, Tensor):
            raise InputError(f"{name} of its {what} is not a tensor")
        if (other.shape, other.dtype, other.layout) != (tensor.shape, tensor.dtype, tensor.layout):
            raise InputError(
                f"{name} of its {what} must be {tensor.dtype} of shape {tuple(tensor.shape)}, "
                f"got {other.dtype} of shape {tuple(other.shape)}"
            )


def training_progress(plain: Any) -> TrainingProgress:
    """Return the progress in a checkpoint. Raises InputError for numbers that no run has."""
    names = {field.name for field in fields(TrainingProgress)}
    if not isinstance(plain, dict) or plain.keys() != names:
        raise InputError("its progress has other names")
    progress = TrainingProgress(**plain)
    valid = (
        all(_is_count(n) for n in (progress.epoch, progress.step, progress.images))
        and all(_is_number(x) for x in (progress.loss, progress.seconds))
        and (progress.step == 0 or progress.images > 0)
        and (progress.stages is None or _are_stages(progress.stages))
        and all(_is_mean(pair) for pair in progress.means.values())
        and len(progress.metrics) == progress.epoch
        and all(isinstance(line, dict) for line in progress.metrics)
    )
    json.dumps(progress.metrics, allow_nan=False)  # as they are written to metrics.jsonl
    if not valid:
        raise InputError("its progress has impossible numbers")
    if progress.step == 0:
        progress.start_epoch()  # earlier versions counted a first step that was interrupted
    return progress


def _best_weights(plain: Any, model: nn.Module) -> BestWeights:
    check_tensors("best epoch", plain["weights"], model.state_dict())
    if not _is_count(plain["epoch"]) or not all(map(_is_count, plain["score"])):
        raise InputError("its best epoch has impossible numbers")
    return BestWeights(**plain)


def _load_optimizer(state: Any, optimizer: Optimizer) -> None:
    """Its options must be those of the run's config; the learning rate is set in each step."""
    groups = [
        {name: value for name, value in group.items() if name not in ("params", "lr")}
        for group in optimizer.param_groups
    ]
    optimizer.load_state_dict(state)
    for group, expected in zip(optimizer.param_groups, groups, strict=True):
        if {name: group.get(name) for name in expected} != expected:
            raise InputError("its optimizer has other options")
    if not isinstance(optimizer, SHIPPED):
        return  # its state may have any form
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            scalar = isinstance(value, Tensor) and value.dim() == 0 and name == "step"
            fits = isinstance(value, Tensor) and value.shape == parameter.shape
            if value is not None and not scalar and not fits:
                raise InputError(f"{name} of its optimizer does not fit the network")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _are_stages(values: Any) -> bool:
    return isinstance(values, list) and len(values) == 3 and all(_is_count(n) for n in values)


def _is_mean(pair: Any) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and _is_number(pair[0]) and _is_count(pair[1])
