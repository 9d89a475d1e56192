"""Signs that an attack failed where a network is not robust.

After Carlini et al. (2019), "On evaluating adversarial robustness", section 5, and the flags of
AutoAttack (Croce and Hein 2020). No sign is a proof, and their absence proves nothing.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attacks import pgd
from ..attacks.geometry import random_point
from .batches import Batch
from .outcomes import Record
from .settings import Settings
from .suite import attack_images, build_attack, has_pyautoattack

# On how many images, naturally right, the extra passes are made, and with how many of them.
IMAGES = 64
PASSES = 5  # of the same images, for randomness
STEPS = 50  # of PGD, for large-eps
QUERIES = 1000  # of Square an image, for gradient-free
TARGET_STEPS = 20  # of PGD towards each other class, for stronger-attack

# From where on a value is a warning.
LOGITS_DIFFER = 1e-4  # by so much of the largest logit (AutoAttack)
SUM_IS_ONE = 1e-5  # (AutoAttack)
PROBABLE = 0.99  # share of images
FLAT = 0.0  # more than no image without a gradient (AutoAttack)
RIGHT_AT_LARGE_EPS = 0.05  # share of images
ONE_STEP_BETTER = 0.01  # share of images
NO_GRADIENT_BETTER = 0.002  # share of images (AutoAttack)
LOSS_RISES = 0.05  # by so much: a loss of log 2 breaks an image, or more
RISING = 0.1  # share of the images that stand whose loss does
STRONGER_BETTER = 0.02  # share of images

STEPPED = ("pgd", "margin-pgd", "targeted-pgd")
STRONGER = ("autoattack", "targeted-pgd", "margin-pgd", "deepfool", "square")
Verdict = Literal["ok", "warning", "not judged"]


class Check(NamedTuple):
    """One sign: what was measured, from where on it is a warning, and a sentence for people."""

    check: str
    verdict: Verdict
    value: float | None
    threshold: float | None
    text: str


@dataclass(frozen=True)
class Case:
    """What is judged.

    Attributes
    ----------
    model
        In evaluation mode.
    x, y
        The images for further passes; all are naturally right.
    where
        Which of the evaluated images they are.
    settings
        Complete ones.
    right
        By attack, natural among them: which of all evaluated images are right under it.
    """

    model: nn.Module
    x: Tensor
    y: Tensor
    where: Sequence[int]
    settings: Settings
    right: dict[str, Tensor]

    @staticmethod
    def of(
        model: nn.Module, batches: Sequence[Batch], settings: Settings, record: Record
    ) -> "Case":
        """The first images that are naturally right, for further passes."""
        labels = torch.tensor(record.labels)
        right = {name: torch.tensor(found) == labels for name, found in record.predictions.items()}
        where = right["natural"].nonzero().squeeze(1)[:IMAGES].tolist()
        x, y = torch.cat([b.x for b in batches]), torch.cat([b.y for b in batches])
        return Case(model, x[where], y[where], where, settings, right)

    def before(self, first: Sequence[str], then: Sequence[str]) -> bool:
        """Whether all of the first attacks were tried before any of the others: else, in a
        cascade, they did not see the images that the others broke."""
        names = list(self.right)
        begin = [names.index(name) for name in then if name in names]
        return not begin or max(names.index(name) for name in first) < min(begin)

    def standing(self, attacks: Sequence[str]) -> Tensor:
        """Which of the images for further passes stand under these attacks: bool, shape (m,)."""
        rows = [self.right[name][list(self.where)] for name in attacks if name in self.right]
        everything = torch.ones(len(self.x), dtype=torch.bool)
        return torch.stack([everything, *rows]).all(0).to(self.y.device)


def judged(name: str, value: float, threshold: float, warning: str, fine: str) -> Check:
    """A warning where the value is more than the threshold."""
    found = value > threshold
    return Check(name, "warning" if found else "ok", value, threshold, warning if found else fine)


def not_judged(name: str, why: str) -> Check:
    return Check(name, "not judged", None, None, why)


@torch.no_grad()
def randomness(case: Case) -> Check:
    """Does the network say the same of an image each time?"""
    passes = torch.stack([case.model(case.x) for _ in range(PASSES)])
    value = float((passes.amax(0) - passes.amin(0)).max() / passes.abs().max().clamp_min(1e-12))
    return judged(
        "randomness", value, LOGITS_DIFFER,
        f"the network is random: its logits differ by {value:.1e} of the largest between "
        f"{PASSES} passes of the same images, so an attack aims at another network than the one "
        "that judges it; attack the average over many passes",
        f"logits are the same in {PASSES} passes",
    )  # fmt: skip


@torch.no_grad()
def probabilities(case: Case) -> Check:
    """Are the outputs probabilities, whose cross-entropy hardly climbs?"""
    out = case.model(case.x)
    alike = (
        (out >= -SUM_IS_ONE).all(1) & (out <= 1 + SUM_IS_ONE).all(1)
        & ((out.sum(1) - 1).abs() < SUM_IS_ONE)
    )  # fmt: skip
    return judged(
        "probabilities", float(alike.float().mean()), PROBABLE,
        "the network gives probabilities, not logits: attacks take them through another softmax, "
        "which flattens the loss; evaluate it without its last softmax",
        "the network gives logits",
    )  # fmt: skip


def zero_gradients(case: Case) -> Check:
    """On how many images is the loss flat to the last bit?"""
    x = case.x.clone().requires_grad_()
    loss = F.cross_entropy(case.model(x), case.y, reduction="sum")
    if not loss.requires_grad:
        return Check(
            "zero-gradients", "warning", 1.0, FLAT,
            "the network gives no gradients at all: only attacks without them could be tried",
        )  # fmt: skip
    (gradient,) = torch.autograd.grad(loss, x)
    flat = ~gradient.flatten(1).any(1)
    return judged(
        "zero-gradients", float(flat.float().mean()), FLAT,
        f"the gradient is exactly zero on {int(flat.sum())} of {len(x)} images: attacks by "
        "gradient have nothing to follow there, and their accuracy says little",
        f"the gradient is zero on none of {len(x)} images",
    )  # fmt: skip


def large_eps(case: Case) -> Check:
    """In a ball that holds every image, no network is right. PGD starts at the image: a random one
    of that ball would be noise, which breaks a network without any gradient."""
    settings, n = case.settings, case.x[0].numel()
    eps = {math.inf: 1.0, 2.0: math.sqrt(n), 1.0: float(n)}[settings.lp]
    wide = build_attack("pgd", replace(settings, eps=eps, steps=STEPS, restarts=1, step_size=None))
    climb = replace(wide, keywords=wide.keywords | {"random_start": False})
    right = int((attack_images(climb, case.model, case.x, case.y, case.y, 0) == case.y).sum())
    found = f"{right} of {len(case.x)} images stand under PGD-{STEPS} with eps = {eps:g}"
    return judged(
        "large-eps", right / len(case.x), RIGHT_AT_LARGE_EPS,
        f"{found}, where the ball holds images of every class: the attack fails, not the network",
        found,
    )  # fmt: skip


def one_step(case: Case) -> Check:
    """Does one step break what many do not?"""
    many = [name for name in STEPPED if name in case.right]
    if not many or case.settings.radius == 0:
        return not_judged("one-step", "no attack of many steps was tried")
    if case.settings.cascade and not case.before(many, ["fgsm"]):
        return not_judged("one-step", "with --cascade FGSM did not come last")
    if "fgsm" in case.right:
        before, after = _under(case.right, many), case.right["fgsm"]
        n, broken = len(before), int((before & ~after).sum())
    else:
        n = len(case.x)
        broken = _broken_by(case, "fgsm", case.standing(many))
    return judged(
        "one-step", broken / n, ONE_STEP_BETTER,
        f"one step (FGSM) breaks {broken} of {n} images that stand under many steps: the loss is "
        "rough or masked, and the accuracy under attacks of many steps is too high",
        f"one step (FGSM) breaks {broken} of {n} images that stand under many",
    )  # fmt: skip


def gradient_free(case: Case) -> Check:
    """Does an attack that sees no gradient break what gradients do not?"""
    by_gradient = [name for name in (*STEPPED, "fgsm", "deepfool") if name in case.right]
    if not by_gradient or case.settings.radius == 0:
        return not_judged("gradient-free", "no attack by gradient was tried")
    if case.settings.cascade and not case.before(by_gradient, ["square"]):
        return not_judged("gradient-free", "with --cascade Square came before other attacks")
    if "square" in case.right:
        before, after = _under(case.right, by_gradient), case.right["square"]
        n, broken = len(before), int((before & ~after).sum())
    elif has_pyautoattack():
        n = len(case.x)
        few = replace(case.settings, queries=min(case.settings.queries, QUERIES))
        broken = _broken_by(replace(case, settings=few), "square", case.standing(by_gradient))
    else:
        return not_judged("gradient-free", "Square needs the package pyautoattack")
    return judged(
        "gradient-free", broken / n, NO_GRADIENT_BETTER,
        f"Square, without any gradient, breaks {broken} of {n} images that stand under attacks by "
        "gradient: the gradients mislead (masking), and robust accuracy is lower than shown",
        f"Square breaks {broken} of {n} images that stand under attacks by gradient",
    )  # fmt: skip


def convergence(case: Case) -> Check:
    """Does the loss go on rising when the steps double?"""
    settings = case.settings
    if "pgd" not in case.right or settings.radius == 0:
        return not_judged("convergence", "PGD was not tried")
    standing = case.standing(["pgd"])
    if not standing.any():
        return Check(
            "convergence", "ok", 0.0, RISING, "no image stands that more steps could break"
        )
    x, y = case.x[standing], case.y[standing]
    more = build_attack("pgd", settings)
    start = random_point(x, settings.radius, settings.lp, (0, 1))
    keywords = {"eps": more.eps, "norm": more.norm, **more.keywords}
    once = pgd(case.model, x, y, start=start, **keywords)
    twice = pgd(case.model, x, y, start=once, **keywords)  # goes on: as if with 2 K steps
    with torch.no_grad():
        before, after = (F.cross_entropy(case.model(z), y, reduction="none") for z in (once, twice))
        broken = int((case.model(twice).argmax(1) != y).sum())
    rising = int((after - before > LOSS_RISES).sum())
    both = (
        f"the loss of {rising} of the {len(x)} images that stand rises by more than {LOSS_RISES} "
        f"when {settings.steps} steps become {2 * settings.steps}, and {broken} of them fall"
    )
    return judged(
        "convergence", rising / len(x), RISING,
        f"PGD has not converged: {both}; raise --steps", both,
    )  # fmt: skip


def stronger_attack(case: Case) -> Check:
    """Is PGD beaten by an attack that is known to be stronger?"""
    if "pgd" not in case.right or case.settings.radius == 0:
        return not_judged("stronger-attack", "PGD was not tried")
    tried = [name for name in STRONGER if name in case.right]
    if case.settings.cascade and not case.before(["pgd"], tried):
        return not_judged("stronger-attack", "with --cascade PGD did not come first")
    if tried:
        before, after = case.right["pgd"], _under(case.right, tried)
        n, broken, what = len(before), int((before & ~after).sum()), " and ".join(tried)
    else:
        short = replace(case.settings, steps=TARGET_STEPS, restarts=1, step_size=None)
        n, what = len(case.x), "targeted PGD"
        broken = _broken_by(replace(case, settings=short), "targeted-pgd", case.standing(["pgd"]))
    hint = "" if "autoattack" in tried else "; see what --attacks autoattack says"
    return judged(
        "stronger-attack", broken / n, STRONGER_BETTER,
        f"{broken} of {n} images that stand under PGD fall to {what}: PGD overstates robust "
        f"accuracy by {100 * broken / n:.1f} points or more{hint}",
        f"{broken} of {n} images that stand under PGD fall to {what}",
    )  # fmt: skip


CHECKS: tuple[Callable[[Case], Check], ...] = (
    randomness, probabilities, zero_gradients, large_eps, one_step, gradient_free, convergence,
    stronger_attack,
)  # fmt: skip


def _under(right: dict[str, Tensor], attacks: Sequence[str]) -> Tensor:
    """Which images are right under all of them."""
    return torch.stack([right[name] for name in attacks]).all(0)


def _broken_by(case: Case, attack: str, standing: Tensor) -> int:
    """How many of the standing images for further passes the attack breaks."""
    before = torch.where(standing, case.y, -1)  # an image that fell is not attacked
    after = attack_images(
        build_attack(attack, case.settings), case.model, case.x, case.y, before, case.settings.seed
    )
    return int((standing & (after != case.y)).sum())
