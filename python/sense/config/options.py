"""Every option of a training run, what it means, and its default."""

import math
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import tyro

from ..attacks.geometry import L2Form
from ..attacks.sensible import Boundary, StageTest
from ..data import DATASETS
from ..data.augment import Augment
from ..errors import InputError
from ..models import MODELS, check_model_name
from ..precision import Precision
from .checks import check, check_type, of_255, option_from_plain

Dataset = Literal["mnist-sample", "mnist", "cifar10", "arrays"]
MethodName = Literal["nt", "r-at", "sense", "trades", "mart", "mma", "iaat", "sense-trades"]
NormName = Literal["inf", "2", "1"]
AttackMode = Literal["evaluation", "training", "published"]
Optimizer = Literal["sgd", "adam"]
Keep = Literal["last", "best"]
Schedule = Literal["constant", "step", "cosine", "one-cycle"]
Help = tyro.conf.arg


class Runtime:
    """Marks an option that says where and how fast a run is computed, not what comes of it, but for
    rounding. It may change when a run is resumed, and runs that differ by it are one training."""


RUNTIME = Runtime()


class Used:
    """Marks an option that these methods alone look at."""

    def __init__(self, *by: MethodName) -> None:
        self.by = by


SENSE = Used("sense", "sense-trades")


@dataclass(frozen=True)
class Config:
    """Options of a training run. The defaults of the class are the paper's for MNIST (section
    5.2.1), which names neither batch size, momentum nor the length of the pre-training."""

    # What is trained on what
    dataset: Annotated[
        Dataset, Help(help="; ".join(f"{name}: {text}" for name, text in DATASETS.items()))
    ] = "mnist-sample"
    data_dir: Annotated[
        Path | None,
        Help(
            help="folder of the four IDX files of mnist, of the binary files of cifar10, or your "
            "own like them"
        ),
        RUNTIME,
    ] = None
    train_size: Annotated[
        int | None, Help(help="train on so many of the first training images; all unless given")
    ] = None
    augment: Annotated[
        Augment,
        Help(
            help="pad training images by 4 pixels, reflected or zero, crop and flip them at "
            "random; shift them by at most a pixel each way, as digits; or take them as they are"
        ),
    ] = "none"
    model: Annotated[
        str, Help(help="; ".join(f"{name}: {text}" for name, text in MODELS.items()))
    ] = "small-cnn"
    method: Annotated[
        MethodName,
        Help(
            help="nt: natural training; r-at: regular adversarial; sense: sensible adversarial; "
            "trades, mart, mma, iaat: as their authors' code; sense-trades: the divergence "
            "variant in SENSE-AT's original code"
        ),
    ] = "sense"

    # The attack of training
    eps: Annotated[float, Help(help="radius of the ball, in pixels of 0 to 1")] = 0.3
    step_size: Annotated[float, Help(help="length of a step of the attack; mma has its own")] = 0.05
    steps: Annotated[int, Help(help="steps of the attack, K")] = 10
    norm: Annotated[NormName, Help(help="norm of the ball")] = "inf"
    eps_ramp: Annotated[
        float,
        Help(
            help="first epochs of the method in which radius and step grow to their full length; "
            "not with mma and iaat, which find radii of their own"
        ),
        Used("r-at", "sense", "sense-trades", "trades", "mart"),
    ] = 0.0
    eps_first: Annotated[
        float | None,
        Help(help="radius that --eps-ramp begins with; a third of eps"),
        Used("r-at", "sense", "sense-trades", "trades", "mart"),
    ] = None
    random_start: Annotated[
        bool | None,
        Help(
            help="start in the ball, not at x; by default r-at does, sense and sense-trades do "
            "not, the others start as their authors'"
        ),
        Used("r-at", "sense", "sense-trades"),
    ] = None
    attack_mode: Annotated[
        AttackMode,
        Help(
            help="batch norm and dropout in the attack: as in evaluation; as in training, without "
            "updating running statistics; or as published (r-at, iaat and the search of mma in "
            "training mode, running statistics updated; the others in evaluation mode)"
        ),
        Used("r-at", "sense", "sense-trades", "trades", "mart", "mma", "iaat"),
    ] = "evaluation"

    # sense and sense-trades
    c: Annotated[
        float,
        Help(help="lowest probability of the true class a moved image may have, 0 to 1"),
        SENSE,
    ] = 0.7
    stage_test: Annotated[
        StageTest,
        Help(help="judge which images may move at x, or at the random start as the authors' code"),
        SENSE,
    ] = "natural"
    boundary: Annotated[
        Boundary,
        Help(
            help="an image whose step went too far: revert it (Algorithm 1), go on from there "
            "with noise (end of section 4.1), or bisect the step, to end at p_y = c (eq. 13)"
        ),
        SENSE,
    ] = "revert"
    l2_form: Annotated[
        L2Form,
        Help(
            help="for --norm 2: steps of full length from a uniform start in the ball, or both as "
            "published: shorter steps where the gradient is small, from an image of uniform "
            "pixels pulled into the ball"
        ),
        SENSE,
    ] = "paper"
    bisections: Annotated[int, Help(help="forward passes of --boundary bisect"), SENSE] = 8
    warmup: Annotated[
        int | None,
        Help(
            help="first epochs of sense and sense-trades without reversion, full PGD where an "
            "image may move; of iaat with radius eps; 0, and 10 of iaat, unless given"
        ),
        Used("sense", "sense-trades", "iaat"),
    ] = None
    natural_weight: Annotated[
        float | None,
        Help(
            help="weight of an added natural cross-entropy in r-at, sense and sense-trades, 0, "
            "and 1 of sense-trades, unless given; mma gives its part by it, 1/3 unless given"
        ),
        Used("r-at", "sense", "sense-trades", "mma"),
    ] = None

    # The other methods
    beta: Annotated[
        float, Help(help="trades and mart: weight of the divergence"), Used("trades", "mart")
    ] = 6.0
    d_max: Annotated[
        float | None,
        Help(help="mma: margin from which on an image counts no more; 1.5 eps"),
        Used("mma"),
    ] = None
    eps_min: Annotated[
        float | None,
        Help(help="mma: least radius of the search for a margin; a third of eps"),
        Used("mma"),
    ] = None
    gamma: Annotated[
        float | None,
        Help(help="iaat: by how much an image's radius is tried larger; 1.9/8 eps"),
        Used("iaat"),
    ] = None
    radius_rate: Annotated[
        float,
        Help(help="iaat: part of the way to its new value that a radius moves"),
        Used("iaat"),
    ] = 0.1
    radius_max: Annotated[
        float | None,
        Help(help="iaat: largest radius; none, as published, unless given"),
        Used("iaat"),
    ] = None

    # Descent
    pretrain: Annotated[int, Help(help="epochs of natural training before the method's own")] = 10
    epochs: Annotated[int, Help(help="epochs of the method")] = 500
    batch_size: Annotated[int, Help(help="images a step")] = 128
    optimizer: Annotated[Optimizer, Help(help="sgd with momentum, or adam")] = "sgd"
    lr: Annotated[float, Help(help="initial learning rate; of one-cycle, the peak")] = 0.01
    momentum: Annotated[float, Help(help="of sgd; the paper names none")] = 0.9
    nesterov: Annotated[bool, Help(help="Nesterov's momentum in sgd")] = False
    weight_decay: Annotated[float, Help(help="times the weights is added to gradients")] = 0.0
    schedule: Annotated[Schedule, Help(help="of the learning rate")] = "constant"
    milestones: Annotated[
        tuple[int, ...], Help(help="epochs before which schedule step multiplies by --decay")
    ] = ()
    decay: Annotated[float, Help(help="factor of schedule step")] = 0.1
    rates: Annotated[
        tuple[float, ...],
        Help(help="learning rates from each milestone on, instead of --decay"),
    ] = ()

    # Where it runs
    seed: Annotated[
        int, Help(help="of the first weights, the order of the images and random starts")
    ] = 1
    device: Annotated[str, Help(help="auto, cpu, cuda, cuda:1, mps ..."), RUNTIME] = "auto"
    threads: Annotated[
        int | None, Help(help="of the processor; all cores unless given"), RUNTIME
    ] = None
    precision: Annotated[
        Precision | None,
        Help(
            help="floating-point format of the forward and backward passes in training; weights, "
            "losses and evaluation are always in float32. tf32 needs a CUDA device. Default: tf32 "
            "on a CUDA device, float32 elsewhere"
        ),
    ] = None
    cuda_graphs: Annotated[
        bool,
        Help(
            help="compile the network into CUDA graphs (about a minute for each mode and batch "
            "size); needs a CUDA device; not with sense and sense-trades, whose batch size changes "
            "within an attack"
        ),
        RUNTIME,
    ] = False
    validation: Annotated[
        int,
        Help(
            help="training images held out, drawn with the seed, the same part of each class; "
            "each epoch's natural and PGD accuracy is taken on them"
        ),
    ] = 0
    keep: Annotated[
        Keep,
        Help(
            help="which weights the run keeps: those of the last epoch, as in the paper, or of "
            "the epoch with the most validation images right under PGD (for nt, as they are)"
        ),
    ] = "last"
    monitor: Annotated[
        int,
        # torchrun takes the first name for an abbreviation of options of its own.
        Help(
            help="training images that each epoch's accuracy is taken on where none are held out",
            aliases=("--monitored",),
        ),
        RUNTIME,
    ] = 256

    def __post_init__(self) -> None:
        object.__setattr__(self, "norm", option_from_plain(self.norm, option_types()["norm"]))
        for name, hint in option_types().items():
            check_type(name, getattr(self, name), hint)
        check_model_name(self.model)
        self._check_attack()
        self._check_methods()
        self._check_descent()
        self._check_cuda_graphs()
        self.resolved()  # raises InputError if a default does not fit the other options

    def _check_attack(self) -> None:
        check("c", self.c, 0 <= self.c <= 1, "a probability, from 0 to 1")
        check("eps", self.eps, math.isfinite(self.eps) and self.eps >= 0, "0 or more")
        if self.norm == "inf" and self.eps > 1:
            raise InputError(
                f"eps must be at most 1: pixels go from 0 to 1, got {self.eps}{of_255(self.eps)}"
            )
        check("step_size", self.step_size, 0 < self.step_size < math.inf, "more than 0")

        check("eps_ramp", self.eps_ramp, 0 <= self.eps_ramp < math.inf, "0 or more epochs")
        first = self.eps_first
        valid = first is None or 0 < first <= self.eps
        check("eps_first", first, valid, f"more than 0, at most eps, {self.eps:g}")

    def _check_methods(self) -> None:
        for name in ("natural_weight", "gamma", "radius_max", "eps_min", "d_max", "beta"):
            value = getattr(self, name)
            check(name, value, value is None or 0 <= value < math.inf, "0 or more")
        part = self.natural_weight
        if self.method == "mma" and part is not None:
            check("natural_weight", part, part <= 1, "a part, from 0 to 1, with mma")
        check("radius_rate", self.radius_rate, 0 <= self.radius_rate <= 1, "from 0 to 1")
        if self.method in ("mma", "iaat") and self.eps_ramp:
            raise InputError(
                f"eps_ramp must be 0 with {self.method}, which finds a radius for each image "
                f"itself, got {self.eps_ramp:g}"
            )
        if self.method in ("trades", "mma", "iaat") and self.norm == "1":
            raise InputError(f"norm must be inf or 2 with {self.method}, got 1")
        if self.method == "mma" and self.d_max is not None and self.eps_min is not None:
            check("d_max", self.d_max, self.d_max > 0, "more than 0")
            valid = 0 < self.eps_min <= self.d_max
            check("eps_min", self.eps_min, valid, f"more than 0, at most d_max {self.d_max:g}")

    def _check_descent(self) -> None:
        check("lr", self.lr, 0 < self.lr < math.inf, "more than 0")
        check("momentum", self.momentum, 0 <= self.momentum < 1, "from 0 to less than 1")
        check("weight_decay", self.weight_decay, 0 <= self.weight_decay < math.inf, "0 or more")
        check("decay", self.decay, 0 < self.decay <= 1, "more than 0, at most 1")
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum > 0):
            raise InputError(
                f"nesterov needs optimizer sgd and momentum > 0, got {self.optimizer} and "
                f"{self.momentum:g}"
            )
        for name in ("steps", "epochs", "batch_size", "monitor"):
            check(name, getattr(self, name), getattr(self, name) >= 1, "a whole number >= 1")
        for name in ("warmup", "pretrain", "seed", "bisections", "validation"):
            value = getattr(self, name)
            check(name, value, value is None or value >= 0, "a whole number >= 0")
        check("seed", self.seed, self.seed < 2**32, "a whole number less than 2^32")
        for name in ("threads", "train_size"):
            value = getattr(self, name)
            check(name, value, value is None or value >= 1, "a whole number >= 1")
        whole = all(epoch >= 0 for epoch in self.milestones)
        check("milestones", self.milestones, whole, "whole numbers >= 0")
        check("rates", self.rates, all(0 < r < math.inf for r in self.rates), "more than 0 each")
        if self.keep == "best" and not self.validation:
            raise InputError(
                "keep best needs images to judge the epochs by: hold some out of the training "
                "images, such as --validation 1000"
            )
        if self.schedule == "step" and not self.milestones:
            raise InputError("schedule step needs milestones, such as --milestones 80 140 170")
        if self.rates and len(self.rates) != len(self.milestones):
            raise InputError(
                f"rates must be as many as milestones ({len(self.milestones)}), "
                f"got {len(self.rates)}"
            )

    def _check_cuda_graphs(self) -> None:
        if self.cuda_graphs and self.method in ("sense", "sense-trades"):
            raise InputError(
                f"cuda_graphs cannot be used with {self.method}, whose batch size changes within "
                "an attack: leave it out"
            )

    @property
    def lp(self) -> float:
        """The norm as a number."""
        return float(self.norm)

    def resolved(self) -> "Config":
        """Return these options with the defaults that depend on the method and on eps.

        Options that the method does not use stay None.
        """
        defaults: dict[str, Any] = {
            # PGD starts in the ball (Madry et al.), the sensible adversary of the paper at x.
            "random_start": self.method == "r-at",
            "warmup": 10 if self.method == "iaat" else 0,
            "natural_weight": {"mma": 1 / 3, "sense-trades": 1.0}.get(self.method, 0.0),
            # The ratios of the authors' settings: mma on MNIST, iaat on CIFAR10.
            "d_max": 1.5 * self.eps,
            "eps_min": self.eps / 3,
            "gamma": 1.9 / 8 * self.eps,
        }
        if self.eps_ramp and self.eps:
            defaults["eps_first"] = self.eps / 3
        missing = {
            name: value
            for name, value in defaults.items()
            if getattr(self, name) is None and self.method in (used_by(name) or ())
        }
        return replace(self, **missing) if missing else self

    def to_plain(self) -> dict[str, Any]:
        """As JSON has it; `from_plain` reads it back."""
        plain = asdict(self)
        plain["data_dir"] = None if self.data_dir is None else str(self.data_dir)
        plain["milestones"], plain["rates"] = list(self.milestones), list(self.rates)
        return plain


@cache
def option_types() -> dict[str, Any]:
    """The type hint of each option."""
    return get_type_hints(Config)


@cache
def runtime_options() -> tuple[str, ...]:
    """The options that are marked `RUNTIME`, in their order."""
    hints = get_type_hints(Config, include_extras=True)
    return tuple(
        name for name, hint in hints.items() if RUNTIME in getattr(hint, "__metadata__", ())
    )


@cache
def used_by(option: str) -> tuple[str, ...] | None:
    """The methods that look at the option, where not all of them do."""
    hint = get_type_hints(Config, include_extras=True)[option]
    marks = [mark for mark in getattr(hint, "__metadata__", ()) if isinstance(mark, Used)]
    return marks[0].by if marks else None
