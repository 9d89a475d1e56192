"""Attacks: pure functions `attack(model, x, y, *, eps, ...) -> x_adv`, one a file."""

from .autoattack import Verdicts, autoattack, autoattack_with_verdicts
from .deepfool import deepfool, deepfool_points
from .fgsm import fgsm
from .margin_pgd import margin_pgd
from .pgd import pgd
from .sensible import sensible, sensible_with_stages
from .square import square
from .stages import Stage
from .targeted_pgd import targeted_pgd
from .transfer import transfer

__all__ = [
    "Stage",
    "Verdicts",
    "autoattack",
    "autoattack_with_verdicts",
    "deepfool",
    "deepfool_points",
    "fgsm",
    "margin_pgd",
    "pgd",
    "sensible",
    "sensible_with_stages",
    "square",
    "targeted_pgd",
    "transfer",
]
