"""What the two commands share: options from the dataclasses, errors in one line."""

import os
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

import torch
import tyro

from .config import DEFAULT_RECIPE, RECIPES, Config, from_plain, recipe
from .distributed import AgreedError, join
from .errors import InputError, NotFiniteError
from .evaluate import Stopped as EvaluationStopped
from .evaluate import evaluate_target
from .evaluation.compare import compare, write_comparison
from .evaluation.outcomes import OUTCOMES
from .evaluation.place import beside_others
from .evaluation.settings import Settings
from .evaluation.tables import comparison_lines
from .evaluation.targets import Target, open_target, told_apart
from .interrupts import noted_signals
from .run_folder import RunFolder
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
        options, folder, resume, named, model = ranks.first(lambda: train_options(argv))
        config, out = from_plain(options), RunFolder(Path(folder), numbered=not named)
        with noted_signals() as stop:
            try:
                fit(config, out, model=model, resume=resume, stop=stop, show=True)
            except Stopped as stopped:
                if ranks.leads:
                    print(stopped, file=sys.stderr, flush=True)
                sys.exit(128 + stopped.reason)
        if ranks.leads:
            print(f"run: {out.path}")


def train_options(argv: list[str]) -> tuple[dict[str, Any], str, bool, bool, str | None]:
    """The run's options in plain types, its folder, whether it is resumed, whether the folder was
    named, and, for a run that is resumed, the network that was."""
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
        model = None if config.model == base.model else config.model
        if replace(config, model=base.model) != base or out is not None:
            raise InputError("--resume takes the options the run has: give no others")
        config = read_run(arguments.resume)[0]
        return config.to_plain(), str(arguments.resume), True, True, model
    named = out is not None
    out = out or Path("runs") / f"{config.method}-{time.strftime('%Y%m%d-%H%M%S')}"
    return config.to_plain(), str(out), False, named, None


@dataclass(frozen=True)
class EvaluateArguments:
    targets: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(metavar="TARGET ...", help="run, file of weights, or MODULE:FACTORY"),
    ]
    settings: tyro.conf.OmitArgPrefixes[Settings]
    weights: Annotated[
        Path | None, tyro.conf.arg(help="weights of a MODULE:FACTORY, .safetensors or .pt")
    ] = None
    model: Annotated[
        str | None,
        tyro.conf.arg(help="network of a file of weights, by name or MODULE:FACTORY; of a run "
                           "whose network is a MODULE:FACTORY, or was handed over as an object"),
    ] = None  # fmt: skip
    dataset: Annotated[
        str | None, tyro.conf.arg(help="data of a target that is no run: mnist, cifar10 ...")
    ] = None
    data_dir: Annotated[
        Path | None, tyro.conf.arg(help="where the data is; where it is now, if it was moved")
    ] = None
    out: Annotated[
        Path | None,
        tyro.conf.arg(help="folder for the results, of several targets one in it for each; the "
                           "run's own, or evaluations/NAME, unless given; where that holds an "
                           "evaluation with other options, evaluation-2 ... in it"),
    ] = None  # fmt: skip
    overwrite: Annotated[
        bool, tyro.conf.arg(help="begin anew where the folder holds an evaluation")
    ] = False
    device: Annotated[str, tyro.conf.arg(help="auto, cpu, cuda ...")] = "auto"
    threads: Annotated[int | None, tyro.conf.arg(help="all cores unless given")] = None


def evaluate_main(argv: list[str] | None = None) -> None:
    """`python -m sense.evaluate`."""
    with one_line_errors("sense.evaluate"):
        arguments = tyro.cli(
            EvaluateArguments, args=argv, prog="python -m sense.evaluate", description=(
                "Natural and robust accuracy of trained networks, with 95 % intervals, and what "
                "the evaluation is worth. A target is the folder that sense.train wrote, a file of "
                "weights, or MODULE:FACTORY. A command that was stopped goes on when it is given "
                "again. Of several targets the paired comparison is shown."
            ),
        )  # fmt: skip
        if arguments.threads is not None:
            torch.set_num_threads(arguments.threads)
        targets = _open_targets(arguments)
        with noted_signals() as stop:
            try:
                for target in targets:
                    evaluate_target(
                        target, arguments.settings, device=arguments.device, show=True,
                        overwrite=arguments.overwrite, stop=stop,
                        on_line=lambda line: print(line, flush=True),
                    )  # fmt: skip
                    print(f"outcomes: {target.folder / OUTCOMES}\n")
            except EvaluationStopped as stopped:
                print(stopped, file=sys.stderr)
                sys.exit(128 + stopped.reason)
        if len(targets) > 1:
            comparison = compare({target.name: target.folder for target in targets})
            print("\n".join(comparison_lines(comparison)))
            place = write_comparison(arguments.out or Path("evaluations"), comparison)
            print(f"comparison: {place}")


def _open_targets(arguments: EvaluateArguments) -> list[Target]:
    """All targets, before any is evaluated; names that are alike get the folder before them."""
    several = len(arguments.targets) > 1
    if not arguments.targets:
        raise InputError("name a target: the folder of a run, a file of weights or MODULE:FACTORY")
    if several and arguments.weights is not None:
        raise InputError("--weights goes with one target")
    targets = [
        open_target(
            spec, weights=arguments.weights, model=arguments.model, dataset=arguments.dataset,
            data_dir=arguments.data_dir,
        )
        for spec in arguments.targets
    ]  # fmt: skip
    targets = told_apart(targets)
    out = arguments.out
    if out is None:
        return targets if arguments.overwrite else [_beside(t, arguments.settings) for t in targets]
    return [replace(target, folder=out / target.name if several else out) for target in targets]


def _beside(target: Target, settings: Settings) -> Target:
    placed = beside_others(target, settings)
    if placed.folder != target.folder:
        print(f"{target.folder} holds an evaluation with other options: see {placed.folder}")
    return placed


class one_line_errors:  # noqa: N801  a context manager, used like a function
    """Bad input ends with one line and exit status 2. Any other error is a fault of ours, or of
    torch, and keeps its traceback. Of several processes with the same error the leading one tells.
    """

    def __init__(self, command: str) -> None:
        self.command = command

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, BrokenPipeError):
            _end_without_a_reader()
        if isinstance(error, KeyboardInterrupt):
            print(f"{self.command}: interrupted", file=sys.stderr, flush=True)
            sys.exit(128 + signal.SIGINT)
        if not isinstance(error, InputError):
            return
        if isinstance(error, AgreedError) or (
            isinstance(error, NotFiniteError) and not join().leads
        ):
            time.sleep(LEADER_SPEAKS)  # torchrun ends all others once one has ended
        else:
            print(f"{self.command}: {in_one_line(error)}", file=sys.stderr, flush=True)
        sys.exit(2)


def in_one_line(error: BaseException) -> str:
    """The message of an error, as one line."""
    return " ".join(line.strip() for line in str(error).splitlines())


def _end_without_a_reader() -> NoReturn:
    """Who read what is printed has gone, as `| head` does: nobody is there to be told."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python tells at its end
    sys.exit(128 + signal.SIGPIPE)
