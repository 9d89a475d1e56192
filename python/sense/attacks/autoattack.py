"""AutoAttack (Croce and Hein 2020), with the authors' attacks from the package pyautoattack.

The standard version runs four attacks in turn, each on the images that are still correctly
classified: APGD on the cross-entropy, APGD on the targeted DLR loss, targeted FAB, and Square.
"""

import math
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from ..errors import InputError
from .adapter import (
    NAMES,
    UnitRange,
    UnitRangeModel,
    check_images,
    import_pyautoattack,
    preserved_state,
)
from .arguments import checked_attack
from .geometry import Bounds
from .modes import attack_mode

Part = Literal["apgd-ce", "apgd-t", "fab-t", "square", "apgd-dlr", "fab"]
STANDARD: tuple[Part, ...] = ("apgd-ce", "apgd-t", "fab-t", "square")
MIN_CLASSES = {"apgd-t": 4, "apgd-dlr": 3}  # their losses need the fourth, the third logit
BATCH_SIZE = 250


class Verdicts(NamedTuple):
    """Adversarial images; per image what made it misclassified: "natural" (x itself is), the name
    of a part, or None if it is still correctly classified; and the package's warnings (a stochastic
    model, probabilities instead of logits, zero gradients ...), each once."""

    x_adv: Tensor
    broken_by: list[str | None]
    warnings: list[str]


@checked_attack()
def autoattack(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: float = math.inf,
    parts: Sequence[Part] | None = None,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    bounds: Bounds = (0, 1),
) -> Tensor:
    """Return the adversarial images that AutoAttack finds.

    Parameters
    ----------
    model, x, y, eps, norm, bounds
        As in `pgd`; images of shape (n, channels, height, width), or features of shape (n, d), on
        the model's device.
    parts
        The attacks, in this order. "apgd-t" needs at least 4 classes, "apgd-dlr" at least 3.
        Default: those of the standard version; for fewer than 4 classes see `standard_parts`.
    batch_size
        Batch size. It changes the random draws, and so the result.
    seed
        Seed of each part. torch's global generator is neither used nor changed.

    Returns
    -------
    The adversarial images: shape, type and device of x. An image that no part breaks is x.

    Raises
    ------
    ImportError
        If pyautoattack is not installed.
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


@checked_attack()
def autoattack_with_verdicts(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: float = math.inf,
    parts: Sequence[Part] | None = None,
    batch_size: int = BATCH_SIZE,
    seed: int = 0,
    bounds: Bounds = (0, 1),
) -> Verdicts:
    """`autoattack`, with the part that broke each image and the package's warnings."""
    check_images(x, norm)
    if parts is not None:
        check_parts(parts)
    runner = import_pyautoattack().AutoAttack
    reset_call_counts(import_pyautoattack("pyautoattack.checks"))
    x_adv, broken_by = x.clone(), [None] * len(x)
    if not len(x):
        return Verdicts(x_adv, [], [])
    classes = number_of_classes(model, x)
    parts = standard_parts(classes) if parts is None else parts
    check_classes(parts, classes)
    unit = UnitRange(x, eps, norm, bounds)
    adapted = UnitRangeModel(model, unit)
    with preserved_state(model) as warnings, torch.no_grad():
        attack = runner(
            adapted,
            norm=NAMES[norm],
            eps=eps / unit.width,
            seed=seed,
            version="standard",
            device=x.device,
        )
        limit_targets(attack, classes)
        verdicts = Verdicts(x_adv, list(broken_by), warnings)
        record_misclassified(
            verdicts, model, y, torch.arange(len(x), device=x.device), "natural", batch_size
        )
        for part in parts if eps > 0 else ():
            remaining = [i for i, name in enumerate(verdicts.broken_by) if name is None]
            if not remaining:
                break
            images = torch.tensor(remaining, device=x.device)
            attack.attacks_to_run = [part]
            found, _ = attack.run_standard_evaluation(
                unit.to_unit(x[images]), y[images], batch_size=batch_size
            )
            x_adv[images] = unit.restore(found, x[images], eps, norm)
            record_misclassified(verdicts, model, y, images, part, batch_size)
    return verdicts


def record_misclassified(
    verdicts: Verdicts, model: nn.Module, y: Tensor, images: Tensor, name: str, batch_size: int
) -> None:
    """Note the attack `name` for those of these images that are now misclassified."""
    for batch in images.split(batch_size):
        wrong = model(verdicts.x_adv[batch]).argmax(1) != y[batch]
        for image in batch[wrong].tolist():
            verdicts.broken_by[image] = name


def reset_call_counts(checks: Any) -> None:
    """Reset the package's counts of autograd calls in a forward pass. It keeps them for the whole
    process, so that after one dynamic model it would warn of every later model."""
    checks.funcs.update(dict.fromkeys(checks.funcs, 0))


def limit_targets(attack: Any, classes: int) -> None:
    """Use at most as many target classes as there are: the package's 9 (5 for l1) are for 10."""
    for targeted in (attack.apgd_targeted, attack.fab):
        targeted.n_target_classes = min(targeted.n_target_classes, classes - 1)


@torch.no_grad()
def number_of_classes(model: nn.Module, x: Tensor) -> int:
    """Return the number of logits of the model."""
    with attack_mode(model, "evaluation"):
        return int(model(x[:1]).shape[1])


def standard_parts(classes: int) -> tuple[Part, ...]:
    """Return the parts of the standard version for this number of classes.

    The loss of "apgd-t" needs the fourth logit. With 3 classes "apgd-dlr" takes its place. With 2
    classes there is one other class and APGD on the cross-entropy has its direction, so three parts
    are left.
    """
    replaced: dict[str, tuple[Part, ...]] = {"apgd-t": ("apgd-dlr",) if classes == 3 else ()}
    if classes >= MIN_CLASSES["apgd-t"]:
        return STANDARD
    return tuple(part for name in STANDARD for part in replaced.get(name, (name,)))


def check_parts(parts: Sequence[str]) -> None:
    """Raise InputError for no parts or unknown ones."""
    known = get_args(Part)
    some = not isinstance(parts, str) and isinstance(parts, Sequence) and len(parts) > 0
    if not some or not all(part in known for part in parts):
        raise InputError(f"parts must be a list of some of {', '.join(known)}; got {parts!r}")


def check_classes(parts: Sequence[str], classes: int) -> None:
    """Raise InputError if the loss of a part needs more logits than the model has."""
    unusable = [part for part in parts if MIN_CLASSES.get(part, 2) > classes]
    if unusable:
        usable = [part for part in STANDARD if MIN_CLASSES.get(part, 2) <= classes]
        raise InputError(
            f"AutoAttack's {unusable[0]} needs at least {MIN_CLASSES[unusable[0]]} classes, the "
            f"model has {classes}: pass parts={usable}; the result is then not the standard version"
        )
