"""Diagnostics: are the attacks too weak for this network?

Each check counts images that are correctly classified under the attacks of the evaluation and
misclassified under another one. Its warning states points of accuracy on all evaluated images.
"""

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attacks import autoattack_with_verdicts, pgd
from ..attacks.autoattack import MIN_CLASSES, Part
from ..attacks.geometry import random_point
from .evidence import (
    MINIMUM,
    Diagnostic,
    Evidence,
    Sample,
    check_share,
    skipped,
    too_few,
)
from .runner import build_attack, has_pyautoattack

QUERIES = 1000  # of Square per image, for gradient-free
TARGET_STEPS = 20  # of PGD towards each other class, for stronger-attack without pyautoattack
MAX_FOR_AUTOATTACK = 32  # images that only Square breaks, on which gradient attacks are tried

# Thresholds, above which a share of images is a warning.
ONE_STEP = 0.01
GRADIENT_FREE = 0.002  # (AutoAttack)
STRONGER_ATTACK = 0.01
CONVERGENCE_SHARE = 0.1  # of the images that are correctly classified under PGD
LOSS_INCREASE = 0.05  # that counts for convergence; a loss of log 2 or more is a misclassification

MANY_STEPS = ("pgd", "margin-pgd", "targeted-pgd")
STRONGER_THAN_PGD = ("autoattack", "targeted-pgd", "margin-pgd", "deepfool", "square")
APGD: tuple[Part, ...] = ("apgd-ce", "apgd-t")
GRADIENT_PARTS: tuple[Part, ...] = (*APGD, "fab-t")


def one_step(evidence: Evidence) -> Diagnostic:
    """Does one step break images that many steps do not?"""
    many = [name for name in MANY_STEPS if name in evidence.correct]
    if not many or evidence.settings.radius == 0:
        return skipped("one-step", "no attack of many steps was run")
    if evidence.settings.cascade and not evidence.ran_before(many, ["fgsm"]):
        return skipped("one-step", "in a cascade FGSM must come last")
    ran = "fgsm" in evidence.correct
    sample = evidence.all_sample if ran else evidence.subset_sample
    if sample.n < MINIMUM:
        return too_few("one-step", sample.n)
    if ran:
        correct = evidence.correct.under(many)
        broken = correct & ~evidence.correct["fgsm"]
    else:
        correct = evidence.correct_in_subset(many)
        broken = evidence.misclassified_by("fgsm", correct)
    k = int(broken.sum())
    counts = (
        f"of {int(correct.sum())} images that are correctly classified under many steps, {k} are "
        f"misclassified under one step (FGSM), {sample.points(k)}"
    )
    return check_share(
        "one-step",
        k,
        sample,
        ONE_STEP,
        f"{counts}. The loss is rough, gradients are masked or there are too few steps: the "
        "accuracy under attacks of many steps is too high",
        counts,
    )


def gradient_free(evidence: Evidence) -> Diagnostic:
    """Does Square, which uses no gradient, break images that no gradient attack breaks?

    Square may also break images that are left because a gradient attack is weak. So the images that
    it breaks are given to AutoAttack's gradient attacks, and only those that these leave count.
    """
    gradient_attacks = [
        name for name in (*MANY_STEPS, "fgsm", "deepfool") if name in evidence.correct
    ]
    if not gradient_attacks or evidence.settings.radius == 0:
        return skipped("gradient-free", "no gradient attack was run")
    if evidence.settings.cascade and not evidence.ran_before(gradient_attacks, ["square"]):
        return skipped("gradient-free", "in a cascade Square must come last")
    if not has_pyautoattack():
        return skipped("gradient-free", "Square needs the package pyautoattack")
    if evidence.x.ndim == 2 and evidence.settings.lp != math.inf:
        return skipped("gradient-free", "for rows of features Square is too weak in this norm")
    sample = evidence.all_sample if "square" in evidence.correct else evidence.subset_sample
    if sample.n < MINIMUM:
        return too_few("gradient-free", sample.n)
    sample, images, correct = _broken_by_square(evidence, sample, gradient_attacks)
    left = len(images) - _broken_by_parts(evidence, images, GRADIENT_PARTS)
    counts = (
        f"of {correct} images that are correctly classified under gradient attacks "
        f"({', '.join(gradient_attacks)}), {len(images)} are misclassified under Square"
    )
    if len(images):
        counts += f", and {left} of these are correctly classified under AutoAttack's APGD and FAB"
    return check_share(
        "gradient-free",
        left,
        sample,
        GRADIENT_FREE,
        f"{counts}, {sample.points(left)}. The gradients are misleading (masked), and the robust "
        "accuracy is lower than shown",
        counts,
    )


def convergence(evidence: Evidence) -> Diagnostic:
    """Does the loss still increase when the number of steps of PGD doubles?"""
    settings = evidence.settings
    if "pgd" not in evidence.correct or settings.radius == 0:
        return skipped("convergence", "PGD was not run")
    correct = evidence.correct_in_subset(["pgd"]).to(evidence.labels.device)
    x, y = evidence.x[correct], evidence.y[correct]
    if len(correct) >= MINIMUM and not len(x):
        return Diagnostic(
            "convergence",
            "ok",
            0.0,
            CONVERGENCE_SHARE,
            "no image is correctly classified under PGD",
        )
    if len(x) < MINIMUM:
        return too_few("convergence", len(x), "images that are correctly classified under PGD")
    attack = build_attack("pgd", settings)
    start = random_point(x, settings.radius, settings.lp, evidence.bounds)
    ball = {"eps": attack.eps, "norm": attack.norm, "bounds": evidence.bounds}
    keywords = ball | attack.keywords
    once = pgd(evidence.model, x, y, start=start, **keywords)
    twice = pgd(evidence.model, x, y, start=once, **keywords)  # 2 K steps in all
    with torch.no_grad():
        before, after = (
            F.cross_entropy(evidence.model(z), y, reduction="none") for z in (once, twice)
        )
        broken = int((evidence.model(twice).argmax(1) != y).sum())
    increases = int((after - before > LOSS_INCREASE).sum())
    counts = (
        f"with {2 * settings.steps} instead of {settings.steps} steps the loss of {increases} of "
        f"{len(x)} images that are correctly classified under PGD increases by more than "
        f"{LOSS_INCREASE}, and {broken} are misclassified"
    )
    return check_share(
        "convergence",
        increases,
        Sample(len(x), 1.0),
        CONVERGENCE_SHARE,
        f"PGD has not converged: {counts}. Use more steps",
        counts,
    )


def stronger_attack(evidence: Evidence) -> Diagnostic:
    """Does an attack that is known to be stronger break more images than PGD?"""
    if "pgd" not in evidence.correct or evidence.settings.radius == 0:
        return skipped("stronger-attack", "PGD was not run")
    ran = [name for name in STRONGER_THAN_PGD if name in evidence.correct]
    if evidence.settings.cascade and not evidence.ran_before(["pgd"], ran):
        return skipped("stronger-attack", "in a cascade PGD must come first")
    if ran:
        correct = evidence.correct.under(["pgd"])
        k = int((correct & ~evidence.correct.under(ran)).sum())
        sample, attack = evidence.all_sample, " or ".join(ran)
    else:
        sample, correct = evidence.subset_sample, evidence.correct_in_subset(["pgd"])
        if sample.n < MINIMUM:
            return too_few("stronger-attack", sample.n)
        attack, k = _broken_by_stronger(evidence, correct)
    counts = (
        f"of {int(correct.sum())} images that are correctly classified under PGD, {k} are "
        f"misclassified under {attack}"
    )
    hint = "" if "autoattack" in ran else ". Run AutoAttack as well"
    return check_share(
        "stronger-attack",
        k,
        sample,
        STRONGER_ATTACK,
        f"{counts}: PGD overestimates robust accuracy by at least {sample.points(k)}{hint}",
        f"{counts}, {sample.points(k)}",
    )


ATTACK_CHECKS: tuple[Callable[[Evidence], Diagnostic], ...] = (
    one_step,
    gradient_free,
    convergence,
    stronger_attack,
)


def _broken_by_square(
    evidence: Evidence, sample: Sample, gradient_attacks: Sequence[str]
) -> tuple[Sample, Tensor, int]:
    """Return the positions of images that Square breaks and the gradient attacks do not, and how
    many the latter leave. Stops after `MAX_FOR_AUTOATTACK` images; the sample ends there."""
    if "square" in evidence.correct:
        correct = evidence.correct.under(gradient_attacks)
        broken = correct & ~evidence.correct["square"]
        positions = torch.arange(sample.n)
    else:
        correct, positions = evidence.correct_in_subset(gradient_attacks), evidence.subset
        queries = min(evidence.settings.queries, QUERIES)
        broken = evidence.misclassified_by("square", correct, queries=queries)
    if int(broken.sum()) > MAX_FOR_AUTOATTACK:
        end = int(broken.nonzero()[MAX_FOR_AUTOATTACK - 1]) + 1
        sample = sample._replace(n=end)
        correct, positions, broken = correct[:end], positions[:end], broken[:end]
    return sample, positions[broken], int(correct.sum())


def _broken_by_stronger(evidence: Evidence, correct: Tensor) -> tuple[str, int]:
    """Return the name of a stronger attack than PGD, and how many of the images for extra passes it
    breaks, among those that are correct under PGD."""
    if has_pyautoattack():
        return "AutoAttack's APGD", _broken_by_parts(evidence, evidence.subset[correct], APGD)
    options = {"steps": TARGET_STEPS, "restarts": 1, "step_size": None}
    broken = evidence.misclassified_by("targeted-pgd", correct, **options)
    return "targeted PGD", int(broken.sum())


def _broken_by_parts(evidence: Evidence, images: Tensor, parts: tuple[Part, ...]) -> int:
    """Return how many of the images at these positions some of AutoAttack's parts break."""
    if not len(images):
        return 0
    positions = images.to(evidence.labels.device)
    x, y = evidence.images[positions], evidence.labels[positions]
    with torch.no_grad():
        classes = evidence.model(x[:1]).shape[1]
    result = autoattack_with_verdicts(
        evidence.model,
        x,
        y,
        eps=evidence.settings.radius,
        norm=evidence.settings.lp,
        parts=tuple(part for part in parts if classes >= MIN_CLASSES.get(part, 0)),
        seed=evidence.settings.seed,
        bounds=evidence.bounds,
    )
    return sum(name is not None for name in result.broken_by)
