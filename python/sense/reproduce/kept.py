"""Networks of a stored result that are kept as they are: with `--extend`, their rows are taken from
the result, and they are neither trained nor attacked again.

So a long experiment can be continued where its run folders are not, on another machine, say.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..sweep import Cell
from .results import read_cells, read_result
from .table import Row

EVALUATIONS = "evaluations"  # entry of NAME-SCALE-cells.json: the options of those in the result
# Of an attack from another network, which needs the weights of both; and of the curves of a
# convergence, of which the table has only some points.
NEEDS_WEIGHTS = ("source", "convergence")


@dataclass(frozen=True)
class KeptCell:
    """The rows of a network in a result, and where the network comes from."""

    rows: list[Row]
    described: dict[str, Any]


def kept_cells(cells: Iterable[Cell], out: Path, stem: str) -> dict[str, KeptCell]:
    """Return, by name, the cells whose evaluations are all in the result `stem` of the folder
    `out`. None if there is no such result, or none that says which evaluations it has."""
    described = read_cells(out, stem)
    if not described:
        return {}
    rows, cells = read_result(out, stem).rows, list(cells)
    incomplete = {
        cell.name
        for cell in cells
        if not _has_all(described.get(cell.name, {}).get(EVALUATIONS), cell.evaluations)
    }
    complete = {cell.name for cell in cells} - incomplete
    return {
        name: KeptCell([row for row in rows if row.cell == name], described[name])
        for name in complete
    }


def _has_all(
    stored: Sequence[Mapping[str, Any]] | None, wanted: Sequence[Mapping[str, Any]]
) -> bool:
    return stored is not None and all(
        dict(one) in stored and not any(name in one for name in NEEDS_WEIGHTS) for one in wanted
    )
