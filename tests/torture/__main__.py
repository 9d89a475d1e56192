"""The command: python -m tests.torture --help."""

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path

import torch

from .disks import fill
from .frame import HEAD, KEPT, Shared, Tally, Trial, run_part
from .fuzz import fuzz
from .guided import NOT_INSTALLED, guide, guide_briefly, is_installed
from .kills import kill_evaluation, kill_training
from .mutations import mutate
from .together import together

PARTS: dict[str, Trial] = {
    "kills": kill_training,
    "evaluation": kill_evaluation,
    "mutations": mutate,
    "together": together,
    "disks": fill,
    "fuzz": fuzz,
    "guided": guide,
}
SHORT = {
    "kills": 2,
    "evaluation": 2,
    "mutations": 10,
    "together": 2,
    "disks": 3,
    "fuzz": 3,
    "guided": 1,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture")
    parser.add_argument("--minutes", type=float, default=10, help="duration of all parts together")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seed", type=int, default=0, help="seed of the first trial")
    parser.add_argument(
        "--trials", type=int, help="number of trials per part, instead of --minutes"
    )
    parser.add_argument("--short", action="store_true", help="run the few trials of make test")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    seconds = 60 * arguments.minutes / len(arguments.parts)
    tallies = []
    with tempfile.TemporaryDirectory(prefix="torture-") as place:
        shared = Shared(Path(place))
        for name in arguments.parts:
            trials = SHORT[name] if arguments.short else arguments.trials
            trial = guide_briefly if arguments.short and name == "guided" else PARTS[name]
            if name == "guided" and not is_installed():
                tallies.append(Tally(name, skipped=NOT_INSTALLED))
            else:
                tallies.append(run_part(name, trial, shared, seconds, arguments.seed, trials))
    print("\n".join([HEAD, *(tally.row() for tally in tallies)]))
    failed = any(tally.failed for tally in tallies)
    if failed:
        print(f"failed trials are in {KEPT}/, with the commands that repeat them")
    return int(failed)


if __name__ == "__main__":
    warnings.simplefilter("default")
    sys.exit(main())
