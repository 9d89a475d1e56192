"""What the two commands share: options from the dataclasses, errors in one line."""

import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_type_hints

import torch
import tyro

from . import __version__
from .config import DEFAULT_RECIPE, RECIPES, Config, default_recipe, from_plain, recipe
from .config.checks import float_options, parse_fraction
from .config.options import option_types
from .devices import check_threads
from .distributed import ErrorElsewhere, join_group
from .errors import InputError, NotFiniteError
from .evaluation.compare import compare, write_comparison
from .evaluation.evaluate import EvaluationStopped, evaluate_target
from .evaluation.outcomes import OUTCOMES
from .evaluation.settings import Settings
from .evaluation.summary import with_free_folder
from .evaluation.tables import comparison_lines
from .evaluation.targets import Target, open_target, with_distinct_names
from .interrupts import noted_signals
from .process_settings import freed_memory_kept
from .run_folder import RunFolder
from .runs import read_run
from .train import TrainingStopped, fit

LEADER_SPEAKS = 5.0  # seconds that the leading process has to say what is wrong


def command(name: str) -> Callable[[Callable[[list[str]], None]], Callable[..., None]]:
    """Make a function of the arguments the main function of a command, whose arguments are those of
    the command line by default. `--version` and errors of the user's input are dealt with here."""

    def decorate(main: Callable[[list[str]], None]) -> Callable[..., None]:
        @functools.wraps(main)
        def run(argv: list[str] | None = None) -> None:
            arguments = sys.argv[1:] if argv is None else argv
            if "--version" in arguments:
                print(f"sense {__version__}")
                return
            with one_line_errors(name):
                main(list(arguments))

        return run

    return decorate


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
        if isinstance(error, ErrorElsewhere) or (
            isinstance(error, NotFiniteError) and not join_group().is_first
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


@dataclass(frozen=True)
class TrainArguments:
    config: tyro.conf.OmitArgPrefixes[Config]
    out: Annotated[
        Path | None, tyro.conf.arg(help="new folder of the run; runs/METHOD-TIME unless given")
    ] = None
    resume: Annotated[
        Path | None,
        tyro.conf.arg(
            help="resume the run in this folder with the options it has. What says where "
            "it runs may be given anew (--data-dir, --device, --threads ...), and "
            "more --epochs"
        ),
    ] = None


@command("sense.train")
def train_main(argv: list[str]) -> None:
    """`python -m sense.train`."""
    processes = join_group()
    options, folder, resume, named, model = processes.on_first_process(lambda: train_options(argv))
    config, out = from_plain(options), RunFolder(Path(folder), numbered=not named)
    with noted_signals() as stop, freed_memory_kept():
        try:
            fit(config, out, model=model, resume=resume, stop=stop, show=True)
        except TrainingStopped as stopped:
            if processes.is_first:
                print(stopped, file=sys.stderr, flush=True)
            sys.exit(128 + stopped.reason)
    if processes.is_first:
        print(f"run: {out.path}")


def train_options(argv: list[str]) -> tuple[dict[str, Any], str, bool, bool, str | None]:
    """The run's options in plain types, its folder, whether it is resumed, whether the folder was
    named, and, for a run that is resumed, the network that was."""
    resumed = _value_of("--resume", argv)
    named_recipe = bool(argv) and not argv[0].startswith("-")
    name, *rest = argv if named_recipe else [DEFAULT_RECIPE, *argv]
    if resumed is not None and named_recipe:
        raise InputError(f"--resume takes the options the run has: leave out the recipe {name}")
    if resumed is not None:
        base = read_run(Path(resumed))[0]
    else:
        base = recipe(name) if named_recipe else default_recipe(_value_of("--dataset", argv))
    recipes = ", ".join(RECIPES)
    whose = name if base == recipe(name) else "cifar10-demo, on all images"
    whose = whose if resumed is None else f"the run in {resumed}"
    arguments = tyro.cli(
        TrainArguments,
        args=convert_fractions(rest, option_types()),
        prog="python -m sense.train [RECIPE]",
        description=(
            "Train a network by sensible adversarial training (sense) or one of the methods it is "
            f"compared with. RECIPE is one of {recipes}; the defaults below are those of {whose}."
        ),
        default=TrainArguments(base),
    )
    out, config = arguments.out, arguments.config
    if arguments.resume is not None:
        if out is not None:
            raise InputError("--resume goes on in the run's own folder: leave out --out")
        # A name of the network is asked for where it is a factory, and is no other option.
        model = _value_of("--model", argv)
        config = replace(config, model=base.model)
        return config.to_plain(), str(arguments.resume), True, True, model
    named = out is not None
    out = out or Path("runs") / f"{config.method}-{time.strftime('%Y%m%d-%H%M%S')}"
    return config.to_plain(), str(out), False, named, None


def _value_of(option: str, argv: list[str]) -> str | None:
    """What follows an option on the command line; None where it is not given."""
    for i, word in enumerate(argv):
        if word == option:
            return argv[i + 1] if i + 1 < len(argv) else None
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
    return None


def convert_fractions(argv: list[str], hints: Mapping[str, Any]) -> list[str]:
    """The command line with fractions, such as 8/255, as numbers where an option is one."""
    floats = {f"--{name.replace('_', '-')}" for name in float_options(hints)}
    words, in_float = [], False
    for word in argv:
        option, equals, value = word.partition("=")
        if word.startswith("--"):
            in_float = option.replace("_", "-") in floats
            number = equals and in_float and "/" in value
            words.append(f"{option}={parse_fraction(value)!r}" if number else word)
        else:
            words.append(repr(parse_fraction(word)) if in_float and "/" in word else word)
    return words


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
        tyro.conf.arg(
            help="network of a file of weights, by name or MODULE:FACTORY; of a run "
            "whose network is a MODULE:FACTORY, or was handed over as an object"
        ),
    ] = None
    dataset: Annotated[
        str | None, tyro.conf.arg(help="data of a target that is no run: mnist, cifar10 ...")
    ] = None
    data_dir: Annotated[
        Path | None, tyro.conf.arg(help="where the data is; where it is now, if it was moved")
    ] = None
    out: Annotated[
        Path | None,
        tyro.conf.arg(
            help="folder for the results, of several targets one in it for each; the "
            "run's own, or evaluations/NAME, unless given; where that holds an "
            "evaluation with other options, evaluation-2 ... in it"
        ),
    ] = None
    overwrite: Annotated[
        bool, tyro.conf.arg(help="begin anew where the folder holds an evaluation")
    ] = False
    device: Annotated[str, tyro.conf.arg(help="auto, cpu, cuda ...")] = "auto"
    threads: Annotated[int | None, tyro.conf.arg(help="all cores unless given")] = None


@command("sense.evaluate")
def evaluate_main(argv: list[str]) -> None:
    """`python -m sense.evaluate`."""
    arguments = tyro.cli(
        EvaluateArguments,
        args=convert_fractions(argv, get_type_hints(Settings)),
        prog="python -m sense.evaluate",
        description=(
            "Natural and robust accuracy of trained networks, with 95 % intervals, and what "
            "the evaluation is worth. A target is the folder that sense.train wrote, a file of "
            "weights, or MODULE:FACTORY. A command that was stopped goes on when it is given "
            "again. Of several targets the paired comparison is shown."
        ),
    )
    if arguments.threads is not None:
        torch.set_num_threads(check_threads(arguments.threads))
    targets = _open_targets(arguments)
    with noted_signals() as stop, freed_memory_kept():
        try:
            for target in targets:
                evaluate_target(
                    target,
                    arguments.settings,
                    device=arguments.device,
                    show=True,
                    overwrite=arguments.overwrite,
                    stop=stop,
                    on_line=lambda line: print(line, flush=True),
                )
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
            spec,
            weights=arguments.weights,
            model=arguments.model,
            dataset=arguments.dataset,
            data_dir=arguments.data_dir,
        )
        for spec in arguments.targets
    ]
    targets = with_distinct_names(targets)
    out = arguments.out
    if out is None:
        return targets if arguments.overwrite else [_beside(t, arguments.settings) for t in targets]
    return [replace(target, folder=out / target.name if several else out) for target in targets]


def _beside(target: Target, settings: Settings) -> Target:
    placed = with_free_folder(target, settings)
    if placed.folder != target.folder:
        print(f"{target.folder} holds an evaluation with other options: see {placed.folder}")
    return placed
