"""Files of a run are damaged: each reader rejects them, naming the folder, or reads what it read
before; training and evaluation are resumed to the same result or rejected."""

import random
import shutil
from pathlib import Path

from .children import Failure, run
from .commands import evaluate, evaluated, make_runs, resume, trained
from .damage import damage
from .frame import Shared, time_limit
from .readers import Refusal, read_all

TIME_LIMIT = 20  # seconds, for all readers together


def mutate(draw: random.Random, shared: Shared, folder: Path) -> None:
    """Damage one to three files, call all readers and run one command."""
    shared.once("runs", lambda: make_runs(shared.folder))
    whole, other = (shared.folder / "evaluated" / seed for seed in "01")
    older = shared.folder / "older" / "0"
    shared.once("older", lambda: copy_with_previous_checkpoint(whole, older))
    run_folder = folder / "0"
    shutil.copytree(whole, run_folder)
    damaged = []
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        path = draw.choice(sorted(path for path in run_folder.iterdir() if _is_regular_file(path)))
        damaged.append(damage(draw, path, sorted(other.iterdir())))
    (folder / "damage.txt").write_text("\n".join(damaged))

    def check() -> None:
        with time_limit(TIME_LIMIT):
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
        check_names_folder(ended.line(), run_folder)
    elif found(run_folder) != found(whole):
        raise Failure(f"{damaged}: {command.__name__} leads to another result")


def compare_reading(
    found: dict[str, object], wholes: list[dict[str, object]], run_folder: Path
) -> None:
    """Raise `Failure` if a reader neither fails nor returns the result for an intact folder."""
    for name, now in found.items():
        before = [whole[name] for whole in wholes]
        if isinstance(now, Refusal):
            check_names_folder(now, run_folder)
        elif now not in before:
            raise Failure(
                f"{name} returned another result without an error: {now!r}, not {before[0]!r}"
            )


def copy_with_previous_checkpoint(whole: Path, older: Path) -> bool:
    """Copy the folder with its previous checkpoint, which leads to the same result."""
    shutil.copytree(whole, older)
    shutil.copy(older / "checkpoint-previous.pt", older / "checkpoint.pt")
    return True


def check_names_folder(message: str, run_folder: Path) -> None:
    if str(run_folder) not in message:
        raise Failure(f"the message does not name the folder: {message}")


def _is_regular_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and 0 < path.stat().st_size < 2**20
