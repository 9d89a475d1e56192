"""Reading the options of a stored run, which may come from an earlier version."""

from collections.abc import Mapping
from typing import Any

from .checks import check_choice
from .options import Config
from .recipes import from_plain

RENAMED = {
    "decay": "lr_decay",
    "eps_first": "eps_start",
    "monitor": "monitor_size",
    "rates": "milestone_lrs",
    "validation": "validation_size",
}
REMOVED = ("compact_every", "cudnn_benchmark")  # they only changed the speed of a run


def from_stored(options: Mapping[str, Any]) -> Config:
    """Return the options in config.json by their present names. An option that is newer than the
    run has its default. Raises InputError for a name that no version had."""
    kept = {name: value for name, value in options.items() if name not in REMOVED}
    kept = {RENAMED.get(name, name): value for name, value in kept.items()}
    if not_supported(options):
        kept["precision"] = "bfloat16"  # the other half precision: it can be read, not resumed
    if "compile" in kept:
        check_choice("compile", kept["compile"], ("none", "default", "cuda-graphs"))
        kept["cuda_graphs"] = kept.pop("compile") == "cuda-graphs"
    if isinstance(kept.get("cuda_graphs"), bool):
        kept["cuda_graphs"] = "on" if kept["cuda_graphs"] else "off"
    kept.setdefault("precision", None)
    return from_plain(kept)


def not_supported(options: Mapping[str, Any]) -> str | None:
    """Return the option of a stored run, with its value, that only earlier versions could train
    with; None if there is none."""
    return "precision float16" if options.get("precision") == "float16" else None
