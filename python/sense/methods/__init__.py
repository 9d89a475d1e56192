"""Training methods by name, one per file."""

from ..config import Config
from ..config.options import MethodName
from .base import Batch, Examples, Method, Step, TwoPartMethod
from .fgsm_rs import FastFGSM
from .iaat import InstanceAdaptive
from .mart import MART
from .mma import MaxMargin
from .n_fgsm import NoiseFGSM
from .nt import NaturalTraining
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
]

METHODS: dict[MethodName, type[Method]] = {
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
    return METHODS[config.method](config, n)
