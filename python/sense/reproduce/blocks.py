"""Blocks of cells, in the form of a grid of `sense.sweep`, and what several plans use."""

from collections.abc import Sequence
from typing import Any

from .experiment import Block

# The scale smoke: few images, one short epoch, and few steps of attacks.
TINY: dict[str, Any] = {
    "train_size": 100,
    "epochs": 1,
    "batch_size": 50,
    "steps": 2,
    "monitor_size": 16,
}
SMALL: dict[str, Any] = {"n": 20, "steps": 2, "restarts": 2, "diagnostics": False}


def block(
    recipe: str, options: dict[str, Any], grid: dict[str, list[Any]], *evaluations: dict[str, Any]
) -> Block:
    """Return the block of every combination of the grid, on top of recipe and options."""
    return {
        "recipe": recipe,
        "options": options,
        "grid": grid,
        "evaluation": list(evaluations),
    }


def sense_by_c(
    recipe: str,
    options: dict[str, Any],
    values_of_c: Sequence[float],
    grid: dict[str, list[Any]],
    *evaluations: dict[str, Any],
) -> Block:
    """Return the block of SENSE-AT with each value of c."""
    by_c = {"c": list(values_of_c), **grid}
    return block(recipe, {**options, "method": "sense"}, by_c, *evaluations)


def without_c(
    recipe: str, options: dict[str, Any], grid: dict[str, list[Any]], *evaluations: dict[str, Any]
) -> Block:
    """Return the block of R-AT and NT, which have no c."""
    return block(recipe, options, {"method": ["r-at", "nt"], **grid}, *evaluations)
