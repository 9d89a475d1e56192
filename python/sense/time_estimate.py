"""How long a training will take, from a few steps on a copy of the network before the first one."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch

from .config import Config
from .config.options import CODE_OPTIONS
from .extensions import is_code
from .stopping import PassStopped, Stop
from .time_budget import TIME_OVER, mean_step, until
from .timed_choices import bfloat16_is_native

WORTH_SAYING = 3 * 60.0  # seconds of training, from which its time is shown
FEW = 4  # images of the first steps
LIMIT = 1.0  # seconds of a step, from which no step is taken on more images
LONGEST = 10.0  # seconds for all of them

# Steps of training with these options, on this number of images each: yields their seconds. The
# network raises PassStopped if the function returns a number.
TakeSteps = Callable[[Config, int, Stop], Iterator[float]]


def time_note(
    config: Config,
    images: int,
    monitored: int,
    device: torch.device,
    take_steps: TakeSteps,
    *,
    auto_precision: bool = False,
    stop: Stop = lambda: None,
) -> str | None:
    """Return a sentence about the time that a new training takes, None for a short one, for one
    with a method or other code of the user's own, and if `stop()` returns a number.

    Parameters
    ----------
    images, monitored
        Numbers of training images, and of those that accuracy is measured on after each epoch.
    take_steps
        See `TakeSteps`.
    auto_precision
        Whether the precision was left to the machine.
    """
    if config.minutes is not None or any(is_code(getattr(config, name)) for name in CODE_OPTIONS):
        return None
    ended = until(stop, time.monotonic() + LONGEST)
    try:
        seconds = expected_seconds(config, images, monitored, device, take_steps, ended)
    except PassStopped as stopped:
        too_slow = (
            f"a few steps of training take more than {LONGEST:.0f} seconds here: the network is "
            "large, or other programs use this machine"
        )
        return too_slow if stopped.reason == TIME_OVER else None
    if seconds < WORTH_SAYING:
        return None
    text = f"training takes about {duration(seconds)} here"
    if config.method in ("sense", "sense-trades"):
        text += ", and less while few images take all steps of the attack"
    if auto_precision and device.type == "cpu" and not bfloat16_is_native(device):
        text += (
            ". This processor has no instructions for bfloat16 (AMX), with which it would take less"
        )
    return text


def expected_seconds(
    config: Config,
    images: int,
    monitored: int,
    device: torch.device,
    take_steps: TakeSteps,
    stop: Stop,
) -> float:
    """Return the seconds of the whole training; if they are less than `WORTH_SAYING`, an upper
    bound that is less too. The attack of sense and sense-trades is taken to be that of R-AT, since
    it leaves out fewer images while the network learns.

    Raises PassStopped if `stop()` returns a number."""
    whole = min(config.batch_size, images)
    steps = math.ceil(images / config.batch_size)
    short = WORTH_SAYING / ((config.epochs + config.pretrain) * (steps + monitored / whole))

    def step(**changes: Any) -> float:
        options = replace(config, **changes)

        def take(n: int) -> Iterator[float]:
            for seconds in take_steps(options, n, stop):
                reason = stop()
                if reason is not None:
                    raise PassStopped(reason)
                yield seconds

        return step_seconds(take, whole, device, short)

    per_step = step()
    if config.method in ("sense", "sense-trades"):
        per_step = max(per_step, step(method="r-at"))
    after_epoch = monitored / whole * per_step
    natural = step(method="nt", awp=0.0) if config.pretrain else 0.0
    return config.epochs * (steps * per_step + after_epoch) + config.pretrain * (
        steps * natural + after_epoch
    )


def step_seconds(
    take: Callable[[int], Iterator[float]], whole: int, device: torch.device, short: float = 0.0
) -> float:
    """Return the seconds of a step of `whole` images; `take(n)` takes steps of n images. On a CPU
    the number of images grows until a step takes `LIMIT`, and the seconds are in proportion to it:
    a step of few images takes more than its share. The least of a few steps counts. If even that
    is less than `short`, no more steps are taken."""
    n = min(FEW, whole) if device.type == "cpu" else whole
    while True:
        steps = take(n)
        seconds = min(next(steps), next(steps))  # libraries set themselves up in the first one
        if seconds >= LIMIT and n < whole:
            # While other programs use the machine, a step may take many times as long.
            seconds = min(seconds, next(steps), next(steps))
        if seconds >= LIMIT or seconds * whole / n < short:
            return seconds * whole / n
        if n == whole:
            return mean_step(steps, LIMIT)
        n = min(whole, 4 * n)


def duration(seconds: float) -> str:
    """Return "49 minutes", "3.4 hours" or "12 days"."""
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} hours"
    return f"{seconds / 86400:.0f} days"
