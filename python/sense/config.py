"""The only place of defaults and of their checks.

A run is described by one `Config`. The shell and R pass only what the user set; everything else
comes from a named recipe, which is a `Config` too.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from .data import DATASETS
from .models import check_model_name

Dataset = Literal["mnist-sample", "mnist", "arrays"]
MethodName = Literal["nt", "r-at", "sense"]
NormName = Literal["inf", "2", "1"]
Optimizer = Literal["sgd", "adam"]
Schedule = Literal["constant", "step", "cosine", "one-cycle"]

Help = tyro.conf.arg


@dataclass(frozen=True)
class Config:
    """Options of a training run. The defaults of the class are the paper's for MNIST (section
    5.2.1), which names neither batch size, momentum nor the length of the pre-training."""

    dataset: Annotated[
        Dataset, Help(help="; ".join(f"{name}: {text}" for name, text in DATASETS.items()))
    ] = "mnist-sample"
    data_dir: Annotated[
        Path | None, Help(help="folder of the four IDX files of mnist, or your own like them")
    ] = None
    model: Annotated[str, Help(help="small-cnn (TRADES's), or capacity-1, capacity-2, ...")] = (
        "small-cnn"
    )
    method: Annotated[
        MethodName,
        Help(help="nt: natural training; r-at: regular adversarial; sense: sensible adversarial"),
    ] = "sense"
    c: Annotated[
        float, Help(help="lowest probability of the true class a moved image may have, 0 to 1")
    ] = 0.7
    eps: Annotated[float, Help(help="radius of the ball, in pixels of 0 to 1")] = 0.3
    step_size: Annotated[float, Help(help="length of a step of the attack")] = 0.05
    steps: Annotated[int, Help(help="steps of the attack, K")] = 10
    norm: Annotated[NormName, Help(help="norm of the ball")] = "inf"
    random_start: Annotated[
        bool | None, Help(help="start in the ball, not at x; by default r-at does, sense does not")
    ] = None
    stage_test: Annotated[
        Literal["natural", "start"],
        Help(help="judge which images may move at x, or at the random start as the authors' code"),
    ] = "natural"
    warmup: Annotated[
        int, Help(help="first epochs of sense without reversion: full PGD where it may move")
    ] = 0
    pretrain: Annotated[int, Help(help="epochs of natural training before the method's own")] = 10
    epochs: Annotated[int, Help(help="epochs of the method")] = 500
    batch_size: Annotated[int, Help(help="images a step")] = 128
    optimizer: Optimizer = "sgd"
    lr: Annotated[float, Help(help="initial learning rate; of one-cycle, the peak")] = 0.01
    momentum: Annotated[float, Help(help="of sgd; the paper names none")] = 0.9
    weight_decay: float = 0.0
    schedule: Annotated[Schedule, Help(help="of the learning rate")] = "constant"
    milestones: Annotated[
        tuple[int, ...], Help(help="epochs before which schedule step multiplies by --decay")
    ] = ()
    decay: Annotated[float, Help(help="factor of schedule step")] = 0.1
    seed: int = 1
    device: Annotated[str, Help(help="auto, cpu, cuda, cuda:1, mps ...")] = "auto"
    threads: Annotated[int | None, Help(help="of the processor; all cores unless given")] = None
    monitor: Annotated[
        int, Help(help="test images that each epoch's natural and PGD accuracy is taken on")
    ] = 256

    def __post_init__(self) -> None:
        for option in fields(self):
            _check_type(option.name, getattr(self, option.name))
        _check_choice("dataset", self.dataset, get_args(Dataset))
        _check_choice("method", self.method, get_args(MethodName))
        _check_choice("norm", self.norm, get_args(NormName))
        _check_choice("stage_test", self.stage_test, ("natural", "start"))
        _check_choice("optimizer", self.optimizer, get_args(Optimizer))
        _check_choice("schedule", self.schedule, get_args(Schedule))
        check_model_name(self.model)
        _check("c", self.c, 0 <= self.c <= 1, "a probability, from 0 to 1")
        _check("eps", self.eps, math.isfinite(self.eps) and self.eps >= 0, "0 or more")
        if self.norm == "inf" and self.eps > 1:
            hint = f"; {self.eps:g}/255 = {self.eps / 255:.4f}?" if self.eps <= 255 else ""
            raise ValueError(f"eps must be at most 1: pixels go from 0 to 1, got {self.eps}{hint}")
        _check("step_size", self.step_size, 0 < self.step_size < math.inf, "more than 0")
        _check("lr", self.lr, 0 < self.lr < math.inf, "more than 0")
        _check("momentum", self.momentum, 0 <= self.momentum < 1, "from 0 to less than 1")
        _check("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more")
        _check("decay", self.decay, 0 < self.decay <= 1, "more than 0, at most 1")
        for name in ("steps", "epochs", "batch_size", "monitor"):
            _check(name, getattr(self, name), getattr(self, name) >= 1, "a whole number >= 1")
        for name in ("warmup", "pretrain", "seed"):
            _check(name, getattr(self, name), getattr(self, name) >= 0, "a whole number >= 0")
        _check("seed", self.seed, self.seed < 2**32, "a whole number less than 2^32")
        if self.threads is not None:
            _check("threads", self.threads, self.threads >= 1, "a whole number >= 1")
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule step needs milestones, such as --milestones 80 140 170")

    @property
    def lp(self) -> float:
        """The norm as a number."""
        return float(self.norm)

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it; `from_plain` reads it back."""
        plain = asdict(self)
        plain["data_dir"] = None if self.data_dir is None else str(self.data_dir)
        plain["milestones"] = list(self.milestones)
        return plain


WHOLE = ("steps", "warmup", "pretrain", "epochs", "batch_size", "seed", "threads", "monitor")
REAL = ("c", "eps", "step_size", "lr", "momentum", "weight_decay", "decay")


def _from_plain(name: str, value: Any) -> Any:
    if name in WHOLE and isinstance(value, float) and value.is_integer():
        return int(value)
    if name in REAL and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if name == "norm" and isinstance(value, int | float):
        return "inf" if value == math.inf else f"{value:g}"
    if name == "data_dir" and value is not None:
        return Path(value)
    if name == "milestones":
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(_from_plain("epochs", epoch) for epoch in values)
    return value


def _check_type(name: str, value: Any) -> None:
    whole = _is_whole(value)
    if name in WHOLE and not (whole or (name == "threads" and value is None)):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if name in REAL and not (whole or isinstance(value, float)):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if name == "milestones" and not (
        isinstance(value, tuple) and all(_is_whole(epoch) and epoch >= 0 for epoch in value)
    ):
        raise ValueError(f"milestones must be whole numbers >= 0, got {value!r}")
    if name == "data_dir" and not (value is None or isinstance(value, Path)):
        raise ValueError(f"data_dir must be a pathlib.Path, got {value!r}")
    if name == "random_start" and value not in (None, True, False):
        raise ValueError(f"random_start must be true or false, got {value!r}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(name: str, value: object, holds: bool, expected: str) -> None:
    if not holds:
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


RECIPES: dict[str, Config] = {
    # Minutes on two cores: a small network on the sample, by a schedule that is quick; the learning
    # rate is one at which R-AT trains too (at 0.1 it collapses, SENSE-AT does not).
    "mnist-demo": Config(model="capacity-3", pretrain=1, epochs=12, lr=0.03, schedule="one-cycle"),
    # Section 5.2.1.
    "mnist": Config(dataset="mnist"),
}
DEFAULT_RECIPE = "mnist-demo"


def recipe(name: str = DEFAULT_RECIPE) -> Config:
    """The recipe of that name."""
    _check_choice("recipe", name, tuple(RECIPES))
    return RECIPES[name]


def from_plain(options: Mapping[str, Any], base: Config | None = None) -> Config:
    """The `base` recipe with some options changed, given in the plain types of JSON or R: a whole
    number may come as a float, a single milestone as a number, the norm as a number."""
    known = [option.name for option in fields(Config)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(f"unknown option {', '.join(unknown)}. There are {', '.join(known)}")
    return replace(base or recipe(), **{k: _from_plain(k, v) for k, v in options.items()})
