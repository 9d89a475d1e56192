"""The options of a training run and their defaults."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import tyro

from ..attacks.geometry import L2Form
from ..attacks.sensible import Boundary, StageTest
from ..data import DATASETS
from ..data.augment import Augment
from ..data.class_weights import Balanced
from ..extensions import Code, as_code, is_code, trusted_name
from ..models import MODELS
from ..precision import CudaGraphs, Precision
from .checks import option_from_plain
from .validation import validate

Dataset = Literal["mnist-sample", "mnist", "cifar10", "folder", "arrays", "table"]
MethodName = Literal[
    "nt",
    "r-at",
    "sense",
    "trades",
    "mart",
    "mma",
    "iaat",
    "sense-trades",
    "fgsm-rs",
    "n-fgsm",
    "free",
]
NormName = Literal["inf", "2", "1"]
AttackMode = Literal["evaluation", "training", "published"]
Optimizer = Literal["sgd", "adam"]
Keep = Literal["last", "best"]
Schedule = Literal["constant", "step", "cosine", "one-cycle"]
# Options that may also be a function or class of the user's own, or its name MODULE:NAME.
CODE_OPTIONS = ("method", "optimizer", "schedule", "augment")


def Help(  # noqa: N802  it reads like a type
    text: str, default: str | None = None, names: Any = None
) -> Any:
    """Return the help of an option. `default` describes a default that is None or empty; without
    it, such an option is shown without a default. `names` is the Literal of an option that also
    takes the name of code."""

    def hint(value: str) -> str:
        shown = default if value in ("None", "") else value
        return "" if shown is None else f"(default: {shown})"

    if names is None:
        return tyro.conf.arg(help=text, help_behavior_hint=hint)
    metavar = f"{{{','.join(get_args(names))}}}|MODULE:NAME"
    own = ". MODULE:NAME: your own, see docs/extending.md"
    return tyro.conf.arg(help=text + own, help_behavior_hint=hint, metavar=metavar)


class Runtime:
    """Mark of an option that changes where and how fast a run is computed, but not its result
    except for rounding. It may change when a run is resumed, and runs that differ only in such
    options count as the same training."""


class UsedBy:
    """Mark of an option that only these methods use."""

    def __init__(self, *methods: MethodName) -> None:
        self.methods = methods


RUNTIME = Runtime()
SENSE = UsedBy("sense", "sense-trades")
FGSM = UsedBy("fgsm-rs", "n-fgsm", "free")
RAMP = UsedBy("r-at", "sense", "sense-trades", "trades", "mart", *FGSM.methods)
SMOOTHED = UsedBy(*(method for method in get_args(MethodName) if method != "mart"))


@dataclass(frozen=True)
class Config:
    """Options of a training run."""

    # The defaults are those of the paper for MNIST (section 5.2.1). The paper does not report batch
    # size, momentum and number of pre-training epochs.

    # Data, network and method
    dataset: Annotated[
        Dataset, Help("; ".join(f"{name}: {text}" for name, text in DATASETS.items()))
    ] = "mnist-sample"
    data_dir: Annotated[
        Path | None,
        Help(
            "folder with the data: the four IDX files of mnist, the binary files of cifar10, or "
            "your own images in one of these formats",
            default="downloaded into the cache directory",
        ),
        RUNTIME,
    ] = None
    train_size: Annotated[
        int | None,
        Help("number of training images; the first ones of the data set are used", default="all"),
    ] = None
    augment: Annotated[
        Augment | str,
        Help(
            "data augmentation. reflect, zero: random crop after padding by 4 pixels (reflected or "
            "zero), and random horizontal flip; shift: random shift by at most 1 pixel, for digits",
            names=Augment,
        ),
    ] = "none"
    model: Annotated[str, Help("; ".join(f"{name}: {text}" for name, text in MODELS.items()))] = (
        "small-cnn"
    )
    method: Annotated[
        MethodName | str,
        Help(
            "training method. nt: natural training; r-at: regular adversarial training; sense: "
            "sensible adversarial training; trades, mart, mma, iaat: the published methods of "
            "these names; sense-trades: sensible adversarial training with a loss like that of "
            "TRADES, a variant in the original code of SENSE-AT; fgsm-rs, n-fgsm, free: methods "
            "with one step per update (Fast; N-FGSM; Free)",
            names=MethodName,
        ),
    ] = "sense"

    # Attack of training
    eps: Annotated[
        float,
        Help(
            "radius of the ball, in the units of the inputs: pixel values are from 0 to 1, "
            "features of a table are in standard deviations"
        ),
    ] = 0.3
    eval_eps: Annotated[
        float | None,
        Help(
            "radius of the ball for which robustness is claimed: that of the PGD after each epoch, "
            "and the default of every evaluation of the run. Training in a slightly larger ball "
            "may increase the robustness in this one",
            default="eps",
        ),
    ] = None
    step_size: Annotated[
        float,
        Help(
            "step size of the attack, and of the PGD whose accuracy is reported after each epoch. "
            "iaat: minimum step size of the attack; mma, and trades with --norm 2, have their own "
            "step size; fgsm-rs, n-fgsm, free: of that PGD only, see --fgsm-step"
        ),
    ] = 0.05
    steps: Annotated[
        int,
        Help("number of attack steps, K; fgsm-rs, n-fgsm, free: of the PGD after each epoch only"),
    ] = 10
    norm: Annotated[NormName, Help("norm of the ball")] = "inf"
    eps_ramp: Annotated[
        float,
        Help(
            "number of epochs, from the first epoch of the method, in which eps and the step size "
            "grow linearly to their full values; not used by mma and iaat, which have a radius per "
            "image"
        ),
        RAMP,
    ] = 0.0
    eps_start: Annotated[
        float | None, Help("radius at the start of --eps-ramp", default="eps / 3"), RAMP
    ] = None
    random_start: Annotated[
        bool | None,
        Help(
            "r-at, sense, sense-trades: start the attack at a random point of the ball, not at the "
            "image",
            default="True for r-at, False for sense and sense-trades",
        ),
        UsedBy("r-at", "sense", "sense-trades"),
    ] = None
    attack_mode: Annotated[
        AttackMode,
        Help(
            "mode of the network (batch norm, dropout) in the attack. training: training mode, "
            "but running statistics are not updated; published: the mode of the authors' code, "
            "that is training mode with updated running statistics for r-at, iaat, fgsm-rs, n-fgsm "
            "and the margin search of mma, and evaluation mode for the other methods"
        ),
        UsedBy(
            "r-at", "sense", "sense-trades", "trades", "mart", "mma", "iaat", "fgsm-rs", "n-fgsm"
        ),
    ] = "evaluation"

    # sense and sense-trades
    c: Annotated[
        float,
        Help(
            "sense, sense-trades: minimum probability of the true class, p_y, of an attacked "
            "image, from 0 to 1"
        ),
        SENSE,
    ] = 0.7
    stage_test: Annotated[
        StageTest,
        Help(
            "sense, sense-trades: point at which stage A is tested. An image is in stage A, and "
            "is not attacked, if it is misclassified or p_y is at most c. natural: the image; "
            "start: the random start, as in the original code"
        ),
        SENSE,
    ] = "natural"
    boundary: Annotated[
        Boundary,
        Help(
            "sense, sense-trades: rule for a step that takes p_y below c. revert: revert the step "
            "and end the attack on this image (Algorithm 1); noise: revert the step, then continue "
            "with a step of random noise (end of section 4.1); bisect: bisect the step to end at "
            "p_y = c (eq. 13)"
        ),
        SENSE,
    ] = "revert"
    l2_form: Annotated[
        L2Form,
        Help(
            "sense, sense-trades with --norm 2: form of the steps and of the random start. paper: "
            "every step has the length --step-size, and the start is uniform in the ball; "
            "published: as in the original code, steps are shorter where the gradient is small, "
            "and the start is an image of uniform pixels projected into the ball"
        ),
        SENSE,
    ] = "paper"
    bisections: Annotated[int, Help("number of bisections of --boundary bisect"), SENSE] = 8
    warmup: Annotated[
        int | None,
        Help(
            "number of warm-up epochs, the first ones of the method. sense, sense-trades: no step "
            "is reverted in them; iaat: each radius is eps, or 0 for a misclassified image",
            default="10 for iaat, 0 for sense and sense-trades",
        ),
        UsedBy("sense", "sense-trades", "iaat"),
    ] = None
    natural_weight: Annotated[
        float | None,
        Help(
            "r-at, sense, sense-trades: weight of the natural cross-entropy, which is added to the "
            "loss; mma: share of the natural cross-entropy in the loss, from 0 to 1",
            default="1 for sense-trades, 1/3 for mma, 0 for r-at and sense",
        ),
        UsedBy("r-at", "sense", "sense-trades", "mma"),
    ] = None

    # The other methods
    beta: Annotated[
        float, Help("trades, mart: weight of the divergence in the loss"), UsedBy("trades", "mart")
    ] = 6.0
    d_max: Annotated[
        float | None,
        Help(
            "mma: maximum margin; images with a larger margin are left out of the margin loss",
            default="1.5 eps",
        ),
        UsedBy("mma"),
    ] = None
    eps_min: Annotated[
        float | None,
        Help("mma: minimum radius of the PGD that searches for a margin", default="eps / 3"),
        UsedBy("mma"),
    ] = None
    gamma: Annotated[
        float | None,
        Help(
            "iaat: amount by which the radius of an image is increased or decreased, before "
            "averaging with --radius-rate",
            default="1.9/8 eps",
        ),
        UsedBy("iaat"),
    ] = None
    radius_rate: Annotated[
        float,
        Help("iaat: weight of the new radius in the moving average of radii, from 0 to 1"),
        UsedBy("iaat"),
    ] = 0.1
    radius_max: Annotated[
        float | None, Help("iaat: maximum radius", default="no maximum"), UsedBy("iaat")
    ] = None

    fgsm_step: Annotated[
        float | None,
        Help(
            "fgsm-rs, n-fgsm, free: length of the one step of the attack",
            default="1.25 eps for fgsm-rs, eps for n-fgsm and free",
        ),
        FGSM,
    ] = None
    noise_scale: Annotated[
        float,
        Help("n-fgsm: radius of the random noise before the step, as a multiple of eps"),
        UsedBy("n-fgsm"),
    ] = 2.0
    replays: Annotated[
        int,
        Help(
            "free: number of times m that each batch is used in succession. An epoch has as many "
            "updates as with the other methods, so it goes over 1/m of the images"
        ),
        UsedBy("free"),
    ] = 8

    # Optimisation
    class_weights: Annotated[
        Balanced | tuple[float, ...] | None,
        Help(
            "weights of the classes in the loss, in the order of the labels, as the weight of "
            "torch's cross_entropy; balanced: in inverse proportion to the number of training "
            "images of each class",
            default="none",
        ),
    ] = None
    pretrain: Annotated[int, Help("number of epochs of natural training before the method")] = 10
    epochs: Annotated[int, Help("number of epochs of the method")] = 500
    minutes: Annotated[
        float | None,
        Help(
            "time limit of the training. The number of epochs is set by the measured speed, so "
            "that the training ends in time; --pretrain, --warmup, --eps-ramp and --milestones "
            "keep their share of it. Resumed, a run has the same number of epochs, and this time "
            "again. Not with several processes",
            default="no limit",
        ),
        RUNTIME,
    ] = None
    batch_size: Annotated[int, Help("batch size")] = 128
    optimizer: Annotated[
        Optimizer | str, Help("optimizer: SGD with momentum, or Adam", names=Optimizer)
    ] = "sgd"
    lr: Annotated[float, Help("initial learning rate; with --schedule one-cycle, the maximum")] = (
        0.01
    )
    momentum: Annotated[float, Help("momentum of SGD")] = 0.9
    nesterov: Annotated[bool, Help("use Nesterov momentum in SGD")] = False
    weight_decay: Annotated[float, Help("weight decay (L2 penalty)")] = 0.0
    label_smoothing: Annotated[
        float,
        Help(
            "label smoothing of the cross-entropies in the loss, from 0 to less than 1. The attack "
            "uses the labels as they are"
        ),
        SMOOTHED,
    ] = 0.0
    ema: Annotated[
        float,
        Help(
            "decay of the exponential moving average of the weights, such as 0.999; 0: none. The "
            "averaged weights are evaluated, kept and returned; the average starts after --pretrain"
        ),
    ] = 0.0
    awp: Annotated[
        float,
        Help(
            "adversarial weight perturbation: size of the perturbation of each layer relative to "
            "the norm of its weights, such as 0.005; 0: none"
        ),
    ] = 0.0
    awp_warmup: Annotated[int, Help("number of epochs of the method before --awp starts")] = 0
    schedule: Annotated[Schedule | str, Help("learning rate schedule", names=Schedule)] = "constant"
    milestones: Annotated[
        tuple[float, ...],
        Help(
            "epochs of the method, without --pretrain, after which --schedule step changes the "
            "learning rate. A number between 0 and 1 is a fraction of --epochs, rounded to a whole "
            "epoch, at least 1: --milestones 0.5 0.75",
            default="none",
        ),
    ] = ()
    lr_decay: Annotated[
        float,
        Help("factor of the learning rate at each milestone of --schedule step"),
    ] = 0.1
    milestone_lrs: Annotated[
        tuple[float, ...],
        Help("learning rate after each milestone, instead of --lr-decay", default="none"),
    ] = ()

    # Where and how it runs
    seed: Annotated[
        int,
        Help("random seed of the initial weights, the order of the images and the random starts"),
    ] = 1
    device: Annotated[
        str, Help("device: cpu, cuda, cuda:1, mps ...; auto uses a GPU if there is one"), RUNTIME
    ] = "auto"
    threads: Annotated[int | None, Help("number of CPU threads", default="all cores"), RUNTIME] = (
        None
    )
    precision: Annotated[
        Precision | None,
        Help(
            "floating-point format of the forward and backward passes in training. tf32 needs a "
            "CUDA device. auto: bfloat16 where the device is made for it and a timing of the "
            "network shows that it is faster, otherwise tf32 on a CUDA device and float32 "
            "elsewhere. Weights, losses and evaluation are always in float32",
            default="tf32 on a CUDA device, float32 elsewhere",
        ),
    ] = None
    cuda_graphs: Annotated[
        CudaGraphs,
        Help(
            "launch the passes of the network as CUDA graphs. compact: with sense and "
            "sense-trades, remove finished images from the batch, by graphs of a few sizes; auto: "
            "whichever a timing of the network shows to be fastest; off without a CUDA device and "
            "with several processes"
        ),
        RUNTIME,
    ] = "auto"
    validation_size: Annotated[
        int,
        Help(
            "number of images that are held out of the training set for validation, drawn with "
            "--seed, with the same share of each class. Natural accuracy and accuracy under PGD on "
            "them are reported after each epoch"
        ),
    ] = 0
    keep: Annotated[
        Keep,
        Help(
            "weights to keep. last: those of the last epoch, as in the paper; best: those of the "
            "epoch with the highest accuracy under PGD (nt: natural accuracy) on the validation "
            "images, which needs --validation-size"
        ),
    ] = "last"
    monitor_size: Annotated[
        int,
        Help(
            "number of training images on which accuracy is reported after each epoch if "
            "--validation-size is 0"
        ),
        RUNTIME,
    ] = 256

    def __post_init__(self) -> None:
        for name in CODE_OPTIONS:
            object.__setattr__(self, name, as_code(getattr(self, name)))
        object.__setattr__(self, "norm", option_from_plain(self.norm, option_types()["norm"]))
        validate(self, option_types())
        self.resolved()  # raises InputError if a default does not fit the other options

    @property
    def claimed_eps(self) -> float:
        """The radius to evaluate with: `eval_eps`, by default `eps`."""
        return claimed_eps(vars(self))

    @property
    def lp(self) -> float:
        """The norm as a number."""
        return float(self.norm)

    def resolved(self) -> "Config":
        """Return these options with the defaults that depend on the method and on eps, and with
        milestones in epochs.

        Options that the method does not use stay None. A method of the user's own may use all.
        `eval_eps` stays None too, so that it follows an `eps` that is changed later.
        """
        defaults: dict[str, Any] = {
            # PGD starts in the ball (Madry et al.), the sensible adversary of the paper at x.
            "random_start": self.method == "r-at" or is_code(self.method),
            "warmup": 10 if self.method == "iaat" else 0,
            "natural_weight": {"mma": 1 / 3, "sense-trades": 1.0}.get(self.method, 0.0),
            # The ratios of the authors' settings: mma on MNIST, iaat on CIFAR10.
            "d_max": 1.5 * self.eps,
            "eps_min": self.eps / 3,
            "gamma": 1.9 / 8 * self.eps,
            "fgsm_step": (1.25 if self.method == "fgsm-rs" else 1.0) * self.eps,
        }
        if self.eps_ramp and self.eps:
            defaults["eps_start"] = self.eps / 3
        missing = {
            name: value
            for name, value in defaults.items()
            if getattr(self, name) is None and used_by(name) and uses(self.method, name)
        }
        if self.milestones != self.milestone_epochs:
            missing["milestones"] = self.milestone_epochs
        return replace(self, **missing) if missing else self

    @property
    def milestone_epochs(self) -> tuple[int, ...]:
        """The milestones in epochs of the method."""
        return tuple(
            max(1, round(milestone * self.epochs)) if 0 < milestone < 1 else int(milestone)
            for milestone in self.milestones
        )

    @staticmethod
    def from_file(path: Path | str, **options: Any) -> "Config":
        """Return the options in a TOML file, or in the config.json of a run, with `options` in
        place of some of them. Code that the file names must be named again among these."""
        from ..config_files import config_from_file  # which reads files, and imports this module

        return config_from_file(path, options)

    def to_plain(self) -> dict[str, Any]:
        """Return the options in the types of JSON; `from_plain` reads them back."""
        plain = asdict(self)
        plain["data_dir"] = None if self.data_dir is None else str(self.data_dir)
        plain["milestones"] = list(self.milestones)
        plain["milestone_lrs"] = list(self.milestone_lrs)
        plain |= {name: str(plain[name]) for name in CODE_OPTIONS}
        if isinstance(self.class_weights, tuple):
            plain["class_weights"] = list(self.class_weights)
        return plain


def claimed_eps(options: Mapping[str, Any]) -> float:
    """Return the radius to evaluate a run with, given its options. Runs from before `eval_eps` do
    not have it."""
    eval_eps = options.get("eval_eps")
    return float(options["eps"] if eval_eps is None else eval_eps)


def check_named_code(config: Config, named: Mapping[str, Any], source: Path | str) -> None:
    """Raise InputError for code that the options in the file `source` name, unless the user has
    `named` it, by option."""
    for option in ("model", *CODE_OPTIONS):
        what = "network" if option == "model" else option
        trusted_name(named.get(option), getattr(config, option), source, option, what)


def with_named_code(config: Config, names: Mapping[str, str]) -> Config:
    """Return the config with code that the user has named, by option; its modules are imported."""
    code: dict[str, Any] = {option: Code.named(name, option) for option, name in names.items()}
    return replace(config, **code)


@cache
def option_types() -> dict[str, Any]:
    """Return the type hint of each option."""
    return get_type_hints(Config)


@cache
def runtime_options() -> tuple[str, ...]:
    """Return the names of the options that are marked `RUNTIME`."""
    return tuple(name for name in option_types() if RUNTIME in _marks(name))


@cache
def used_by(option: str) -> tuple[str, ...] | None:
    """Return the methods that use the option, or None if all do."""
    marks = [mark for mark in _marks(option) if isinstance(mark, UsedBy)]
    return marks[0].methods if marks else None


def uses(method: str, option: str) -> bool:
    """Return whether the method uses the option. A method of the user's own may use any."""
    return is_code(method) or method in (used_by(option) or (method,))


def _marks(option: str) -> tuple[Any, ...]:
    return getattr(get_type_hints(Config, include_extras=True)[option], "__metadata__", ())
