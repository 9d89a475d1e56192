"""Files of strangers, made by a fuzzer that looks which lines of the package each input reaches
(atheris, which is libFuzzer for Python).

    python -m tests.torture.guided NAME RUNS PLACE [libFuzzer's options]    one kind of file
"""

import importlib.util
import random
import re
import resource
import subprocess
import sys
import warnings
from pathlib import Path

from .children import MEMORY, Failure
from .commands import make_runs
from .frame import Room

SESSION = 20  # seconds of a trial
LONGEST = 1 << 16  # bytes of an input
ABSENT = "left out: atheris is not installed; hypothesis alone makes inputs"


def present() -> bool:
    """Whether atheris is installed, of which there is none for some versions of Python."""
    return importlib.util.find_spec("atheris") is not None


def guide(draw: random.Random, room: Room, folder: Path, session: int = SESSION) -> int:
    """A session of the fuzzer on one kind of file. A failure leaves the input that failed."""
    from .inputs import INPUTS

    room.once("runs", lambda: make_runs(room.folder))
    name = draw.choice(list(INPUTS))
    place, corpus = folder / "place", folder / "corpus"
    place.mkdir()
    corpus.mkdir()
    (corpus / "example").write_bytes(INPUTS[name].example(room.folder))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.torture.guided",
            name,
            room.folder,
            place,
            corpus,
            f"-seed={draw.randrange(1, 2**31)}",
            f"-max_total_time={session}",
            "-timeout=20",
            f"-max_len={LONGEST}",
            f"-artifact_prefix={folder}/",
            "-print_final_stats=1",
            "-rss_limit_mb=0",
        ],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=session + 120,
    )
    (folder / "printed.txt").write_text(done.stdout + done.stderr)
    if done.returncode:
        printed = done.stdout + done.stderr
        told = re.search(r"Uncaught Python exception.*?\n(?===|\Z)", printed, re.S)
        raise Failure(f"{name}: {(told[0] if told else printed)[-3000:]}")
    tried = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    return int(tried[1]) if tried else 0


def guide_shortly(draw: random.Random, room: Room, folder: Path) -> int:
    """A session of two seconds."""
    return guide(draw, room, folder, 2)


def main() -> None:
    """Fuzz one kind of file in this process, which libFuzzer ends."""
    import atheris
    import torch  # noqa: F401  not to be looked into

    with atheris.instrument_imports(include=["sense"]):
        from .inputs import INPUTS

    name, runs, place, *options = sys.argv[1:]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def try_one(content: bytes) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            INPUTS[name](content, Path(place), Path(runs))

    atheris.Setup([sys.argv[0], *options], try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
