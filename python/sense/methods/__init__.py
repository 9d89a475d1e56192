"""Training methods by name, one a file."""

from ..config import Config
from .base import Batch, Method, Step
from .nt import NaturalTraining
from .r_at import RegularAdversarialTraining
from .sense import SensibleAdversarialTraining

__all__ = ["Batch", "Method", "NaturalTraining", "Step", "build_method"]


def build_method(config: Config) -> Method:
    """The method that `config.method` names, with the options that are its own."""
    if config.method == "nt":
        return NaturalTraining()
    # The paper's sensible adversary starts at x; PGD starts in the ball, as Madry et al. do.
    random_start = config.method == "r-at" if config.random_start is None else config.random_start
    eps, step_size, steps, norm = config.eps, config.step_size, config.steps, config.lp
    if config.method == "r-at":
        return RegularAdversarialTraining(
            eps=eps, step_size=step_size, steps=steps, norm=norm, random_start=random_start
        )
    return SensibleAdversarialTraining(
        c=config.c, eps=eps, step_size=step_size, steps=steps, norm=norm,
        random_start=random_start, stage_test=config.stage_test, warmup=config.warmup,
    )  # fmt: skip
