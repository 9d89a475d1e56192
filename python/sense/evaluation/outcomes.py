"""What the network said of each image: a CSV file that grows by a batch at a time.

A process may die at any moment. What is found then is cut to whole batches, and the next process
goes on from there.
"""

import csv
import gzip
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ..checkpoint import write_atomically
from ..errors import InputError, MissingFileError

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
    path
        The file, begun where it is not there; without one, all stays in memory.
    key
        The column that tells the keys apart.

    Raises ValueError where the file holds rows of other images or labels.
    """

    def __init__(
        self,
        images: Sequence[int],
        labels: Sequence[int],
        batch: int,
        path: Path | None = None,
        key: str = "attack",
    ) -> None:
        self.images, self.labels, self.batch, self.path = list(images), list(labels), batch, path
        self.header = ["image", "label", key, "prediction", "correct"]
        self.predictions: dict[str, list[int]] = {}
        if path is not None:
            self._read(path)

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
        if self.path is not None:
            with self.path.open("a", newline="") as file:
                file.write(self._text(key, begin))
                file.flush()
                os.fsync(file.fileno())

    def standing(self, keys: Sequence[str]) -> list[bool]:
        """Which images are right under every one of the keys."""
        rows = [self.predictions[key] for key in keys]
        return [
            all(row[i] == label for row in rows) for i, label in enumerate(self.labels)
        ]  # fmt: skip

    def outcomes(self) -> list[Outcome]:
        """All rows, as the file has them."""
        return [row for key in self.predictions for row in self._rows(key, 0)]

    def check_file(self) -> None:
        """Raise ValueError where the file holds other rows than these: two processes wrote it."""
        if self.path is not None and self.path.read_text() != self._whole():
            raise InputError(
                f"{self.path} was changed while it was being written, by another evaluation into "
                "the same folder, it seems: --overwrite it"
            )

    def _whole(self) -> str:
        head = ",".join(self.header) + "\n"
        return head + "".join(self._text(key, 0) for key in self.predictions)

    def _rows(self, key: str, begin: int) -> Iterator[Outcome]:
        for i in range(begin, self.done(key)):
            label, guess = self.labels[i], self.predictions[key][i]
            yield Outcome(self.images[i], label, key, guess, int(guess == label))

    def _text(self, key: str, begin: int) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(self._rows(key, begin))
        return text.getvalue()

    def _read(self, path: Path) -> None:
        """Take over what the file has, and cut it to whole batches."""
        head = ",".join(self.header) + "\n"
        content = path.read_text() if path.exists() else ""
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
            write_atomically(path, lambda part: part.write_text(kept))

    def _take(self, path: Path, line: str) -> None:
        cells = line.split(",")
        key = cells[2] if len(cells) == 5 else ""
        i = self.done(key)
        if not key or i >= len(self.images) or cells[:2] != [
            str(self.images[i]), str(self.labels[i])
        ]:  # fmt: skip
            raise InputError(
                f"{path} has other images than these, or is damaged, at {line!r}: --overwrite it, "
                "or choose another --out"
            )
        self.predictions.setdefault(key, []).append(int(cells[3]))


def read_outcomes(folder: Path) -> list[Outcome]:
    """The outcomes of an evaluation, gzipped or not. Raises FileNotFoundError without any."""
    for name in (OUTCOMES, f"{OUTCOMES}.gz"):
        if (path := folder / name).exists():
            content = path.read_bytes()
            text = (gzip.decompress(content) if name.endswith(".gz") else content).decode()
            return [
                Outcome(int(r["image"]), int(r["label"]), r["attack"], int(r["prediction"]),
                        int(r["correct"]))
                for r in csv.DictReader(text.splitlines())
            ]  # fmt: skip
    raise MissingFileError(f"no {OUTCOMES} in {folder}: python -m sense.evaluate {folder} first")
