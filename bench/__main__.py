"""Run sections of the bench, keep what each finds, and show the bars.

    python -m bench                              all sections
    python -m bench attack epoch --run RUN       some, with a small-cnn that you trained
    python -m bench --table                      show what is stored, measure nothing
    python -m bench --quick                      tiny sizes, to see that everything runs

Each section's results are a file in bench/results, with where and when it ran. Those of a GPU, by
`python -m bench.accelerator`, are shown with them.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from sense.process_settings import freed_memory_kept

from . import attack, clusters, data, epoch, evaluation, floor
from .report import Section, bars_markdown, stored
from .settings import ROOT, Settings, provenance

SECTIONS: dict[str, Callable[[Settings], Section]] = {
    "attack": attack.run,
    "epoch": epoch.run,
    "floor": floor.run,
    "evaluation": evaluation.run,
    "data": data.run,
    "clusters": clusters.run,
}
QUICK = "tiny sizes decide nothing"


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
    )
    if not arguments.table:
        torch.set_num_threads(settings.threads)
        out.mkdir(parents=True, exist_ok=True)
        for name in arguments.sections or SECTIONS:
            print(f"{name} ...", flush=True)
            section = measure(name, settings)
            (out / f"{name}.json").write_text(section.to_json())
            print(section.markdown(), end="\n\n", flush=True)
    print(table(out))


def measure(name: str, settings: Settings) -> Section:
    """A section's results with where they come from and how long they took."""
    begun, began = provenance(settings, name), time.perf_counter()
    torch.manual_seed(1)
    with freed_memory_kept():  # as the trainer and the evaluation have it
        section = SECTIONS[name](settings)
    if settings.quick:
        section = replace(section, bars=tuple(replace(bar, unjudged=QUICK) for bar in section.bars))
    return replace(section, provenance=begun, seconds=round(time.perf_counter() - began, 1))


def table(out: Path) -> str:
    """All that is stored: the bars first, the sections after them."""
    accelerators = sorted(path.stem for path in out.glob("accelerator-*.json"))
    sections = stored(out, [*SECTIONS, *accelerators])
    if not sections:
        return f"no results in {out}: run `python -m bench` first"
    return "\n\n".join([bars_markdown(sections), *(one.markdown() for one in sections)]) + "\n"


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--threads", type=int, default=2, help="of the processor (2)")
    parser.add_argument(
        "--run", type=Path, help="folder of a run that trained a small-cnn; the one stored"
    )
    parser.add_argument("--mnist", type=Path, help="folder of MNIST's files; else downloaded once")
    parser.add_argument("--cifar10", type=Path, help="folder of CIFAR10's files; the same")
    parser.add_argument("--out", type=Path, help="folder of the results (bench/results)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: no measurement")
    parser.add_argument("--table", action="store_true", help="show the stored results")
    arguments = parser.parse_args(argv)
    unknown = sorted(set(arguments.sections) - set(SECTIONS))
    if unknown:
        parser.error(f"unknown section {', '.join(unknown)}. There are {', '.join(SECTIONS)}")
    return arguments


if __name__ == "__main__":
    main()
