"""Signs that a network, or its gradients, are not what an evaluation takes them for.

After Carlini et al. (2019), "On evaluating adversarial robustness", section 5, and the flags of
AutoAttack (Croce and Hein 2020). No sign is a proof, and their absence proves nothing.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F

from ..networks import are_probabilities
from ..statistics import binomial_p_value
from .case import FEWEST, Case, Check, check_share, check_value, skipped, too_few
from .runner import attack_images, build_attack

PASSES = 5  # of the same images, for randomness
STEPS = 50  # of PGD, for large-eps

# From where on a value is a warning.
CHANCE = 0.025  # one-sided p-value: a share whose exact 95 % interval lies above
ONE_CLASS = 0.8  # share of images
SEVERAL = 0.5  # share of the most frequent label, up to which one class for all is no answer
LOGITS_DIFFER = 1e-4  # by so much of the largest logit (AutoAttack)
PROBABLE = 0.99  # share of images
MIN_SLOPE = 0.0  # more than no image without a gradient (AutoAttack)
RIGHT_AT_LARGE_EPS = 0.05  # share of images


def chance(case: Case) -> Check:
    """Is the network better than the most frequent label, said of every image?"""
    n, k = len(case.labels), int(case.right["natural"].sum())
    if n < FEWEST:
        return too_few("chance", n, "images")
    share = _largest(case.labels) / n
    if share == 1:
        return skipped("chance", "all images have the same label")
    found = f"{k} of {n} images are right, {share * n:.0f} by the most frequent label for all"
    return check_value(
        "chance",
        binomial_p_value(k, n, share),
        CHANCE,
        f"the network is not better than chance: {found}; there is no accuracy that an attack "
        "could lower",
        f"the network is better than chance: {found}",
    )


def one_class(case: Case) -> Check:
    """Does the network say one class of nearly all images, whose labels are several?"""
    n, most = len(case.labels), _largest(case.guesses)
    if n < FEWEST:
        return too_few("one-class", n, "images")
    if _largest(case.labels) > SEVERAL * n:
        return skipped("one-class", "most images have the same label")
    which = int(case.guesses.mode().values)
    found = f"class {which} is predicted for {most} of {n} images"
    return check_share(
        "one-class",
        most,
        case.everything,
        ONE_CLASS,
        f"the network has collapsed: {found}, and {int((case.labels == which).sum())} of them are "
        "of it; what stands under attack says nothing of robustness. Train it again",
        f"no class is predicted for nearly all images: {found}",
    )


@torch.no_grad()
def randomness(case: Case) -> Check:
    """Does the network say the same of an image each time?"""
    passes = torch.stack([case.model(case.sample) for _ in range(PASSES)])
    value = float((passes.amax(0) - passes.amin(0)).max() / passes.abs().max().clamp_min(1e-12))
    return check_value(
        "randomness",
        value,
        LOGITS_DIFFER,
        f"the network is random: its logits differ by {value:.1e} of the largest between "
        f"{PASSES} passes of the same images, so an attack aims at another network than the one "
        "that judges it; attack the average over many passes",
        f"logits are the same in {PASSES} passes",
    )


@torch.no_grad()
def probabilities(case: Case) -> Check:
    """Are the outputs probabilities, whose cross-entropy hardly climbs?"""
    alike = are_probabilities(case.model(case.sample))
    return check_value(
        "probabilities",
        float(alike.float().mean()),
        PROBABLE,
        "the network gives probabilities, not logits: attacks take them through another softmax, "
        "which flattens the loss; evaluate it without its last softmax",
        "the network gives logits",
    )


def zero_gradients(case: Case) -> Check:
    """On how many images is the loss flat to the last bit?"""
    x = case.x.clone().requires_grad_()
    loss = F.cross_entropy(case.model(x), case.y, reduction="sum")
    if not loss.requires_grad:
        return Check(
            "zero-gradients",
            "warning",
            1.0,
            MIN_SLOPE,
            "the network gives no gradients at all: only attacks without them could be tried",
        )
    (gradient,) = torch.autograd.grad(loss, x)
    flat = int((~gradient.flatten(1).any(1)).sum())
    if len(x) < FEWEST:
        return too_few("zero-gradients", len(x))
    return check_value(
        "zero-gradients",
        flat / len(x),
        MIN_SLOPE,
        f"the gradient is exactly zero on {flat} of {len(x)} images: attacks by "
        "gradient have nothing to follow there, and their accuracy says little",
        f"the gradient is zero on none of {len(x)} images",
    )


def large_eps(case: Case) -> Check:
    """In a ball that holds every image, no network is right. PGD starts at the image: a random one
    of that ball would be noise, which breaks a network without any gradient."""
    settings, x, y = case.settings, case.x, case.y
    if len(x) < FEWEST:
        return too_few("large-eps", len(x))
    n = x[0].numel()
    eps = {math.inf: 1.0, 2.0: math.sqrt(n), 1.0: float(n)}[settings.lp]
    wide = build_attack("pgd", replace(settings, eps=eps, steps=STEPS, restarts=1, step_size=None))
    climb = replace(wide, keywords=wide.keywords | {"random_start": False})
    right = int((attack_images(climb, case.model, x, y, y, 0) == y).sum())
    found = f"{right} of {len(x)} images stand under PGD-{STEPS} with eps = {eps:g}"
    return check_share(
        "large-eps",
        right,
        case.some._replace(part=1.0),
        RIGHT_AT_LARGE_EPS,
        f"{found}, where the ball holds images of every class: the attack fails, not the network",
        found,
    )


# The first two say whether there is an accuracy at all that an attack could lower.
OF_ACCURACY: tuple[Callable[[Case], Check], ...] = (chance, one_class)
OF_OUTPUT: tuple[Callable[[Case], Check], ...] = (randomness, probabilities)
OF_GRADIENT: tuple[Callable[[Case], Check], ...] = (zero_gradients, large_eps)


def _largest(classes: torch.Tensor) -> int:
    """How many are of the most frequent class."""
    return int(classes.unique(return_counts=True)[1].max())
