"""Training methods by name, one per file."""

from ..config import Config
from ..extensions import Code
from .base import Batch, Examples, Method, Step, TwoPartMethod
from .fgsm_rs import FastFGSM
from .iaat import InstanceAdaptive
from .mart import MART
from .mma import MaxMargin
from .n_fgsm import NoiseFGSM
from .nt import NaturalTraining
from .own import build_own_method, check_own_step
from .r_at import RegularAdversarialTraining
from .sense import SensibleAdversarialTraining
from .sense_trades import SenseTRADES
from .trades import TRADES

__all__ = [
    "METHODS",
    "Batch",
    "Examples",
    "Method",
    "NaturalTraining",
    "Step",
    "TwoPartMethod",
    "build_method",
    "check_own_step",
]

METHODS: dict[str, type[Method]] = {
    "nt": NaturalTraining,
    "r-at": RegularAdversarialTraining,
    "sense": SensibleAdversarialTraining,
    "trades": TRADES,
    "mart": MART,
    "mma": MaxMargin,
    "iaat": InstanceAdaptive,
    "sense-trades": SenseTRADES,
    "fgsm-rs": FastFGSM,
    "n-fgsm": NoiseFGSM,
}


def build_method(config: Config, n: int = 0) -> Method:
    """Return the method that `config.method` names, for a training set of n images."""
    if isinstance(config.method, Code):
        return build_own_method(config.method, config, n)
    return METHODS[config.method](config, n)
