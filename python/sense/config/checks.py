"""Options in plain types, as JSON or R has them, and the words for what is wrong with one."""

import math
from pathlib import Path
from typing import Any

WHOLE = (
    "steps", "pretrain", "epochs", "batch_size", "seed", "monitor", "bisections",
    "warmup", "threads", "train_size",
)  # fmt: skip
REAL = (
    "c", "eps", "step_size", "lr", "momentum", "weight_decay", "decay", "beta", "radius_rate",
    "natural_weight", "d_max", "eps_min", "gamma", "radius_max", "eps_ramp", "eps_first",
)  # fmt: skip
TRUE_OR_FALSE = ("random_start", "nesterov")
MAY_BE_NONE = (
    "warmup", "threads", "train_size", "natural_weight", "d_max", "eps_min", "gamma", "radius_max",
    "eps_first", "random_start",
)  # fmt: skip


def option_from_plain(name: str, value: Any) -> Any:
    """An option as `Config` has it: a whole number may come as a float, a number as a whole one, a
    single milestone or rate as a number, the norm as a number."""
    if name in WHOLE and isinstance(value, float) and value.is_integer():
        return int(value)
    if name in REAL and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if name == "norm" and isinstance(value, int | float):
        return "inf" if value == math.inf else f"{value:g}"
    if name == "data_dir" and value is not None:
        return Path(value)
    if name in ("milestones", "rates"):
        values = value if isinstance(value, list | tuple) else [value]
        one = "epochs" if name == "milestones" else "lr"
        return tuple(option_from_plain(one, item) for item in values)
    return value


def check_type(name: str, value: Any) -> None:
    """Raise ValueError where the type is not the option's."""
    if value is None and name in MAY_BE_NONE:
        return
    if name in WHOLE and not _is_whole(value):
        raise ValueError(f"{name} must be a whole number, got {value!r}")
    if name in REAL and not (_is_whole(value) or isinstance(value, float)):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if name == "milestones" and not (
        isinstance(value, tuple) and all(_is_whole(epoch) and epoch >= 0 for epoch in value)
    ):
        raise ValueError(f"milestones must be whole numbers >= 0, got {value!r}")
    if name == "rates" and not (
        isinstance(value, tuple)
        and all(isinstance(rate, float) and 0 < rate < math.inf for rate in value)
    ):
        raise ValueError(f"rates must be numbers more than 0, got {value!r}")
    if name == "data_dir" and not (value is None or isinstance(value, Path)):
        raise ValueError(f"data_dir must be a pathlib.Path, got {value!r}")
    if name in TRUE_OR_FALSE and not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {value!r}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def check(name: str, value: object, holds: bool, expected: str) -> None:
    """Raise ValueError with what was expected and what came, unless it holds."""
    if not holds:
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    """Raise ValueError for a value that is none of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
