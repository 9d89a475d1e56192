"""Many trainings and evaluations, each in a folder of its own: method by c by network by seed ...

    python -m sense.sweep GRID.toml --out runs --list           what is done, and what is not
    python -m sense.sweep GRID.toml --out runs                  on this machine
    python -m sense.sweep GRID.toml --out runs --runner slurm   as an array of jobs of Slurm
    python -m sense.sweep GRID.toml --out runs --runner ray     on a cluster of Ray
    python -m sense.sweep GRID.toml --out runs --table all.csv  the accuracies of all

The same call again skips what is done, resumes what was begun and tries again what failed. The
format of the file is described in `sense.sweep.grid`.
"""

from .cells import Cell
from .grid import grid_cells, read_grid
from .run import Summary, SweepStopped, run_cells
from .state import State, Status, status_of
from .table import accuracies

__all__ = [
    "Cell",
    "State",
    "Status",
    "Summary",
    "SweepStopped",
    "accuracies",
    "grid_cells",
    "read_grid",
    "run_cells",
    "status_of",
]
