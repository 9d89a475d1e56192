"""The values that each option of a training run may have, and combinations that are not possible.

Every function raises InputError with the option, what is allowed and what was received.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..extensions import is_code
from ..models import check_model_name
from .checks import check, check_type, eps_hint

if TYPE_CHECKING:
    from .options import Config


def validate(config: "Config", types: Mapping[str, Any]) -> None:
    """Check all options; `types` are their type hints."""
    for name, hint in types.items():
        check_type(name, getattr(config, name), hint)
    check_model_name(config.model)
    _check_numbers(config)
    _check_attack(config)
    _check_method(config)
    _check_learning_rate(config)
    _check_run(config)


def _check_numbers(config: "Config") -> None:
    for name in (
        "steps",
        "epochs",
        "batch_size",
        "monitor_size",
        "threads",
        "train_size",
        "replays",
    ):
        value = getattr(config, name)
        check(name, value, value is None or value >= 1, "a whole number >= 1")
    for name in ("warmup", "pretrain", "seed", "bisections", "validation_size", "awp_warmup"):
        value = getattr(config, name)
        check(name, value, value is None or value >= 0, "a whole number >= 0")
    check("seed", config.seed, config.seed < 2**32, "a whole number less than 2^32")
    for name in (
        "eps",
        "eval_eps",
        "natural_weight",
        "gamma",
        "radius_max",
        "eps_min",
        "d_max",
        "fgsm_step",
        "noise_scale",
        "beta",
        "weight_decay",
        "awp",
    ):
        value = getattr(config, name)
        check(name, value, value is None or 0 <= value < math.inf, "0 or more")
    weights = config.class_weights if isinstance(config.class_weights, tuple) else ()
    expected = "balanced, or numbers more than 0, one per class"
    check("class_weights", weights, all(0 < weight < math.inf for weight in weights), expected)
    for name in ("step_size", "lr", "minutes"):
        value = getattr(config, name)
        check(name, value, value is None or 0 < value < math.inf, "more than 0")


def _check_attack(config: "Config") -> None:
    check("c", config.c, 0 <= config.c <= 1, "a probability, from 0 to 1")
    for name in ("eps", "eval_eps"):
        eps = getattr(config, name) or 0
        if config.norm == "inf" and eps > 1 and config.dataset != "table":
            raise InputError(
                f"{name} must be at most 1: pixels go from 0 to 1, got {eps}{eps_hint(eps)}"
            )
    eps = config.eps
    check("eps_ramp", config.eps_ramp, 0 <= config.eps_ramp < math.inf, "0 or more epochs")
    start = config.eps_start
    valid = start is None or 0 < start <= eps
    check("eps_start", start, valid, f"more than 0, at most eps, {eps:g}")


def _check_method(config: "Config") -> None:
    smoothing = config.label_smoothing
    check("label_smoothing", smoothing, 0 <= smoothing < 1, "from 0 to less than 1")
    if smoothing and config.method == "mart":
        raise InputError(
            "label_smoothing must be 0 with mart, whose boosted cross-entropy is not defined for "
            f"smoothed labels, got {smoothing:g}"
        )
    if config.awp and config.method == "free":
        raise InputError(
            "awp must be 0 with free, whose attack is the backward pass of the loss itself, got "
            f"{config.awp:g}"
        )
    rate = config.radius_rate
    check("radius_rate", rate, 0 <= rate <= 1, "from 0 to 1")
    if config.method in ("mma", "iaat") and config.eps_ramp:
        raise InputError(
            f"eps_ramp must be 0 with {config.method}, which has a radius per image, "
            f"got {config.eps_ramp:g}"
        )
    if (
        config.method in ("trades", "mma", "iaat", "fgsm-rs", "n-fgsm", "free")
        and config.norm == "1"
    ):
        raise InputError(f"norm must be inf or 2 with {config.method}, got 1")
    if config.method == "mma":
        weight, d_max, eps_min = config.natural_weight, config.d_max, config.eps_min
        check("natural_weight", weight, weight is None or weight <= 1, "from 0 to 1 with mma")
        check("d_max", d_max, d_max is None or d_max > 0, "more than 0")
        if d_max is not None and eps_min is not None:
            expected = f"more than 0, at most d_max {d_max:g}"
            check("eps_min", eps_min, 0 < eps_min <= d_max, expected)


def _check_learning_rate(config: "Config") -> None:
    check("momentum", config.momentum, 0 <= config.momentum < 1, "from 0 to less than 1")
    check("lr_decay", config.lr_decay, 0 < config.lr_decay <= 1, "more than 0, at most 1")
    nesterov = config.optimizer == "sgd" and config.momentum > 0
    if config.nesterov and not (nesterov or is_code(config.optimizer)):
        raise InputError(
            f"nesterov needs optimizer sgd and momentum > 0, got {config.optimizer} and "
            f"{config.momentum:g}"
        )
    check("ema", config.ema, 0 <= config.ema < 1, "from 0 to less than 1")
    milestones, lrs = config.milestones, config.milestone_lrs
    valid = all(0 < m < 1 or (m >= 0 and float(m).is_integer()) for m in milestones)
    expected = "whole numbers >= 0 (epochs), or fractions of the epochs between 0 and 1"
    check("milestones", milestones, valid, expected)
    check("milestone_lrs", lrs, all(0 < lr < math.inf for lr in lrs), "more than 0 each")
    if config.schedule == "step" and not milestones:
        raise InputError("schedule step needs milestones, such as --milestones 80 140 170")
    if lrs and len(lrs) != len(milestones):
        raise InputError(
            f"milestone_lrs must have one learning rate per milestone ({len(milestones)}), "
            f"got {len(lrs)}"
        )
    epochs = config.milestone_epochs
    if lrs and list(epochs) != sorted(epochs):
        resolved = "" if epochs == milestones else f" (epochs {' '.join(map(str, epochs))})"
        raise InputError(
            "milestones must be in increasing order with milestone_lrs, one learning rate after "
            f"each, got {' '.join(f'{m:g}' for m in milestones)}{resolved}"
        )


def _check_run(config: "Config") -> None:
    if config.dataset == "table" and config.augment != "none":
        raise InputError(f"augment must be none for a table, got {config.augment}")
    if config.keep == "best" and not config.validation_size:
        raise InputError(
            "keep best needs validation images: hold out some of the training images, such as "
            "--validation-size 1000"
        )
