"""Training methods by name, one a file."""

from ..config import Config
from .base import Batch, Method, Step
from .nt import NaturalTraining
from .r_at import RegularAdversarialTraining
from .sense import SensibleAdversarialTraining

__all__ = ["Batch", "Method", "Step", "build_method"]


def build_method(config: Config) -> Method:
    """The method that `config.method` names, with the options that are its own."""
    if config.method == "nt":
        return NaturalTraining()
    attack = {
        "eps": config.eps, "step_size": config.step_size, "steps": config.steps, "norm": config.lp,
    }  # fmt: skip
    if config.random_start is not None:
        attack["random_start"] = config.random_start
    if config.method == "r-at":
        return RegularAdversarialTraining(**attack)
    return SensibleAdversarialTraining(
        c=config.c, stage_test=config.stage_test, warmup=config.warmup, **attack
    )
