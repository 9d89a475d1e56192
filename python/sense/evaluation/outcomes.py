"""What the network said of each image: a CSV file that grows by a batch at a time.

A process may die at any moment. What is found then is cut to whole batches, and the next process
goes on from there.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError, MissingFileError
from ..run_folder import RunFolder

OUTCOMES = "outcomes.csv"


class Outcome(NamedTuple):
    """What the network said of one test image under one attack ("natural" is none)."""

    image: int
    label: int
    attack: str
    prediction: int
    correct: int


class Record:
    """Predictions of the same images, in the same order, under one key after the other.

    Parameters
    ----------
    images, labels
        Positions in the test set and labels.
    batch
        Images that are added at once.
    folder, name
        The file, begun where it is not there; without a folder, which is locked, all stays in
        memory.
    key
        The column that tells the keys apart.

    Raises ValueError where the file holds rows of other images or labels.
    """

    def __init__(
        self,
        images: Sequence[int],
        labels: Sequence[int],
        batch: int,
        folder: RunFolder | None = None,
        name: str = OUTCOMES,
        key: str = "attack",
    ) -> None:
        self.images, self.labels, self.batch = list(images), list(labels), batch
        self.folder, self.name = folder, name
        self.header = ["image", "label", key, "prediction", "correct"]
        self.predictions: dict[str, list[int]] = {}
        if folder is not None:
            self._read(folder)

    def done(self, key: str) -> int:
        """How many images the key has."""
        return len(self.predictions.get(key, []))

    def batches(self, key: str) -> int:
        """How many batches the key has; the last of all may be short."""
        return -(-self.done(key) // self.batch)

    def complete(self, key: str) -> bool:
        return self.done(key) == len(self.images)

    def unfinished(self) -> list[str]:
        return [key for key in self.predictions if not self.complete(key)]

    def add(self, key: str, predictions: Sequence[int]) -> None:
        """The next images of the key; they are on the disk when this returns."""
        begin = self.done(key)
        self.predictions.setdefault(key, []).extend(predictions)
        if self.folder is not None:
            self.folder.append(self.name, self._text(key, begin).encode())

    def standing(self, keys: Sequence[str]) -> list[bool]:
        """Which images are right under every one of the keys."""
        rows = [self.predictions[key] for key in keys]
        return [all(row[i] == label for row in rows) for i, label in enumerate(self.labels)]

    def outcomes(self) -> list[Outcome]:
        """All rows, as the file has them."""
        return [row for key in self.predictions for row in self._rows(key, 0)]

    def check_file(self) -> None:
        """Raise ValueError where the file holds other rows than these: another wrote it too."""
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

    def _row(self, key: str, i: int, guess: int) -> Outcome:
        return Outcome(self.images[i], self.labels[i], key, guess, int(guess == self.labels[i]))

    def _text(self, key: str, begin: int) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self._rows(key, begin))
        return text.getvalue()

    def _read(self, folder: RunFolder) -> None:
        """Take over what the file has, and cut it to whole batches."""
        head, path = ",".join(self.header) + "\n", folder.path / self.name
        content = folder.text(self.name) if folder.has(self.name) else ""
        whole = content[: content.rfind("\n") + 1]  # the last line may be torn
        if whole and not whole.startswith(head):
            raise InputError(f"{path} does not begin with {head.strip()}: --overwrite it")
        for line in whole[len(head) :].splitlines():
            self._take(path, line)
        for key in self.unfinished():
            del self.predictions[key][self.done(key) // self.batch * self.batch :]
        self.predictions = {key: found for key, found in self.predictions.items() if found}
        kept = self._whole()
        if kept != content:
            folder.write({self.name: kept})

    def _take(self, path: Path, line: str) -> None:
        cells = line.split(",")
        key = cells[2] if len(cells) == 5 else ""
        i = self.done(key)
        right = bool(key) and i < len(self.images) and re.fullmatch(r"\d{1,9}", cells[3])
        if not right or cells != [str(cell) for cell in self._row(key, i, int(cells[3]))]:
            raise InputError(
                f"{path} has other images than these, or is damaged, at {line!r}: --overwrite it, "
                "or choose another --out"
            )
        self.predictions.setdefault(key, []).append(int(cells[3]))


def read_outcomes(folder: Path) -> list[Outcome]:
    """The outcomes of an evaluation, gzipped or not. Raises FileNotFoundError without any."""
    files = RunFolder(folder)
    if files.has(OUTCOMES):
        return _parse(files.read(OUTCOMES), folder / OUTCOMES)
    if files.has(f"{OUTCOMES}.gz"):
        return _parse(files.read_gzipped(OUTCOMES), folder / f"{OUTCOMES}.gz")
    raise MissingFileError(f"no {OUTCOMES} in {folder}: python -m sense.evaluate {folder} first")


def _parse(content: bytes, where: Path) -> list[Outcome]:
    """The rows of a file. Raises ValueError for what `Record` would not have written."""
    try:
        head, *lines = content.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is damaged: {error}") from None
    if head != ",".join(Outcome._fields):
        raise InputError(f"{where} must begin with {','.join(Outcome._fields)}, got {head[:80]!r}")
    if lines and not lines[-1]:
        lines.pop()
    return [_row(line, where) for line in lines]


def _row(line: str, where: Path) -> Outcome:
    found = re.fullmatch(r"(\d{1,9}),(\d{1,9}),([a-z0-9-]+),(\d{1,9}),([01])", line)
    if not found or (found[2] == found[4]) != (found[5] == "1"):
        raise InputError(f"{where} is damaged at {line[:80]!r}")
    return Outcome(int(found[1]), int(found[2]), found[3], int(found[4]), int(found[5]))
