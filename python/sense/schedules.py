"""The learning rate and the size of the attack as functions of the training time in epochs."""

import math

from .config import Config
from .config.options import FGSM
from .errors import InputError
from .extensions import Code

# One-cycle, with the defaults of torch's OneCycleLR (pct_start and 1 / div_factor).
RISING_PART = 0.3  # part of training in which the learning rate rises
INITIAL_PART = 1 / 25  # initial learning rate as a part of the peak
TO_ZERO = ("cosine", "one-cycle")  # their learning rate is 0 after the last epoch


def learning_rate(config: Config, epoch: float) -> float:
    """Return the learning rate `epoch` epochs after the start of training, pre-training included.

    - constant: lr.
    - step: lr times `lr_decay` per milestone passed, or the entry of `milestone_lrs` for the last
      milestone passed. Milestones are epochs of the method.
    - cosine: from lr to 0.
    - one-cycle: rises to lr in the first 30 % of training, then falls to 0 like cosine (Smith and
      Topin 2019).
    - a function of the user's own, `factor(epoch, config)`: lr times what it returns.
    """
    if isinstance(config.schedule, Code):
        return config.lr * own_factor(config.schedule, epoch, config)
    if config.schedule == "constant":
        return config.lr
    if config.schedule == "step":
        passed = sum(epoch - config.pretrain >= milestone for milestone in config.milestone_epochs)
        if config.milestone_lrs:
            return (config.lr, *config.milestone_lrs)[passed]
        return config.lr * config.lr_decay**passed
    part = epoch / (config.pretrain + config.epochs)
    if config.schedule == "cosine":
        return config.lr * (1 + math.cos(math.pi * part)) / 2
    if part < RISING_PART:
        return config.lr * (INITIAL_PART + (1 - INITIAL_PART) * part / RISING_PART)
    return config.lr * (1 + math.cos(math.pi * (part - RISING_PART) / (1 - RISING_PART))) / 2


def own_factor(schedule: Code, epoch: float, config: Config) -> float:
    """Return the factor of the learning rate by a schedule of the user's own. Raises InputError
    unless it is 0 or more."""
    factor = schedule.code(epoch, config)
    if not isinstance(factor, int | float) or not 0 <= factor < math.inf:
        raise InputError(
            f"schedule {schedule} must return the factor of the learning rate, a number of 0 or "
            f"more, got {factor!r} for epoch {epoch:g}"
        )
    return factor


def attack_size(config: Config, epoch: float) -> tuple[float, float]:
    """Return eps and the step size of the training attack, `epoch` epochs after the start of the
    method.

    In the first `eps_ramp` epochs both grow linearly: eps from `eps_start`, and the step size in
    proportion to eps. Networks that do not start to learn in the full ball may learn this way
    (curricula of the attack: Cai et al. 2018). The step size is `fgsm_step` for the methods that
    use that option.
    """
    config = config.resolved()
    step_size = config.step_size
    if config.method in FGSM.methods:
        assert config.fgsm_step is not None
        step_size = config.fgsm_step
    if not config.eps_ramp or not config.eps:
        return config.eps, step_size
    assert config.eps_start is not None
    first = config.eps_start / config.eps
    part = first + (1 - first) * min(1.0, epoch / config.eps_ramp)
    return part * config.eps, part * step_size
