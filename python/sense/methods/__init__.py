"""Training methods by name, one per file."""

from torch import Tensor

from ..attacks.geometry import Bounds
from ..config import Config
from ..errors import InputError
from ..extensions import Code
from .base import Batch, Examples, Method, Step, TwoPartMethod
from .fgsm_rs import FastFGSM
from .free import FreeAdversarialTraining
from .iaat import InstanceAdaptive
from .mart import MART
from .mma import MaxMargin
from .n_fgsm import NoiseFGSM
from .nt import NaturalTraining
from .own import FunctionMethod, build_own_method, check_own_step
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
    "free": FreeAdversarialTraining,
}


def build_method(
    config: Config,
    n: int = 0,
    bounds: Bounds = (0, 1),
    class_weights: Tensor | None = None,
    shape: tuple[int, ...] = (),
) -> Method:
    """Return the method that `config.method` names, for a training set of n images.

    `bounds` are those of attacked images, `class_weights` the weights of the classes in the loss;
    tensors are on the device that trains. `shape` is that of an image.
    """
    if isinstance(config.method, Code):
        method = build_own_method(config.method, config, n)
        if class_weights is not None and isinstance(method, FunctionMethod):
            raise InputError(
                f"class_weights cannot be used with method {config.method}, a function: apply "
                "them in it, or derive a class from sense.methods.Method"
            )
    else:
        method = METHODS[config.method](config, n)
    method.bounds, method.class_weights, method.shape = bounds, class_weights, shape
    return method
