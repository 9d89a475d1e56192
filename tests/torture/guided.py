"""Files made by a coverage-guided fuzzer (atheris, which is libFuzzer for Python).

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
from .frame import Shared

SESSION = 20  # seconds per trial
MAX_INPUT_BYTES = 1 << 16  # bytes of an input
NOT_INSTALLED = "skipped: atheris is not installed"


def is_installed() -> bool:
    """Return whether atheris is installed, which does not support all versions of Python."""
    return importlib.util.find_spec("atheris") is not None


def guide(draw: random.Random, shared: Shared, folder: Path, session: int = SESSION) -> int:
    """Fuzz one kind of file for some seconds. A failed input is kept."""
    from .inputs import INPUTS

    shared.once("runs", lambda: make_runs(shared.folder))
    name = draw.choice(list(INPUTS))
    place, corpus = folder / "place", folder / "corpus"
    place.mkdir()
    corpus.mkdir()
    (corpus / "example").write_bytes(INPUTS[name].example(shared.folder))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.torture.guided",
            name,
            shared.folder,
            place,
            corpus,
            f"-seed={draw.randrange(1, 2**31)}",
            f"-max_total_time={session}",
            "-timeout=20",
            f"-max_len={MAX_INPUT_BYTES}",
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
        found = re.search(r"Uncaught Python exception.*?\n(?===|\Z)", printed, re.S)
        raise Failure(f"{name}: {(found[0] if found else printed)[-3000:]}")
    tried = re.search(r"stat::number_of_executed_units: (\d+)", done.stderr)
    return int(tried[1]) if tried else 0


def guide_briefly(draw: random.Random, shared: Shared, folder: Path) -> int:
    """Fuzz one kind of file for two seconds."""
    return guide(draw, shared, folder, 2)


def main() -> None:
    """Fuzz one kind of file in this process, which libFuzzer exits."""
    import atheris
    import torch  # noqa: F401  imported before, so that it is not instrumented

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
