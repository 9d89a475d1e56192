"""What the two commands share: options from the dataclasses, errors in one line."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
import tyro

from .config import DEFAULT_RECIPE, RECIPES, Config, from_plain, recipe
from .distributed import AgreedError, join
from .evaluate import OUTCOMES, PGDAttack, evaluate_run
from .interrupts import noted_signals
from .runs import read_run
from .train import Stopped, fit

LEADER_SPEAKS = 5.0  # seconds that the leading process has to say what is wrong


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
    with one_line_errors("sense.train"):
        ranks = join()
        options, folder, resume = ranks.first(lambda: train_options(argv))
        config, out = from_plain(options), Path(folder)
        with noted_signals() as stop:
            try:
                fit(config, out, resume=resume, stop=stop, show=True)
            except Stopped as stopped:
                if ranks.leads:
                    print(stopped, file=sys.stderr, flush=True)
                sys.exit(128 + stopped.reason)
        if ranks.leads:
            print(f"run: {out}")


def train_options(argv: list[str]) -> tuple[dict[str, Any], str, bool]:
    """The run's options in plain types, its folder, and whether it is resumed."""
    name, *rest = argv if argv and not argv[0].startswith("-") else [DEFAULT_RECIPE, *argv]
    base = recipe(name)
    recipes = ", ".join(RECIPES)
    arguments = tyro.cli(
        TrainArguments, args=rest, prog="python -m sense.train [RECIPE]", description=(
            "Train a network by sensible adversarial training (sense) or one of the methods it is "
            f"compared with. RECIPE is one of {recipes}; the defaults below are those of {name}."
        ),
        default=TrainArguments(base),
    )  # fmt: skip
    out, config = arguments.out, arguments.config
    if arguments.resume is not None:
        if config != base or out is not None:
            raise ValueError("--resume takes the options the run has: give no others")
        out, config = arguments.resume, read_run(arguments.resume)[0]
    elif out is None:
        out = Path("runs") / f"{config.method}-{time.strftime('%Y%m%d-%H%M%S')}"
    return config.to_plain(), str(out), arguments.resume is not None


@dataclass(frozen=True)
class EvaluateArguments:
    run: tyro.conf.Positional[Path]
    pgd: tyro.conf.OmitArgPrefixes[PGDAttack]
    attack: Annotated[Literal["pgd"], tyro.conf.arg(help="attack beside the natural images")] = (
        "pgd"
    )
    n: Annotated[int | None, tyro.conf.arg(help="the first n test images; all unless given")] = None
    data_dir: Annotated[
        Path | None, tyro.conf.arg(help="where the run's data is now, if it was moved")
    ] = None
    model: Annotated[
        str | None,
        tyro.conf.arg(help="MODULE:FACTORY of a run whose network was handed over as an object"),
    ] = None
    device: Annotated[str, tyro.conf.arg(help="auto, cpu, cuda ...")] = "auto"
    threads: Annotated[int | None, tyro.conf.arg(help="all cores unless given")] = None


def evaluate_main(argv: list[str] | None = None) -> None:
    """`python -m sense.evaluate`."""
    with one_line_errors("sense.evaluate"):
        arguments = tyro.cli(
            EvaluateArguments, args=argv, prog="python -m sense.evaluate", description=(
                "Natural and robust accuracy of a trained network, each with a 95 % Wilson "
                "interval. RUN is the folder that sense.train wrote."
            ),
        )  # fmt: skip
        if arguments.threads is not None:
            torch.set_num_threads(arguments.threads)
        accuracies = evaluate_run(
            arguments.run, arguments.pgd, n=arguments.n, data_dir=arguments.data_dir,
            model=arguments.model, device=arguments.device, show=True,
        )  # fmt: skip
        for name, accuracy in accuracies.items():
            print(f"{name:<8} {accuracy}")
        print(f"outcomes: {arguments.run / OUTCOMES}")


class one_line_errors:  # noqa: N801  a context manager, used like a function
    """Bad input ends with one line and exit status 2, not with a traceback. Of several processes
    with the same error the leading one tells."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if not isinstance(error, FloatingPointError | OSError | ValueError):
            return
        if isinstance(error, AgreedError) or (
            isinstance(error, FloatingPointError) and not join().leads
        ):
            time.sleep(LEADER_SPEAKS)  # torchrun ends all others once one has ended
        else:
            print(f"{self.command}: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
