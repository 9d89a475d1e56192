"""Every file of a run's folder is damaged: each reader refuses it, naming the file, or finds what
it found before; training and evaluation go on to the same result, or refuse."""

import random
import shutil
from pathlib import Path

from .children import Failure, run
from .commands import evaluate, evaluated, make_runs, resume, trained
from .damage import damage
from .frame import Room, within
from .readers import Refusal, read_all

SECONDS = 20  # that all readers together may take


def mutate(draw: random.Random, room: Room, folder: Path) -> None:
    """One to three files are damaged; then all read, and one command goes on."""
    room.once("runs", lambda: make_runs(room.folder))
    whole, other = (room.folder / "evaluated" / seed for seed in "01")
    older = room.folder / "older" / "0"
    room.once("older", lambda: copy_as_of_before(whole, older))
    run_folder = folder / "0"
    shutil.copytree(whole, run_folder)
    damaged = []
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        path = draw.choice(sorted(path for path in run_folder.iterdir() if _plain(path)))
        damaged.append(damage(draw, path, sorted(other.iterdir())))
    (folder / "damage.txt").write_text("\n".join(damaged))

    def check() -> None:
        with within(SECONDS):
            compare_reading(
                read_all(run_folder, other),
                [read_all(whole, other), read_all(older, other)],
                run_folder,
            )

    ended = run(check, folder / "log")
    if ended.code:
        raise Failure(f"{damaged}: {ended.error()}")
    command, found = draw.choice([(resume, trained), (evaluate, evaluated)])
    ended = run(command(run_folder), folder / "log")
    if ended.code:
        names_a_file(ended.line(), run_folder)
    elif found(run_folder) != found(whole):
        raise Failure(f"{damaged}: {command.__name__} goes on to another result")


def compare_reading(
    found: dict[str, object], wholes: list[dict[str, object]], run_folder: Path
) -> None:
    """Raise `Failure` where a reader neither refuses nor finds what it does in a whole folder."""
    for name, now in found.items():
        before = [whole[name] for whole in wholes]
        if isinstance(now, Refusal):
            names_a_file(now, run_folder)
        elif now not in before:
            raise Failure(f"{name} finds something else without a word: {now!r}, not {before[0]!r}")


def copy_as_of_before(whole: Path, older: Path) -> bool:
    """The folder with the checkpoint before the last, which leads to the same end."""
    shutil.copytree(whole, older)
    shutil.copy(older / "checkpoint-previous.pt", older / "checkpoint.pt")
    return True


def names_a_file(message: str, run_folder: Path) -> None:
    if str(run_folder) not in message:
        raise Failure(f"the message names no file: {message}")


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and 0 < path.stat().st_size < 2**20
