"""What an experiment at a smaller scale changes in the settings of the paper."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..config.options import option_types, runtime_options
from ..evaluation.settings import Settings
from ..sweep import Cell
from .experiment import Plan
from .experiments import plan_cells, transfer_cells

# Of an evaluation, with the words of the table.
EVALUATION_OPTIONS = {
    "attacks": "attacks",
    "n": "test images",
    "draw": "seed of the draw of test images",
    "steps": "steps of PGD",
    "restarts": "restarts of PGD",
    "step_size": "step size of PGD",
}
EMPTY = {"train_size": "all"}  # what None means; "none" for others
NOT_COMPARED = ("seed", "method", "precision")


def shortened(paper: Plan, plan: Plan, seeds: int | None = None) -> list[dict[str, Any]]:
    """Return the options of training and evaluation whose values differ between the plan of the
    paper and another one: `option`, `paper` and `here`, each a list of values over all cells.
    Further differences are in words, as `option` "other"."""
    ours, theirs = _cells(plan, seeds), _cells(paper)
    rows = []
    for option in option_types():
        if option in NOT_COMPARED or option in runtime_options():
            continue
        rows.append((option, _training_values(theirs, option), _training_values(ours, option)))
    for option, words in EVALUATION_OPTIONS.items():
        rows.append((words, _evaluation_values(theirs, option), _evaluation_values(ours, option)))
    found = [
        {"option": name, "paper": before, "here": now}
        for name, before, now in rows
        if before != now and now
    ]
    return found + [{"option": "other", "paper": [], "here": [text]} for text in plan.shortened]


def _cells(plan: Plan, seeds: int | None = None) -> list[Cell]:
    return [*plan_cells(plan, seeds), *transfer_cells(plan, Path("runs"), seeds)]


def _training_values(cells: Sequence[Cell], option: str) -> list[str]:
    """The values over the cells whose method uses the option."""
    empty = EMPTY.get(option, "none")
    return _distinct(
        empty if cell.training[option] is None else cell.training[option]
        for cell in cells
        if option in cell.training
    )


def _evaluation_values(cells: Sequence[Cell], option: str) -> list[str]:
    return _distinct(
        _evaluation_value(settings, option)
        for cell in cells
        for settings in cell.settings()
        if option in ("n", "draw") or settings.convergence or len(settings.attacks) > 1
    )


def _evaluation_value(settings: Settings, option: str) -> Any:
    value = getattr(settings, option)
    if option == "attacks":
        return " ".join(name for name in value if name != "natural") or "PGD, step by step"
    if option == "step_size":
        return settings.step(settings.radius)
    return {"n": "all", "draw": "the first ones"}.get(option) if value is None else value


def _distinct(values: Iterator[Any]) -> list[str]:
    return list(dict.fromkeys(map(_text, values)))


def _text(value: Any) -> str:
    if isinstance(value, float):
        levels = round(255 * value, 6)
        known = 0 < value < 0.2 and levels / 255 == value and levels.is_integer()
        return f"{levels:g}/255" if known else f"{value:g}"
    if isinstance(value, list | tuple):
        return " ".join(map(_text, value)) or "none"
    return str(value)
