"""The options of a run that is resumed by the options that it was begun with. Some of them were
replaced when it was begun: `minutes` plans the number of epochs and all that is counted in epochs,
and milestones that are fractions become epochs."""

from dataclasses import replace
from typing import Any

from .config import Config
from .description import ASKED
from .schedules import TO_ZERO
from .time_budget import SCALED, with_epochs


def as_begun(config: Config, begun: Config, description: dict[str, Any]) -> Config:
    """Return the options to resume a run with.

    Parameters
    ----------
    config
        The user's options: those that the run was begun with, or those of its config.json, with
        changes such as more epochs.
    begun, description
        The options in config.json and its whole content.
    """
    first = _first_epochs(begun, description)
    if _is_before_planning(config, begun, description.get(ASKED)):
        planned = with_epochs(config, first)
        if _scaled(planned) == _scaled(begun):
            stored = begun.resolved()
            return replace(config, **{name: getattr(stored, name) for name in ("epochs", *SCALED)})
    epochs_then = replace(config, epochs=first).milestone_epochs
    if config.milestones != config.milestone_epochs and epochs_then == begun.milestone_epochs:
        return replace(config, milestones=begun.milestone_epochs)
    return config


def _is_before_planning(config: Config, begun: Config, asked: int | None) -> bool:
    """Whether these may be the options from before the number of epochs was planned: the number is
    the one that was asked for, which older runs do not store, and they do not add epochs to those
    of config.json."""
    if begun.minutes is None or config.minutes is None:
        return False
    if _scaled(config) != _scaled(begun):
        return asked in (None, config.epochs)
    adds = config.epochs > begun.epochs and config.schedule not in TO_ZERO
    return config.epochs == asked and not adds


def _scaled(config: Config) -> list[Any]:
    full = config.resolved()
    return [getattr(full, name) for name in SCALED]


def _first_epochs(begun: Config, description: dict[str, Any]) -> int:
    """Return the number of epochs that the run had before epochs were added."""
    for note in description.get("resumed", []):
        if before := note["options"].get("epochs", {}).get("before"):
            first: int = before
            return first
    return begun.epochs
