"""Every option of an evaluation, what it means, and its default."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import tyro

from ..config.checks import check, check_type, of_255, option_from_plain
from ..config.options import NormName
from ..errors import InputError

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
Help = tyro.conf.arg


@dataclass(frozen=True)
class Settings:
    """Options of an evaluation. eps and norm are the run's own unless given; the step size is the
    paper's, 0.01 for MNIST (section 5.2.1) and 2/255 for CIFAR10 (Table 2), unless given."""

    attacks: Annotated[
        tuple[AttackName, ...],
        Help(help="attacks, in this order; natural is none, and always among them"),
    ] = ("natural", "pgd")
    eps: Annotated[float | None, Help(help="radius of the ball; the run's unless given")] = None
    norm: Annotated[
        NormName | None, Help(help="norm of the ball; the run's, else inf, unless given")
    ] = None

    # The attacks
    steps: Annotated[int, Help(help="steps of each restart of pgd and its kin")] = 100
    restarts: Annotated[int, Help(help="random starts of pgd and its kin; the worst counts")] = 5
    step_size: Annotated[
        float | None,
        Help(
            help="length of a step; for norm inf the smaller of 0.01 and eps / 4, else, and where "
            "that is longer, 2.5 eps / steps"
        ),
    ] = None
    queries: Annotated[int, Help(help="passes that square may use an image")] = 5000
    l2_eps: Annotated[
        float | None, Help(help="radius of deepfool-l2 where norm is not 2: a ball of its own")
    ] = None
    source: Annotated[Path | None, Help(help="run whose network transfer makes its images on")] = (
        None
    )
    source_model: Annotated[
        str | None, Help(help="network of that run, where it is a MODULE:FACTORY")
    ] = None
    seed: Annotated[int, Help(help="of the random starts")] = 0
    cascade: Annotated[
        bool, Help(help="try an attack only on images that stand under those before it")
    ] = False

    # The images
    n: Annotated[int | None, Help(help="so many test images; all unless given")] = None
    draw: Annotated[
        int | None, Help(help="draw the n images at random with this seed; the first unless given")
    ] = None
    batch: Annotated[int, Help(help="images that are attacked, and saved, at once")] = 250

    # What else is looked at
    diagnostics: Annotated[
        bool, Help(help="check the evaluation by extra forward and backward passes on 128 images")
    ] = True
    curve: Annotated[
        tuple[float, ...], Help(help="radii for the curve of PGD's accuracy over eps")
    ] = ()
    convergence: Annotated[
        int | None, Help(help="follow PGD step by step on so many images, such as 100")
    ] = None

    def __post_init__(self) -> None:
        hints = get_type_hints(Settings)
        object.__setattr__(self, "norm", option_from_plain(self.norm, hints["norm"]))
        for name, hint in hints.items():
            check_type(name, getattr(self, name), hint)
        if len(set(self.attacks)) < len(self.attacks):
            raise InputError(f"attacks must be named once each, got {' '.join(self.attacks)}")
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
            raise InputError("transfer needs the run to make its images on: --source RUN")

    def complete(self, eps: float | None, norm: NormName | None) -> "Settings":
        """With the target's eps and norm where none were given. Raises ValueError where none are
        known, or where they do not go together."""
        if self.eps is None and eps is None:
            raise InputError("eps is not known from the target: give it, such as --eps 0.3")
        full = replace(
            self,
            attacks=("natural", *(name for name in self.attacks if name != "natural")),
            eps=eps if self.eps is None else self.eps,
            norm=self.norm or norm or "inf",
            curve=tuple(sorted(set(self.curve))),
        )
        if full.norm == "inf":
            for value in (full.radius, *full.curve):
                expected = f"at most 1 for norm inf: pixels go to 1{of_255(value)}"
                check("eps", value, value <= 1, expected)
        if "deepfool-l2" in self.attacks and full.norm != "2" and self.l2_eps is None:
            raise InputError("deepfool-l2 needs the radius of its l2 ball: --l2-eps")
        return full

    @property
    def radius(self) -> float:
        """eps, once it is known."""
        assert self.eps is not None
        return float(self.eps)

    @property
    def lp(self) -> float:
        """The norm as a number."""
        return float(self.norm or "inf")

    def step(self, eps: float) -> float:
        """The step size at a radius. Unless given it is the paper's for its two data sets (0.01 for
        eps = 0.3, 2/255 for eps = 8/255), or 2.5 eps / steps (Madry et al. 2018) where steps of
        that size are too few to cross the ball, and for l2 and l1."""
        if self.step_size is not None:
            return self.step_size
        across = 2.5 * eps / self.steps if eps > 0 else 0.01
        return max(min(0.01, eps / 4), across) if self.lp == math.inf else across

    def plain(self) -> dict[str, Any]:
        """What evaluation.json says of the options that all attacks share."""
        return {
            "eps": self.eps,
            "norm": self.norm,
            "seed": self.seed,
            "batch": self.batch,
            "cascade": self.cascade,
        }

    def plain_parts(self) -> dict[str, dict[str, Any] | None]:
        """What it says of the curve and of the convergence; None where they are not asked for."""
        curve = {"eps": list(self.curve), **self.plain_pgd()} if self.curve else None
        n = self.convergence
        course = {"n": n, **self.plain_pgd()} if n is not None else None
        return {"curve": curve, "convergence": course}

    def plain_pgd(self) -> dict[str, Any]:
        """What it says of the PGD of the curve and of the convergence."""
        return {"steps": self.steps, "restarts": self.restarts, "step_size": self.step_size}


def settings_from_plain(options: dict[str, Any]) -> Settings:
    """Settings from the plain types of JSON or R, as `option_from_plain` takes them."""
    hints = get_type_hints(Settings)
    if unknown := sorted(set(options) - set(hints)):
        raise InputError(f"unknown option {', '.join(unknown)}. There are {', '.join(hints)}")
    return Settings(**{name: option_from_plain(options[name], hints[name]) for name in options})
