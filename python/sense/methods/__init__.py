"""Training methods by name, one a file."""

from dataclasses import replace

from ..attacks.modes import Mode
from ..config import Config
from .base import Batch, Method, Remembering, Step
from .iaat import InstanceAdaptive
from .mart import MART
from .mma import MaxMargin
from .nt import NaturalTraining
from .r_at import RegularAdversarialTraining
from .ramp import GrowingRadius
from .sense import SensibleAdversarialTraining
from .sense_trades import SenseTRADES
from .trades import TRADES

__all__ = ["Batch", "Method", "NaturalTraining", "Remembering", "Step", "build_method"]


def build_method(config: Config, n: int = 0) -> Method:
    """The method that `config.method` names, with the options that are its own, for a training set
    of n images (which only mma and iaat need to know)."""
    if not config.eps_ramp or not config.eps:
        return _build(config, n)

    def build(part: float) -> Method:
        eps, step_size = part * config.eps, part * config.step_size
        return _build(replace(config, eps=eps, step_size=step_size, eps_first=None), n)

    first = 1 / 3 if config.eps_first is None else config.eps_first / config.eps
    return GrowingRadius(build, first=first, epochs=config.eps_ramp)


def _build(config: Config, n: int) -> Method:
    if config.method == "nt":
        return NaturalTraining()
    eps, step_size, steps, norm = config.eps, config.step_size, config.steps, config.lp
    mode = attack_mode(config)
    # The paper's sensible adversary starts at x; PGD starts in the ball, as Madry et al. do.
    random_start = config.method == "r-at" if config.random_start is None else config.random_start
    if config.method == "r-at":
        return RegularAdversarialTraining(
            eps=eps,
            step_size=step_size,
            steps=steps,
            norm=norm,
            random_start=random_start,
            natural_weight=_given(config.natural_weight, 0.0),
            mode=mode,
        )
    if config.method in ("sense", "sense-trades"):
        plain = config.method == "sense"
        sense = SensibleAdversarialTraining if plain else SenseTRADES
        return sense(
            c=config.c,
            eps=eps,
            step_size=step_size,
            steps=steps,
            norm=norm,
            random_start=random_start,
            stage_test=config.stage_test,
            boundary=config.boundary,
            bisections=config.bisections,
            warmup=config.warmup or 0,
            natural_weight=_given(config.natural_weight, 0.0 if plain else 1.0),
            mode=mode,
            l2_form=config.l2_form,
        )
    if config.method == "mma":
        d_max, eps_min = config.margins
        return MaxMargin(
            n,
            d_max=d_max,
            eps_min=eps_min,
            steps=steps,
            norm=norm,
            natural=_given(config.natural_weight, 1 / 3),
            mode=mode,
        )
    if config.method == "iaat":
        return InstanceAdaptive(
            n,
            eps=eps,
            step_size=step_size,
            steps=steps,
            norm=norm,
            warmup=10 if config.warmup is None else config.warmup,
            gamma=_given(config.gamma, 1.9 / 8 * eps),
            rate=config.radius_rate,
            eps_max=config.radius_max,
            mode=mode,
        )
    build = TRADES if config.method == "trades" else MART
    return build(beta=config.beta, eps=eps, step_size=step_size, steps=steps, norm=norm, mode=mode)


def attack_mode(config: Config) -> Mode:
    """In which mode the attack of `config.method` sees the network; of mma, its search for the
    margin, since its PGD is in evaluation mode always."""
    if config.attack_mode == "published":
        return "updating" if config.method in ("r-at", "mma", "iaat") else "evaluation"
    return config.attack_mode


def _given(value: float | None, default: float) -> float:
    return default if value is None else value
