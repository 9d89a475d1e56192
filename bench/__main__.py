"""Run sections of the bench, store their results, and show the bars: limits that must be kept.

    python -m bench                              all sections but time-to-...
    python -m bench attack epoch --run RUN       two sections, with a small-cnn that you trained
    python -m bench time-to-mnist --rounds 3     seconds to 90 % under AutoAttack; takes hours
    python -m bench --table                      show the stored results without measuring
    python -m bench --quick                      tiny sizes, to test that everything runs

The results of each section are one file in bench/results, with machine, versions and time. The
results of `python -m bench.accelerator`, for a GPU, are shown with them.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from sense.process_settings import freed_memory_kept

from . import attack, clusters, data, epoch, evaluation, floor, half_precision, time_to_accuracy
from .report import Section, bars_markdown, stored
from .settings import ROOT, Settings, provenance

SECTIONS: dict[str, Callable[[Settings], Section]] = {
    "attack": attack.run,
    "epoch": epoch.run,
    "floor": floor.run,
    "evaluation": evaluation.run,
    "data": data.run,
    "clusters": clusters.run,
    "half-precision": half_precision.run,
    "time-to-mnist": partial(time_to_accuracy.run, "mnist"),
    "time-to-cifar10": partial(time_to_accuracy.run, "cifar10"),
}
HOURS = ("time-to-mnist", "time-to-cifar10")  # sections that run only if they are named
QUICK = "tiny sizes"


def main(argv: list[str] | None = None) -> None:
    arguments = parse(argv)
    out = arguments.out or (
        ROOT / ".setup/bench-quick" if arguments.quick else ROOT / "bench/results"
    )
    settings = Settings(
        quick=arguments.quick,
        threads=arguments.threads,
        networks=ROOT / ".setup/bench-networks",
        mnist=arguments.mnist,
        cifar10=arguments.cifar10,
        run=arguments.run,
        target=arguments.target,
        epochs=arguments.epochs,
        rounds=arguments.rounds,
        minutes=arguments.minutes,
    )
    if not arguments.table:
        torch.set_num_threads(settings.threads)
        out.mkdir(parents=True, exist_ok=True)
        for name in arguments.sections or [name for name in SECTIONS if name not in HOURS]:
            print(f"{name} ...", flush=True)
            section = measure(name, settings)
            (out / f"{name}.json").write_text(section.to_json())
            print(section.markdown(), end="\n\n", flush=True)
    print(table(out))


def measure(name: str, settings: Settings) -> Section:
    """Run a section; return its results with provenance and duration."""
    begun, began = provenance(settings, name), time.perf_counter()
    torch.manual_seed(1)
    with freed_memory_kept():  # as the commands do
        section = SECTIONS[name](settings)
    if settings.quick:
        section = replace(section, bars=tuple(replace(bar, unjudged=QUICK) for bar in section.bars))
    return replace(section, provenance=begun, seconds=round(time.perf_counter() - began, 1))


def table(out: Path) -> str:
    """The stored results as text: first the bars, then the sections."""
    accelerators = sorted(path.stem for path in out.glob("accelerator-*.json"))
    sections = stored(out, [*SECTIONS, *accelerators])
    if not sections:
        return f"no results in {out}: run `python -m bench` first"
    return "\n\n".join([bars_markdown(sections), *(one.markdown() for one in sections)]) + "\n"


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--threads", type=int, default=2, help="number of CPU threads (default: 2)")
    parser.add_argument(
        "--run",
        type=Path,
        help="folder of a run that trained a small-cnn (default: the stored run mnist-fast)",
    )
    parser.add_argument("--mnist", type=Path, help="folder of the MNIST files (default: download)")
    parser.add_argument(
        "--cifar10", type=Path, help="folder of the CIFAR10 files (default: download)"
    )
    parser.add_argument(
        "--target",
        type=float,
        help="time-to-...: accuracy under AutoAttack, from 0 to 1 (default: 0.9 on MNIST, 0.3 on "
        "CIFAR10)",
    )
    parser.add_argument(
        "--epochs", type=int, help="time-to-...: number of epochs (default: those of the recipe)"
    )
    parser.add_argument("--rounds", type=int, default=1, help="time-to-...: seeds (default: 1)")
    parser.add_argument(
        "--minutes",
        type=float,
        default=120.0,
        help="time-to-...: minutes of training after which a contender begins no other epoch "
        "(default: 120)",
    )
    parser.add_argument("--out", type=Path, help="folder for the results (default: bench/results)")
    parser.add_argument(
        "--quick", action="store_true", help="tiny sizes, to test that everything runs"
    )
    parser.add_argument(
        "--table", action="store_true", help="show the stored results without measuring"
    )
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"unknown section {', '.join(unknown)}. Sections: {', '.join(SECTIONS)}")
    return arguments


if __name__ == "__main__":
    main()
