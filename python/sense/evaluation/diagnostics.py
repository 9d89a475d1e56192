"""Diagnostics of an evaluation: does an attack fail although the network is not robust?

After Carlini et al. (2019), "On evaluating adversarial robustness", section 5, and the flags of
AutoAttack (Croce and Hein 2020). A warning proves nothing, and neither does its absence. The checks
of the network are here, those of the attacks in `attack_diagnostics`.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from ..attacks.geometry import is_unit_range
from ..collapse import MOST_FREQUENT_LABEL, ONE_CLASS
from ..networks import are_probabilities
from ..statistics import binomial_p_value
from .attack_diagnostics import ATTACK_CHECKS
from .evidence import (
    MINIMUM,
    Diagnostic,
    Evidence,
    Sample,
    check_share,
    check_value,
    skipped,
    too_few,
)
from .runner import attack_images, build_attack

PASSES = 5  # forward passes of the same images, for randomness
STEPS = 50  # of PGD, for large-eps

# Thresholds, above which a value is a warning.
CHANCE = 0.025  # one-sided p-value
RELATIVE_NOISE = 1e-4  # difference of logits, relative to the largest one (AutoAttack)
PROBABILITIES = 0.99  # share of images
ZERO_GRADIENTS = 0.0  # share of images (AutoAttack)
LARGE_EPS = 0.05  # share of images
NORMALISED_HINT = (
    "A network that was trained on normalised images must be passed as "
    "sense.Normalised(network, mean, std)"
)


def run_diagnostics(evidence: Evidence) -> dict[str, Any]:
    """Run every check and return the entry `diagnostics` of evaluation.json. Uses torch's global
    random stream, so the caller seeds it."""
    begin = time.perf_counter()
    results = list(_run_checks(evidence))
    return {
        "images": len(evidence.subset),
        "seconds": round(time.perf_counter() - begin, 3),
        "checks": [result._asdict() for result in results],
    }


def _run_checks(evidence: Evidence) -> Iterator[Diagnostic]:
    """If the network predicts one class or is no better than chance, that explains the outcome of
    every attack: the checks of gradients and attacks are skipped."""
    accuracy = [check(evidence) for check in ACCURACY_CHECKS]
    yield from accuracy
    yield from (check(evidence) for check in OUTPUT_CHECKS)
    useless = next((result for result in accuracy if result.verdict == "warning"), None)
    for check in (*GRADIENT_CHECKS, *ATTACK_CHECKS):
        name = check_name(check)
        if useless is not None:
            yield skipped(name, f"the network itself is at fault ({useless.check})")
        elif not len(evidence.subset):
            yield skipped(name, "no image is correctly classified without attack")
        else:
            yield check(evidence)


def check_name(check: Callable[[Evidence], Diagnostic]) -> str:
    return check.__name__.replace("_", "-")


def chance(evidence: Evidence) -> Diagnostic:
    """Is the network more accurate than predicting the most frequent label for every image?"""
    n, k = len(evidence.labels), int(evidence.correct["natural"].sum())
    if n < MINIMUM:
        return too_few("chance", n, "images")
    share = _largest_class(evidence.labels) / n
    if share == 1:
        return skipped("chance", "all images have the same label")
    counts = (
        f"{k} of {n} images are correctly classified, and {share * n:.0f} have the most frequent "
        "label"
    )
    return check_value(
        "chance",
        binomial_p_value(k, n, share),
        CHANCE,
        f"the network is not better than chance: {counts}. There is no accuracy that an attack "
        f"could lower. {NORMALISED_HINT}",
        f"the network is better than chance: {counts}",
    )


def one_class(evidence: Evidence) -> Diagnostic:
    """Does the network predict one class for nearly all images of several classes?"""
    n, most = len(evidence.labels), _largest_class(evidence.predictions)
    if n < MINIMUM:
        return too_few("one-class", n, "images")
    if _largest_class(evidence.labels) > MOST_FREQUENT_LABEL * n:
        return skipped("one-class", "most images have the same label")
    predicted = int(evidence.predictions.mode().values)
    counts = f"class {predicted} is predicted for {most} of {n} images"
    labelled = int((evidence.labels == predicted).sum())
    return check_share(
        "one-class",
        most,
        evidence.all_sample,
        ONE_CLASS,
        f"the network has collapsed: {counts}, and is the label of {labelled}. Its accuracy under "
        "attack does not measure robustness: train it again",
        f"no class is predicted for nearly all images: {counts}",
    )


@torch.no_grad()
def randomness(evidence: Evidence) -> Diagnostic:
    """Does the network give other logits for the same images?"""
    passes = torch.stack([evidence.model(evidence.first_images) for _ in range(PASSES)])
    value = float((passes.amax(0) - passes.amin(0)).max() / passes.abs().max().clamp_min(1e-12))
    return check_value(
        "randomness",
        value,
        RELATIVE_NOISE,
        f"the network is random: in {PASSES} forward passes of the same images its logits differ "
        f"by {value:.1e} of the largest logit, so the attacked network is not the evaluated one. "
        "Attack the average of many forward passes",
        f"the logits are the same in {PASSES} forward passes",
    )


@torch.no_grad()
def probabilities(evidence: Evidence) -> Diagnostic:
    """Does the network return probabilities, whose cross-entropy is nearly flat?"""
    return check_value(
        "probabilities",
        float(are_probabilities(evidence.model(evidence.first_images)).float().mean()),
        PROBABILITIES,
        "the network returns probabilities, not logits: attacks apply another softmax to them, "
        "which flattens the loss. Evaluate the network without its last softmax",
        "the network returns logits",
    )


def zero_gradients(evidence: Evidence) -> Diagnostic:
    """Is the gradient of the loss exactly zero on some images?"""
    x = evidence.x.clone().requires_grad_()
    loss = F.cross_entropy(evidence.model(x), evidence.y, reduction="sum")
    if not loss.requires_grad:
        return Diagnostic(
            "zero-gradients",
            "warning",
            1.0,
            ZERO_GRADIENTS,
            "the network has no gradients: only attacks that need none could be run",
        )
    (gradient,) = torch.autograd.grad(loss, x)
    zero = int((~gradient.flatten(1).any(1)).sum())
    if len(x) < MINIMUM:
        return too_few("zero-gradients", len(x))
    return check_value(
        "zero-gradients",
        zero / len(x),
        ZERO_GRADIENTS,
        f"the gradient is exactly zero on {zero} of {len(x)} images: gradient attacks cannot move "
        "them, so the accuracy under these attacks is too high",
        f"the gradient is zero on none of {len(x)} images",
    )


def large_eps(evidence: Evidence) -> Diagnostic:
    """Are images still correctly classified in a ball that contains all images?

    PGD starts at the image: a random start in that ball would be noise, which fools a network
    without any gradient.
    """
    settings, x, y = evidence.settings, evidence.x, evidence.y
    if len(x) < MINIMUM:
        return too_few("large-eps", len(x))
    # The range of each feature of a table; of a pixel it is 1.
    images = evidence.images.flatten(1)
    width = images.amax(0) - images.amin(0)
    if is_unit_range(evidence.bounds):
        width = torch.ones_like(width)
    eps = float(torch.linalg.vector_norm(width, settings.lp))
    wide = build_attack(
        "pgd",
        replace(settings, eps=eps, steps=STEPS, restarts=1, step_size=None),
        bounds=evidence.bounds,
    )
    attack = replace(wide, keywords=wide.keywords | {"random_start": False})
    correct = int((attack_images(attack, evidence.model, x, y, y, 0) == y).sum())
    counts = (
        f"{correct} of {len(x)} images are correctly classified under PGD-{STEPS}, eps = {eps:g}"
    )
    return check_share(
        "large-eps",
        correct,
        Sample(len(x), 1.0),
        LARGE_EPS,
        f"{counts}. That ball contains images of every class, so the attack fails",
        counts,
    )


Check = Callable[[Evidence], Diagnostic]
ACCURACY_CHECKS: tuple[Check, ...] = (chance, one_class)
OUTPUT_CHECKS: tuple[Check, ...] = (randomness, probabilities)
GRADIENT_CHECKS: tuple[Check, ...] = (zero_gradients, large_eps)
CHECKS = (*ACCURACY_CHECKS, *OUTPUT_CHECKS, *GRADIENT_CHECKS, *ATTACK_CHECKS)


def _largest_class(classes: torch.Tensor) -> int:
    """The number of images of the most frequent class."""
    return int(classes.unique(return_counts=True)[1].max())
