"""The command: python -m tests.torture --help."""

import argparse
import os
import sys
import tempfile
import warnings
from pathlib import Path

import torch

from .disks import fill
from .frame import HEAD, KEPT, Room, Tally, Trial, run_part
from .fuzz import fuzz
from .guided import ABSENT, guide, guide_shortly, present
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
    parser.add_argument("--minutes", type=float, default=10, help="of all parts together")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seed", type=int, default=0, help="of the first trial")
    parser.add_argument("--trials", type=int, help="of each part, instead of --minutes")
    parser.add_argument("--short", action="store_true", help="what make test runs")
    asked = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    seconds = 60 * asked.minutes / len(asked.parts)
    tallies = []
    with tempfile.TemporaryDirectory(prefix="torture-") as place:
        room = Room(Path(place))
        for name in asked.parts:
            trials = SHORT[name] if asked.short else asked.trials
            trial = guide_shortly if asked.short and name == "guided" else PARTS[name]
            if name == "guided" and not present():
                tallies.append(Tally(name, skipped=ABSENT))
            else:
                tallies.append(run_part(name, trial, room, seconds, asked.seed, trials))
    print("\n".join([HEAD, *(tally.row() for tally in tallies)]))
    failed = any(tally.failed for tally in tallies)
    if failed:
        print(f"what failed is in {KEPT}/, with the command that makes it again")
    return int(failed)


if __name__ == "__main__":
    warnings.simplefilter("default")
    sys.exit(main())
