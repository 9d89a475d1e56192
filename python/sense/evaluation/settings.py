"""Every option of an evaluation, what it means, and its default."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

from ..attacks.geometry import Bounds, is_unit_range
from ..config.checks import check, check_type, eps_hint, option_from_plain
from ..config.options import Help, NormName
from ..errors import InputError
from ..extensions import as_code

AttackName = Literal[
    "natural",
    "fgsm",
    "pgd",
    "margin-pgd",
    "targeted-pgd",
    "deepfool",
    "deepfool-l2",
    "autoattack",
    "square",
    "transfer",
]
ATTACKS = get_args(AttackName)


@dataclass(frozen=True)
class Settings:
    """Options of an evaluation. The default step size is the paper's: 0.01 for MNIST (section
    5.2.1) and 2/255 for CIFAR10 (Table 2)."""

    attacks: Annotated[
        tuple[AttackName | str, ...],
        Help(
            "attacks, in the order in which they are run; natural (no attack) is always included",
            names=AttackName,
        ),
    ] = ("natural", "pgd")
    eps: Annotated[
        float | None,
        Help(
            "radius of the ball, in the units of the inputs: pixel values are from 0 to 1",
            default="that of the run",
        ),
    ] = None
    norm: Annotated[
        NormName | None,
        Help("norm of the ball", default="that of the run, or inf for other targets"),
    ] = None

    # Attacks
    steps: Annotated[int, Help("number of steps of each restart of PGD and its variants")] = 100
    restarts: Annotated[
        int,
        Help(
            "number of random restarts of PGD and its variants; an image is correct only if it is "
            "correct in every restart"
        ),
    ] = 5
    step_size: Annotated[
        float | None,
        Help(
            "step size of PGD and its variants",
            default="for norm inf, the smaller of 0.01 and eps / 4, but at least 2.5 eps / steps; "
            "for other norms, 2.5 eps / steps",
        ),
    ] = None
    queries: Annotated[int, Help("maximum number of forward passes per image in square")] = 5000
    l2_eps: Annotated[
        float | None,
        Help(
            "radius of the l2 ball of deepfool-l2, required if --norm is not 2",
            default="eps if the norm is 2",
        ),
    ] = None
    source: Annotated[
        Path | None, Help("folder of the run whose network is the source network of transfer")
    ] = None
    source_model: Annotated[
        str | None, Help("MODULE:FACTORY of the source network, if it is not a network of sense")
    ] = None
    seed: Annotated[int, Help("random seed of the attacks")] = 0
    cascade: Annotated[
        bool,
        Help(
            "run each attack only on images that are correctly classified under all attacks "
            "before it"
        ),
    ] = False

    # Images
    n: Annotated[int | None, Help("number of test images to evaluate", default="all")] = None
    draw: Annotated[
        int | None,
        Help("random seed for drawing the n images", default="the first n are used"),
    ] = None
    batch: Annotated[
        int | None,
        Help(
            "number of images that are attacked at once; the results do not depend on it, and are "
            "saved after each batch",
            default="250; on a GPU as many as its memory allows, at most 4096",
        ),
    ] = None

    # Further results
    diagnostics: Annotated[
        bool,
        Help(
            "check for signs that an attack failed, by extra forward and backward passes on up to "
            "128 images"
        ),
    ] = True
    curve: Annotated[
        tuple[float, ...],
        Help("further radii for the accuracy under PGD", default="none"),
    ] = ()
    convergence: Annotated[
        int | None,
        Help("number of images, such as 100, whose loss is recorded after each step of PGD"),
    ] = None

    def __post_init__(self) -> None:
        hints = get_type_hints(Settings)
        if isinstance(self.attacks, list | tuple):
            object.__setattr__(self, "attacks", tuple(map(as_code, self.attacks)))
        object.__setattr__(self, "norm", option_from_plain(self.norm, hints["norm"]))
        for name, hint in hints.items():
            check_type(name, getattr(self, name), hint)
        if len(set(self.attacks)) < len(self.attacks):
            raise InputError(f"each attack must be named once, got {' '.join(self.attacks)}")
        for name in ("steps", "restarts", "queries", "batch", "n", "convergence"):
            value = getattr(self, name)
            check(name, value, value is None or value >= 1, "a whole number >= 1")
        for name in ("seed", "draw"):
            value = getattr(self, name)
            check(name, value, value is None or value >= 0, "a whole number >= 0")
        for name in ("eps", "l2_eps"):
            value = getattr(self, name)
            check(name, value, value is None or 0 <= value < math.inf, "0 or more, such as 8/255")
        size = self.step_size
        check("step_size", size, size is None or 0 < size < math.inf, "more than 0")
        check("curve", self.curve, all(0 <= eps < math.inf for eps in self.curve), "radii >= 0")
        if "transfer" in self.attacks and self.source is None:
            raise InputError("transfer needs a source network: --source RUN")

    def complete(
        self, eps: float | None, norm: NormName | None, bounds: Bounds = (0, 1)
    ) -> "Settings":
        """Return the settings with the target's eps and norm as defaults. Raises ValueError if eps
        is not known, or if options contradict each other, or do not fit the bounds of the data."""
        if self.eps is None and eps is None:
            raise InputError("the target has no eps: set it, such as --eps 0.3")
        if self.eps is None and norm is not None and self.norm not in (None, norm):
            raise InputError(
                f"the target's eps, {eps:g}, is a radius of norm {norm}: set that of norm "
                f"{self.norm}, --eps"
            )
        full = replace(
            self,
            attacks=("natural", *(name for name in self.attacks if name != "natural")),
            eps=eps if self.eps is None else self.eps,
            norm=self.norm or norm or "inf",
            curve=tuple(sorted(set(self.curve))),
        )
        if full.norm == "inf" and is_unit_range(bounds):
            for value in (full.radius, *full.curve):
                expected = f"at most 1 for norm inf: pixels go to 1{eps_hint(value)}"
                check("eps", value, value <= 1, expected)
        if "deepfool-l2" in self.attacks and full.norm != "2" and self.l2_eps is None:
            raise InputError("deepfool-l2 needs the radius of its l2 ball: --l2-eps")
        return full

    @property
    def radius(self) -> float:
        """eps of complete settings."""
        assert self.eps is not None
        return float(self.eps)

    @property
    def lp(self) -> float:
        """The norm as a number."""
        return float(self.norm or "inf")

    def step(self, eps: float) -> float:
        """Return the step size at a radius. Default: the paper's for its two data sets (0.01 for
        eps = 0.3, 2/255 for eps = 8/255). For l2 and l1, and if too few steps of that size are left
        to cross the ball, 2.5 eps / steps (Madry et al. 2018)."""
        if self.step_size is not None:
            return self.step_size
        across = 2.5 * eps / self.steps if eps > 0 else 0.01
        return max(min(0.01, eps / 4), across) if self.lp == math.inf else across

    def plain(self) -> dict[str, Any]:
        """The entry `options` of evaluation.json: the options that all attacks share."""
        return {
            "eps": self.eps,
            "norm": self.norm,
            "seed": self.seed,
            "batch": self.batch,
            "cascade": self.cascade,
        }

    def plain_parts(self) -> dict[str, dict[str, Any] | None]:
        """The entries `curve` and `convergence` of evaluation.json; None if not requested."""
        curve = {"eps": list(self.curve), **self.plain_pgd()} if self.curve else None
        n = self.convergence
        convergence = {"n": n, **self.plain_pgd()} if n is not None else None
        return {"curve": curve, "convergence": convergence}

    def plain_pgd(self) -> dict[str, Any]:
        """The options of PGD for the curve and the convergence."""
        return {"steps": self.steps, "restarts": self.restarts, "step_size": self.step_size}


def settings_from_plain(options: dict[str, Any]) -> Settings:
    """Return settings from options in the plain types of JSON or R."""
    hints = get_type_hints(Settings)
    if unknown := sorted(set(options) - set(hints)):
        raise InputError(f"unknown option {', '.join(unknown)}. The options are {', '.join(hints)}")
    return Settings(**{name: option_from_plain(options[name], hints[name]) for name in options})
