"""Kinds of files as bytes, each with its reader and a valid example."""

import gzip
import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from sense.checkpoint import load_checkpoint, read_weights, seal
from sense.data.cifar10 import FOLDER, RECORD, TEST, TRAIN, from_files, read_archive
from sense.data.idx import read_idx
from sense.data.mnist import FILES, load_folder
from sense.errors import InputError
from sense.evaluation.compare import compare
from sense.evaluation.outcomes import read_outcomes
from sense.evaluation.summary import read_evaluation
from sense.evaluation.targets import open_run
from sense.models import build_model
from sense.runs import read_run
from sense.seal import seal_folder
from sense.train import fit
from sense.weights import load_matching_weights


@dataclass(frozen=True)
class Input:
    """A kind of file.

    Attributes
    ----------
    read
        Called with the content, a folder to write to, and the folder of `commands.make_runs`. It
        may only raise `InputError`.
    example
        The content of a valid file, given the folder of `commands.make_runs`.
    """

    read: Callable[[bytes, Path, Path], object]
    example: Callable[[Path], bytes]

    def __call__(self, content: bytes, folder: Path, runs: Path) -> bool:
        """Return whether the content could be read. Raises any error but InputError."""
        try:
            self.read(content, folder, runs)
        except InputError as error:
            if not str(error).strip():
                raise AssertionError("an InputError without a message") from error
            return False
        return True


def _idx(content: bytes, folder: Path, runs: Path) -> None:
    (folder / "images.idx").write_bytes(content)
    read_idx(folder / "images.idx")


def _four_idx(content: bytes, folder: Path, runs: Path) -> None:
    for name in FILES.values():
        if not (folder / f"{name}.gz").exists():
            shutil.copy(runs / "data" / f"{name}.gz", folder)
    (folder / f"{FILES['train_x']}.gz").write_bytes(content)
    load_folder(folder, "mnist")


def _cifar(content: bytes, folder: Path, runs: Path) -> None:
    from_files({TRAIN[0]: content, TEST[0]: bytes(RECORD)}, str(folder))


def _archive(content: bytes, folder: Path, runs: Path) -> None:
    (folder / "archive.tar.gz").write_bytes(content)
    from_files(read_archive(folder / "archive.tar.gz"), str(folder))


def _an_archive(runs: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in (*TRAIN, *TEST):
            member = tarfile.TarInfo(f"{FOLDER}/{name}")
            member.size = RECORD
            archive.addfile(member, io.BytesIO(bytes(RECORD)))
    return buffer.getvalue()


def _weights(name: str) -> Callable[[bytes, Path, Path], None]:
    def read(content: bytes, folder: Path, runs: Path) -> None:
        (folder / name).write_bytes(content)
        model = build_model("capacity-1", (1, 28, 28), 10)
        load_matching_weights(model, read_weights(folder / name), folder / name)

    return read


def _a_pt(runs: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": build_model("capacity-1", (1, 28, 28), 10).state_dict()}, buffer)
    return buffer.getvalue()


def _of_a_run(name: str, *reads: Callable[[Path, Path], object], sealed: bool = True) -> Input:
    """A file in the folder of a run, with its checksum in the manifest if `sealed`."""

    def read(content: bytes, folder: Path, runs: Path) -> None:
        run = folder / "0"
        if not run.exists():
            shutil.copytree(runs / "evaluated" / "0", run)
        (run / name).write_bytes(content)
        if sealed:
            seal_folder(run)
        problems = []
        for act in reads:
            try:
                act(run, runs / "evaluated" / "1")
            except InputError as error:
                problems.append(error)
        if problems:
            raise problems[0]

    return Input(read, lambda runs: (runs / "evaluated" / "0" / name).read_bytes())


def _resume(run: Path, other: Path) -> None:
    fit(read_run(run)[0], run, resume=True)


def _checkpoint(content: bytes, folder: Path, runs: Path) -> None:
    """Write a checkpoint with a correct checksum and resume from it."""
    run = folder / "0"
    if not run.exists():
        shutil.copytree(runs / "evaluated" / "0", run)
    (run / "checkpoint-previous.pt").unlink(missing_ok=True)
    (run / "checkpoint.pt").write_bytes(seal(content))
    _resume(run, run)


def _pickled(runs: Path) -> bytes:
    """A checkpoint as torch writes it."""
    buffer = io.BytesIO()
    torch.save(load_checkpoint(runs / "evaluated" / "0"), buffer)
    return buffer.getvalue()


INPUTS: dict[str, Input] = {
    "idx": Input(_idx, lambda runs: gzip.decompress(_data(runs))),
    "idx.gz": Input(_four_idx, lambda runs: _data(runs)),
    "cifar10": Input(_cifar, lambda runs: bytes(3 * RECORD)),
    "archive": Input(_archive, _an_archive),
    "safetensors": Input(
        _weights("w.safetensors"),
        lambda runs: (runs / "evaluated" / "0" / "model.safetensors").read_bytes(),
    ),
    "pt": Input(_weights("w.pt"), _a_pt),
    "config.json": _of_a_run("config.json", lambda run, other: open_run(run)),
    "evaluation.json": _of_a_run(
        "evaluation.json",
        lambda run, other: read_evaluation(run),
        lambda run, other: compare({"one": run, "other": other}),
    ),
    "outcomes.csv": _of_a_run(
        "outcomes.csv",
        lambda run, other: read_outcomes(run),
        lambda run, other: compare({"one": run, "other": other}),
    ),
    "manifest.json": _of_a_run("manifest.json", lambda run, other: read_run(run), sealed=False),
    "checkpoint.pt": Input(_checkpoint, _pickled),
}


def _data(runs: Path) -> bytes:
    return (runs / "data" / f"{FILES['test_y']}.gz").read_bytes()
