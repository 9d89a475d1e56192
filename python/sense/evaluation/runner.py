"""The attacks of an evaluation, all called alike, and what they must keep to before they count."""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..attacks import (
    autoattack,
    deepfool,
    fgsm,
    margin_pgd,
    pgd,
    square,
    targeted_pgd,
    transfer,
)
from ..attacks.checks import check_ball_and_bounds
from ..attacks.output_checks import check_logits, logits_of
from ..errors import InputError, MissingPackageError
from ..networks import check_network
from ..weights import weights_sha256
from .settings import Settings

BY_GRADIENT = ("fgsm", "pgd", "margin-pgd", "targeted-pgd", "deepfool", "deepfool-l2", "autoattack")
FROM_PYAUTOATTACK = ("autoattack", "square")
STEPPED: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "pgd": ("PGD", pgd),
    "margin-pgd": ("margin PGD", margin_pgd),
    "targeted-pgd": ("targeted PGD", targeted_pgd),
    "transfer": ("transfer PGD", transfer),
}


@dataclass(frozen=True)
class Attack:
    """An attack with its options fixed.

    Attributes
    ----------
    name, label
        As `--attacks` has it; and for people: "PGD-100 x 5".
    function, keywords
        `function(model, x, y, eps=..., norm=..., **keywords)` is one restart.
    eps, norm
        Its ball.
    restarts
        How many; an image that one breaks is not attacked by the next.
    seeded
        Whether the function takes a seed; else it draws from torch's random stream.
    options
        Those that evaluation.json tells.
    """

    name: str
    label: str
    function: Callable[..., Tensor]
    eps: float
    norm: float
    keywords: dict[str, Any] = field(default_factory=dict)
    restarts: int = 1
    seeded: bool = False
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, seed: int) -> Tensor:
        """The adversarial images of one restart. Raises ArithmeticError where they are outside the
        ball or the bounds, or not finite."""
        keywords = self.keywords | ({"seed": seed} if self.seeded else {})
        x_adv = self.function(model, x, y, eps=self.eps, norm=self.norm, **keywords)
        check_ball_and_bounds(x_adv, x, eps=self.eps, norm=self.norm)
        return x_adv

    def plain(self) -> dict[str, Any]:
        """What evaluation.json says of it."""
        ball = {"eps": self.eps, "norm": f"{self.norm:g}"}
        return {"label": self.label, **self.options, **(ball if self is not NATURAL else {})}


NATURAL = Attack("natural", "natural", lambda model, x, y, **ball: x, 0.0, math.inf)


def build_suite(settings: Settings, source: nn.Module | None = None) -> list[Attack]:
    """The attacks that complete settings ask for, without "natural". `source` is the network of
    `transfer`. Raises ImportError where an attack's package is absent."""
    return [build_attack(name, settings, source) for name in settings.attacks if name != "natural"]


def build_attack(name: str, settings: Settings, source: nn.Module | None = None) -> Attack:
    """The attack of that name, with what the settings say of it."""
    if name in FROM_PYAUTOATTACK and not has_pyautoattack():
        raise MissingPackageError(
            f"{name} needs the package pyautoattack: pip install 'sense-at[attacks]'"
        )
    eps, norm = settings.radius, settings.lp
    if name in STEPPED:
        return _stepped(name, settings, source)
    if name == "fgsm":
        return Attack(name, "FGSM", fgsm, eps, norm)
    if name == "deepfool":
        if norm == 1:
            raise InputError("deepfool knows the norms inf and 2, not 1: leave it out")
        return Attack(name, "DeepFool", deepfool, eps, norm)
    if name == "deepfool-l2":
        within = settings.l2_eps if norm != 2 and settings.l2_eps is not None else eps
        return Attack(name, "DeepFool, l2", deepfool, within, 2.0)
    if name == "square":
        queries = {"queries": settings.queries}
        label = f"Square, {settings.queries} queries"
        return Attack(name, label, square, eps, norm, queries, seeded=True, options=queries)
    return Attack(
        name,
        "AutoAttack",
        autoattack,
        eps,
        norm,
        {"batch_size": settings.batch},
        seeded=True,
        options={"version": "standard"},
    )


def _stepped(name: str, settings: Settings, source: nn.Module | None) -> Attack:
    """PGD and its kin: steps, a step size and restarts."""
    label, function = STEPPED[name]
    steps, restarts, step_size = (settings.steps, settings.restarts, settings.step(settings.radius))
    keywords: dict[str, Any] = {"steps": steps, "step_size": step_size}
    options = keywords | {"restarts": restarts}
    if name == "transfer":
        assert source is not None
        keywords["source"] = source
        options |= {"source": str(settings.source), "source_sha256": weights_sha256(source)}
    return Attack(
        name,
        f"{label}-{steps} x {restarts}",
        function,
        settings.radius,
        settings.lp,
        keywords,
        restarts,
        options=options,
    )


def has_pyautoattack() -> bool:
    """Whether the package is installed."""
    return importlib.util.find_spec("pyautoattack") is not None


def attack_images(
    attack: Attack, model: nn.Module, x: Tensor, y: Tensor, predictions: Tensor, seed: int
) -> Tensor:
    """The predictions after the worst of the restarts: int64, shape (n,).

    Those given are of the images as they stand before; an image that is misclassified there, or by
    a restart, is not attacked again. torch's random stream is used; the caller seeds it.
    """
    return worst_images(attack, model, x, y, predictions, seed)[1]


def worst_images(
    attack: Attack, model: nn.Module, x: Tensor, y: Tensor, predictions: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """`attack_images`, with the images that it found before the predictions: those that broke, else
    those of the last restart, else x."""
    predictions, found = predictions.clone(), x.clone()
    for restart in range(attack.restarts):
        standing = (predictions == y).nonzero().squeeze(1)
        if not len(standing):
            break
        x_adv = attack(model, x[standing], y[standing], seed + restart)
        found[standing], predictions[standing] = x_adv, predict(model, x_adv)
    return found, predictions


@torch.no_grad()
def predict(model: nn.Module, x: Tensor) -> Tensor:
    """The most probable class of each image, in evaluation mode: int64, shape (n,).

    Raises FloatingPointError for logits that are NaN or infinite: their largest means nothing.
    """
    logits = logits_of(model.eval()(x))
    check_logits(logits, len(x), 0)
    return logits.argmax(1)


def attackable(model: nn.Module, x: Tensor, y: Tensor, suite: list[Attack]) -> nn.Module:
    """The network as one that gives logits. Raises InputError, before time is spent, where it
    cannot be evaluated by these attacks."""
    asking = [attack.name for attack in suite if attack.name in BY_GRADIENT]
    return check_network(model, x, y, gradients_for=asking[0] if asking else None)
