"""The log of a cell: what its commands print, and how each of them ended.

Lines of the sweep begin with "# ": a command with its time, and the end. Other lines come
from `sense.train` and `sense.evaluate`.
"""

import os
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from ..errors import InputError
from ..files import read_file

LOGS = "logs"
LIMIT = 1 << 30  # bytes
MARK = "# "
BORDERS = " │╭╮╰╯─"  # of the boxes in which commands put errors of their options
FINISHED, STOPPED, FAILED = "finished", "stopped", "failed: "


def log_path(out: Path, name: str) -> Path:
    return out / LOGS / f"{name}.log"


def write_line(log: int, text: str) -> None:
    """Write a line of the sweep to the open log."""
    time = datetime.now(timezone.utc).isoformat(timespec="seconds")
    os.write(log, f"{MARK}{time} {text}\n".encode())


def last_failure(path: Path) -> str | None:
    """Return why the last command of the log failed: the last line that it printed, and its exit
    status. None if it did not fail, or is not over, or there is no log."""
    own, last = "", ""
    for line in _lines(path):
        if line.startswith(MARK):
            own = line.removeprefix(MARK).partition(" ")[2]
            if not own.startswith(FAILED):
                last = ""
        elif text := line.strip(BORDERS):
            last = text
    if not own.startswith(FAILED):
        return None
    how = own.removeprefix(FAILED)
    return f"{last} ({how})" if last else how


def _lines(path: Path) -> list[str]:
    with suppress(InputError, FileNotFoundError):
        return read_file(path, LIMIT).decode(errors="replace").splitlines()
    return []
