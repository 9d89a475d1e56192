"""Attacks: pure functions `attack(model, x, y, *, eps, ...) -> x_adv`, one a file."""

from .pgd import pgd
from .sensible import sensible, sensible_with_stages
from .state import Stage

__all__ = ["Stage", "pgd", "sensible", "sensible_with_stages"]
