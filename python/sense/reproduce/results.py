"""The files of a result: NAME-SCALE.csv, the tidy table, and NAME-SCALE.json, where it comes from
and what it says about the claims. Files of stored results may be gzipped; a folder has each either
plain or gzipped.

NAME-SCALE-cells.json has the provenance of each network, NAME-SCALE-outcomes.csv whether each test
image is correctly classified (hexadecimal digits, in the order of the test set), and
NAME-SCALE-loss.csv and NAME-SCALE-accuracy.csv the curves of a convergence.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..csv_text import csv_text
from ..errors import InputError, MissingFileError
from ..files import (
    gunzip,
    gzip_bytes,
    make_folders,
    parse_json,
    read_file,
    remove_file,
    write_atomically,
)
from .table import Row, read_table, table_text

LIMIT = 1 << 26  # bytes of a file
ENDINGS = (".csv", "-outcomes.csv", "-cells.json", "-loss.csv", "-accuracy.csv")  # may be gzipped
OUTCOMES = ("cell", "attack_label", "source", "images", "n", "correct")


@dataclass(frozen=True)
class Result:
    """A result: the rows of the table, with the outcome for each image if it is stored, and the
    content of the JSON file."""

    rows: list[Row]
    description: dict[str, Any]


def write_result(
    out: Path,
    stem: str,
    rows: Sequence[Row],
    description: dict[str, Any],
    cells: dict[str, Any],
    curves: dict[str, str],
    compress: bool = False,
) -> Path:
    """Write the files of a result and return the path of its table. `curves` are further tables by
    name. `compress` gzips all but the description. Files of an older result of this name that are
    not replaced are removed, so that none is read with the new ones."""
    texts = {
        f"{stem}.csv": table_text(rows),
        f"{stem}-outcomes.csv": _outcomes_text(rows),
        f"{stem}-cells.json": json.dumps(cells, indent=1, allow_nan=False) + "\n",
        **{f"{stem}-{name}.csv": text for name, text in curves.items()},
    }
    contents = {
        f"{name}.gz" if compress else name: gzip_bytes(text.encode()) if compress else text
        for name, text in texts.items()
    }
    make_folders(out)
    for name, content in contents.items():
        write_atomically(out / name, content)
    write_atomically(
        out / f"{stem}.json", json.dumps(description, indent=1, allow_nan=False) + "\n"
    )
    for ending in ENDINGS:
        for name in {f"{stem}{ending}", f"{stem}{ending}.gz"} - contents.keys():
            remove_file(out / name)
    return out / (f"{stem}.csv.gz" if compress else f"{stem}.csv")


def as_stored(rows: Sequence[Row]) -> list[Row]:
    """Return the rows as they are read again, with rounded numbers, so that what is computed from
    them can be repeated from the files."""
    read = read_table(table_text(rows), "the table")
    return [
        replace(one, correct=row.correct, images=row.images)
        for one, row in zip(read, rows, strict=True)
    ]


def read_result(folder: Path, stem: str) -> Result:
    """Read a result. Raises FileNotFoundError if there is none."""
    rows = read_table(text_of(folder, f"{stem}.csv"), folder / stem)
    description = parse_json(read_file(folder / f"{stem}.json", LIMIT), folder / f"{stem}.json")
    outcomes = f"{stem}-outcomes.csv"
    if has_text(folder, outcomes):
        rows = _with_outcomes(rows, text_of(folder, outcomes), folder / outcomes)
    return Result(rows, description)


def read_cells(folder: Path, stem: str) -> dict[str, Any]:
    """Return where each network of a result comes from, by name. Empty if it is not stored."""
    name = f"{stem}-cells.json"
    return parse_json(text_of(folder, name), folder / name) if has_text(folder, name) else {}


def has_text(folder: Path, name: str) -> bool:
    """Return whether the folder has the file, gzipped or not."""
    return (folder / name).is_file() or (folder / f"{name}.gz").is_file()


def text_of(folder: Path, name: str) -> str:
    """Return the text of a file, gzipped or not. Raises InputError if both are there: one of them
    is of another result."""
    path, zipped = folder / name, folder / f"{name}.gz"
    if path.is_file() and zipped.is_file():
        raise InputError(
            f"{path} and {zipped.name} are both there, and only one belongs to the result: remove "
            "the older one, or write the result again with --stored"
        )
    if path.is_file():
        return read_file(path, LIMIT).decode()
    if zipped.is_file():
        return gunzip(read_file(zipped, LIMIT), LIMIT, zipped).decode()
    raise MissingFileError(f"no {name} in {folder}")


def _outcomes_text(rows: Sequence[Row]) -> str:
    lines = [
        (
            row.cell,
            row.attack_label,
            row.source or "",
            row.images,
            row.n,
            f"{int(row.correct, 2):0{(row.n + 3) // 4}x}",
        )
        for row in rows
        if row.correct
    ]
    return csv_text(OUTCOMES, lines)


def _with_outcomes(rows: Sequence[Row], text: str, source: Path) -> list[Row]:
    stored = {
        (line["cell"], line["attack_label"], line["source"]): line
        for line in csv.DictReader(io.StringIO(text))
    }
    found = []
    for row in rows:
        line = stored.get((row.cell, row.attack_label, row.source or ""))
        if line is not None:
            correct = f"{int(line['correct'], 16):0{row.n}b}"
            if correct.count("1") != row.k or len(correct) != row.n:
                raise InputError(f"{source} does not agree with the table at {row.cell}")
            row = replace(row, correct=correct, images=line["images"])
        found.append(row)
    return found
