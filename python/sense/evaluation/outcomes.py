"""The prediction for each image under each attack, and which of them are correct.

outcomes.csv grows by one batch at a time. A process may die at any moment: the next one continues
after the last whole row.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ..errors import InputError, MissingFileError, in_shell
from ..run_folder import RunFolder

OUTCOMES = "outcomes.csv"


class Outcome(NamedTuple):
    """The prediction for one test image under one attack; "natural" means no attack.

    `image` is the position in the test set, from 0; `correct` is 1 or 0.
    """

    image: int
    label: int
    attack: str
    prediction: int
    correct: int


@dataclass(frozen=True)
class CorrectMatrix:
    """Whether each image is correctly classified under each attack: the matrix of images by
    attacks that summary, diagnostics and comparison are computed from.

    Attributes
    ----------
    images, labels
        Of the rows: positions in the test set, and labels.
    columns
        By attack, in the order in which the attacks ran: bool, shape (n,).
    """

    images: list[int]
    labels: list[int]
    columns: dict[str, Tensor]

    @classmethod
    def from_outcomes(cls, outcomes: Sequence[Outcome]) -> "CorrectMatrix":
        """The matrix of rows of outcomes.csv, in which every attack has the same images."""
        rows: dict[str, dict[int, Outcome]] = {}
        for row in outcomes:
            rows.setdefault(row.attack, {})[row.image] = row
        first = next(iter(rows.values()))
        images = sorted(first)
        columns = {
            attack: torch.tensor([bool(of[image].correct) for image in images])
            for attack, of in rows.items()
        }
        return cls(images, [first[image].label for image in images], columns)

    def __getitem__(self, attack: str) -> Tensor:
        return self.columns[attack]

    def __contains__(self, attack: str) -> bool:
        return attack in self.columns

    @property
    def attacks(self) -> list[str]:
        return list(self.columns)

    def under(self, attacks: Sequence[str]) -> Tensor:
        """Which images are correctly classified under each of the attacks: bool, shape (n,)."""
        return torch.stack([self.columns[name] for name in attacks]).all(0)

    def tensor(self) -> Tensor:
        """The matrix: bool, shape (images, attacks)."""
        return torch.stack(list(self.columns.values()), 1)


class Record:
    """The predictions for the same images, in the same order, for one key after the other.

    Parameters
    ----------
    images, labels
        Positions in the test set, and labels.
    folder, name
        The file, which is created if it does not exist. Without a (locked) folder, everything
        stays in memory.
    key
        Name of the column of keys: "attack", or "eps" for a curve.

    Raises ValueError if the file holds other images or labels.
    """

    def __init__(
        self,
        images: Sequence[int],
        labels: Sequence[int],
        folder: RunFolder | None = None,
        name: str = OUTCOMES,
        key: str = "attack",
    ) -> None:
        self.images, self.labels = list(images), list(labels)
        self.folder, self.name = folder, name
        self.header = ["image", "label", key, "prediction", "correct"]
        self.predictions: dict[str, list[int]] = {}
        if folder is not None:
            self._read(folder)

    def done(self, key: str) -> int:
        """The number of images that the key has."""
        return len(self.predictions.get(key, []))

    def complete(self, key: str) -> bool:
        return self.done(key) == len(self.images)

    def unfinished(self) -> list[str]:
        return [key for key in self.predictions if not self.complete(key)]

    def add(self, key: str, predictions: Sequence[int]) -> None:
        """Add predictions for the next images; they are on the disk when this returns."""
        begin = self.done(key)
        self.predictions.setdefault(key, []).extend(predictions)
        if self.folder is not None:
            self.folder.append(self.name, self._text(key, begin).encode())

    def correct(self) -> CorrectMatrix:
        """The matrix of the keys that have all images."""
        labels = torch.tensor(self.labels)
        columns = {
            key: torch.tensor(row) == labels
            for key, row in self.predictions.items()
            if self.complete(key)
        }
        return CorrectMatrix(self.images, self.labels, columns)

    def outcomes(self) -> list[Outcome]:
        """All rows, in the order of the file."""
        return [row for key in self.predictions for row in self._rows(key, 0)]

    def check_file(self) -> None:
        """Raise ValueError if the file holds other rows, because another process wrote to it."""
        if self.folder is not None and self.folder.text(self.name) != self._whole():
            raise InputError(
                f"{self.folder.path / self.name} was changed while it was being written: "
                "--overwrite it"
            )

    def _whole(self) -> str:
        head = ",".join(self.header) + "\n"
        return head + "".join(self._text(key, 0) for key in self.predictions)

    def _rows(self, key: str, begin: int) -> Iterator[Outcome]:
        for i in range(begin, self.done(key)):
            yield self._row(key, i, self.predictions[key][i])

    def _row(self, key: str, i: int, prediction: int) -> Outcome:
        label = self.labels[i]
        return Outcome(self.images[i], label, key, prediction, int(prediction == label))

    def _text(self, key: str, begin: int) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self._rows(key, begin))
        return text.getvalue()

    def _read(self, folder: RunFolder) -> None:
        """Read the whole rows of the file, and cut off a torn one."""
        head, path = ",".join(self.header) + "\n", folder.path / self.name
        content = folder.text(self.name) if folder.has(self.name) else ""
        whole = content[: content.rfind("\n") + 1]  # the last line may be torn
        if whole and not whole.startswith(head):
            raise InputError(f"{path} does not begin with {head.strip()}: --overwrite it")
        for line in whole[len(head) :].splitlines():
            self._read_row(path, line)
        kept = self._whole()
        if kept != content:
            folder.write({self.name: kept})

    def _read_row(self, path: Path, line: str) -> None:
        cells = line.split(",")
        key = cells[2] if len(cells) == 5 else ""
        i = self.done(key)
        valid = bool(key) and i < len(self.images) and re.fullmatch(r"\d{1,9}", cells[3])
        if not valid or cells != [str(cell) for cell in self._row(key, i, int(cells[3]))]:
            raise InputError(
                f"{path} has other images than these, or is damaged, at {line!r}: --overwrite it, "
                "or choose another --out"
            )
        self.predictions.setdefault(key, []).append(int(cells[3]))


def read_outcomes(folder: Path) -> list[Outcome]:
    """The outcomes of an evaluation, gzipped or not. Raises FileNotFoundError if there are none."""
    files = RunFolder(folder)
    if files.has(OUTCOMES):
        return _parse(files.read(OUTCOMES), folder / OUTCOMES)
    if files.has(f"{OUTCOMES}.gz"):
        return _parse(files.read_gzipped(OUTCOMES), folder / f"{OUTCOMES}.gz")
    raise MissingFileError(
        f"no {OUTCOMES} in {folder}: python -m sense.evaluate {in_shell(folder)} first"
    )


def _parse(content: bytes, path: Path) -> list[Outcome]:
    """The rows of a file. Raises ValueError for anything that `Record` would not have written."""
    try:
        head, *lines = content.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if head != ",".join(Outcome._fields):
        raise InputError(f"{path} must begin with {','.join(Outcome._fields)}, got {head[:80]!r}")
    if lines and not lines[-1]:
        lines.pop()
    return [_parse_row(line, path) for line in lines]


def _parse_row(line: str, path: Path) -> Outcome:
    cells = re.fullmatch(r"(\d{1,9}),(\d{1,9}),([\w.:<>-]{1,200}),(\d{1,9}),([01])", line)
    if not cells or (cells[2] == cells[4]) != (cells[5] == "1"):
        raise InputError(f"{path} is damaged at {line[:80]!r}")
    return Outcome(int(cells[1]), int(cells[2]), cells[3], int(cells[4]), int(cells[5]))
