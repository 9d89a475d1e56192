"""AutoAttack (Croce and Hein 2020), by the package pyautoattack, whose attacks are the authors'.

The standard version tries four in turn, each on the images that stand: APGD on the cross-entropy,
APGD on the targeted DLR loss, targeted FAB, and Square.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from ..errors import InputError
from .adapter import NAMES, Rescaled, check_images, guest, package, put_back, to_unit
from .arguments import public
from .geometry import Bounds
from .modes import attack_mode

Part = Literal["apgd-ce", "apgd-t", "fab-t", "square", "apgd-dlr", "fab"]
STANDARD: tuple[Part, ...] = ("apgd-ce", "apgd-t", "fab-t", "square")
FEWEST_CLASSES = {"apgd-t": 4, "apgd-dlr": 3}  # their losses need the fourth, the third logit
BATCH = 250


class Verdicts(NamedTuple):
    """Adversarial images; what broke each: "natural" (misclassified as it was), the name of a part,
    or None for one that stands; and the package's warnings (a stochastic model, probabilities for
    logits, zero gradients ...), each once."""

    x_adv: Tensor
    broken_by: list[str | None]
    flags: list[str]


@public()
def autoattack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: float = math.inf,
    parts: Sequence[Part] = STANDARD,
    batch_size: int = BATCH,
    seed: int = 0,
    bounds: Bounds = (0, 1),
) -> Tensor:
    """The worst images that the parts find: AutoAttack "standard" unless `parts` says otherwise.

    Parameters
    ----------
    model, x, y, eps, norm, bounds
        As in `pgd`; images of shape (n, channels, height, width), on the model's device.
    parts
        Which attacks, in their order. "apgd-t" takes 4 classes, "apgd-dlr" 3.
    batch_size
        Images attacked at once. It changes the random draws, so it is part of the result.
    seed
        Of each part. torch's global generator is neither used nor moved.

    Returns
    -------
    The adversarial images: shape, type and device of x. An image that stands is x.

    Raises
    ------
    ImportError
        Where pyautoattack is not installed.
    """
    return autoattack_with_verdicts(
        model,
        x,
        y,
        eps=eps,
        norm=norm,
        parts=parts,
        batch_size=batch_size,
        seed=seed,
        bounds=bounds,
    ).x_adv


@public()
def autoattack_with_verdicts(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: float = math.inf,
    parts: Sequence[Part] = STANDARD,
    batch_size: int = BATCH,
    seed: int = 0,
    bounds: Bounds = (0, 1),
) -> Verdicts:
    """`autoattack`, with what broke each image and what the package warned of."""
    check_images(x, norm, bounds)
    check_parts(parts)
    runner = package().AutoAttack
    forget_calls(package("pyautoattack.checks"))
    x_adv, broken_by = x.clone(), [None] * len(x)
    if not len(x):
        return Verdicts(x_adv, [], [])
    classes = number_of_classes(model, x)
    check_classes(parts, classes)
    adapted = Rescaled(model, x, bounds)
    with guest(model) as flags, torch.no_grad():
        attack = runner(
            adapted,
            norm=NAMES[norm],
            eps=eps / (bounds[1] - bounds[0]),
            seed=seed,
            version="standard",
            device=x.device,
        )
        limit_targets(attack, classes)
        verdicts = Verdicts(x_adv, list(broken_by), flags)
        record(verdicts, model, y, torch.arange(len(x), device=x.device), "natural", batch_size)
        for part in parts if eps > 0 else ():
            standing = [i for i, name in enumerate(verdicts.broken_by) if name is None]
            if not standing:
                break
            images = torch.tensor(standing, device=x.device)
            attack.attacks_to_run = [part]
            found, _ = attack.run_standard_evaluation(
                to_unit(x[images], bounds), y[images], batch_size=batch_size
            )
            x_adv[images] = put_back(found, x[images], eps, norm, bounds)
            record(verdicts, model, y, images, part, batch_size)
    return verdicts


def record(
    verdicts: Verdicts, model: nn.Module, y: Tensor, images: Tensor, name: str, batch_size: int
) -> None:
    """Write down which of these images are now misclassified."""
    for batch in images.split(batch_size):
        wrong = model(verdicts.x_adv[batch]).argmax(1) != y[batch]
        for image in batch[wrong].tolist():
            verdicts.broken_by[image] = name


def forget_calls(checks: Any) -> None:
    """Set to 0 the package's counts of calls of autograd in a model's forward pass, which it keeps
    for the whole process: one dynamic model would have every later one flagged."""
    checks.funcs.update(dict.fromkeys(checks.funcs, 0))


def limit_targets(attack: Any, classes: int) -> None:
    """No more target classes than there are: the package's 9 (5 for l1) are for 10 classes."""
    for targeted in (attack.apgd_targeted, attack.fab):
        targeted.n_target_classes = min(targeted.n_target_classes, classes - 1)


@torch.no_grad()
def number_of_classes(model: nn.Module, x: Tensor) -> int:
    """How many logits the model gives."""
    with attack_mode(model, "evaluation"):
        return int(model(x[:1]).shape[1])


def check_parts(parts: Sequence[str]) -> None:
    """Raise ValueError unless there are parts, all known."""
    known = get_args(Part)
    some = not isinstance(parts, str) and isinstance(parts, Sequence) and len(parts) > 0
    if not some or not all(part in known for part in parts):
        raise InputError(f"parts must be a list of some of {', '.join(known)}; got {parts!r}")


def check_classes(parts: Sequence[str], classes: int) -> None:
    """Raise ValueError where a part's loss needs more logits than the model has."""
    short = [part for part in parts if FEWEST_CLASSES.get(part, 2) > classes]
    if short:
        left = [part for part in STANDARD if FEWEST_CLASSES.get(part, 2) <= classes]
        raise InputError(
            f"AutoAttack's {short[0]} needs {FEWEST_CLASSES[short[0]]} classes or more, the model "
            f"has {classes}: pass parts={left}, which is then not the standard version"
        )
