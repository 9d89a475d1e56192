"""The number of epochs that a time allows (`--minutes`), from the measured time of real steps."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from .config import Config
from .errors import InputError

TIME_OVER = 0  # the reason to stop; the other reasons are numbers of signals, which begin at 1
MARGIN = 1.1  # of the measured times
TRIAL_PART = 0.02  # of the time, for the trial steps of each kind
TRIAL_SECONDS = 20.0  # at most
TRIAL_STEPS = 20  # at most
FIRST_STEPS = 4  # at most, which are not counted: libraries set themselves up, graphs are recorded

# Options that keep their share of the epochs.
SCALED = ("pretrain", "warmup", "awp_warmup", "eps_ramp", "milestones")

TakeSteps = Callable[[Config], Iterator[float]]


@dataclass(frozen=True)
class EpochTimes:
    """Seconds of an epoch of natural training, of an epoch of the method, and of the accuracies
    that are measured after each epoch."""

    natural: float
    method: float
    monitor: float

    def total(self, config: Config) -> float:
        """Seconds of the whole training."""
        return config.pretrain * (self.natural + self.monitor) + config.epochs * (
            self.method + self.monitor
        )


def with_epochs(config: Config, epochs: int) -> Config:
    """Return the options with this number of epochs. All that is counted in epochs (pretrain,
    warmup, awp_warmup, eps_ramp, milestones) keeps its share of them, rounded to whole epochs."""
    part = epochs / config.epochs
    full = config.resolved()

    def scaled(value: int) -> int:
        return max(1, round(part * value)) if value else 0

    return replace(
        config,
        epochs=epochs,
        pretrain=scaled(config.pretrain),
        warmup=None if full.warmup is None else round(part * full.warmup),
        awp_warmup=round(part * config.awp_warmup),
        eps_ramp=part * config.eps_ramp,
        milestones=tuple(scaled(milestone) for milestone in full.milestone_epochs),
    )


def fit_into(config: Config, seconds: float, times: EpochTimes) -> Config:
    """Return the options with the largest number of epochs that fits into these seconds, those that
    are left of the minutes.

    Raises InputError if not even one epoch does.
    """
    epochs = int(seconds / (times.method + times.monitor))
    while epochs > 1 and times.total(with_epochs(config, epochs)) > seconds:
        epochs -= 1
    shortest = times.total(with_epochs(config, 1))
    if epochs < 1 or shortest > seconds:
        assert config.minutes is not None
        needed = config.minutes + (shortest - seconds) / 60
        raise InputError(
            f"minutes must be at least about {math.ceil(10 * needed + 0.5) / 10:g}, the time of "
            f"the start, of one epoch and of its pre-training here, got {config.minutes:g}"
        )
    return with_epochs(config, epochs)


def measured_times(
    config: Config, batches: int, take_steps: TakeSteps, monitor: Callable[[], Any]
) -> EpochTimes:
    """Return the times of epochs of this number of batches.

    For sense and sense-trades an epoch is not planned shorter than one of R-AT. Their attack leaves
    images out, and it leaves out fewer while the network learns.

    Parameters
    ----------
    take_steps
        Takes steps of training with these options and yields the seconds of each.
    monitor
        Measures the accuracies once.
    """
    assert config.minutes is not None
    limit = min(TRIAL_SECONDS, TRIAL_PART * 60 * config.minutes)

    def of_epoch(**changes: Any) -> float:
        return MARGIN * batches * mean_step(take_steps(replace(config, **changes)), limit)

    method = of_epoch()
    if config.method in ("sense", "sense-trades"):
        method = max(method, of_epoch(method="r-at"))
    natural = of_epoch(method="nt") if config.pretrain else 0.0
    began = time.perf_counter()
    monitor()
    return EpochTimes(natural, method, MARGIN * (time.perf_counter() - began))


def mean_step(steps: Iterator[float], limit: float) -> float:
    """Return the mean seconds of steps, without the first ones. At least two are taken, and no more
    after `limit` seconds."""
    seconds: list[float] = []
    while len(seconds) < 2 or (sum(seconds) < limit and len(seconds) < TRIAL_STEPS):
        seconds.append(next(steps))
    counted = seconds[min(FIRST_STEPS, len(seconds) // 2) :]
    return sum(counted) / len(counted)


def until(stop: Callable[[], int | None], deadline: float | None) -> Callable[[], int | None]:
    """Return `stop`, which also returns `TIME_OVER` once time.monotonic() has reached the
    deadline."""

    def reason() -> int | None:
        found = stop()
        over = deadline is not None and time.monotonic() >= deadline
        return TIME_OVER if found is None and over else found

    return reason
