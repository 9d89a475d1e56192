"""What the two commands share: options from the dataclasses, errors in one line."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar

import tyro

from .config import DEFAULT_RECIPE, RECIPES, Config, recipe
from .interrupts import noted_signals
from .runs import read_run
from .train import Stopped, fit

Arguments = TypeVar("Arguments")


@dataclass(frozen=True)
class TrainArguments:
    config: tyro.conf.OmitArgPrefixes[Config]
    out: Annotated[
        Path | None, tyro.conf.arg(help="new folder of the run; runs/METHOD-TIME unless given")
    ] = None
    resume: Annotated[
        Path | None,
        tyro.conf.arg(help="go on with the run in this folder, with the options it has"),
    ] = None


def train_main(argv: list[str] | None = None) -> None:
    """`python -m sense.train`."""
    argv = list(sys.argv[1:] if argv is None else argv)
    name = argv.pop(0) if argv and not argv[0].startswith("-") else DEFAULT_RECIPE
    with one_line_errors("sense.train"):
        base = recipe(name)
        recipes = ", ".join(RECIPES)
        arguments = parse(
            TrainArguments,
            argv,
            prog="python -m sense.train [RECIPE]",
            description=(
                "Train a network by natural (nt), regular adversarial (r-at) or sensible "
                f"adversarial (sense) training. RECIPE is one of {recipes}; the defaults below "
                f"are those of {name}."
            ),
            default=TrainArguments(base),
        )
        out, config = arguments.out, arguments.config
        if arguments.resume is not None:
            if config != base or out is not None:
                raise ValueError("--resume takes the options the run has: give no others")
            out, config = arguments.resume, read_run(arguments.resume)[0]
        elif out is None:
            out = Path("runs") / f"{config.method}-{time.strftime('%Y%m%d-%H%M%S')}"
        with noted_signals() as stop:
            try:
                fit(config, out, resume=arguments.resume is not None, stop=stop, show=True)
            except Stopped as stopped:
                print(stopped, file=sys.stderr)
                sys.exit(128 + stopped.reason)
        print(f"run: {out}")


def parse(
    into: type[Arguments], argv: list[str], *, prog: str, description: str, default: Arguments
) -> Arguments:
    """Read the command line into a dataclass."""
    return tyro.cli(into, args=argv, prog=prog, description=description, default=default)


class one_line_errors:  # noqa: N801  a context manager, used like a function
    """Bad input ends with one line and exit status 2, not with a traceback."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, FloatingPointError | OSError | ValueError):
            print(f"{self.command}: {error}", file=sys.stderr)
            sys.exit(2)
