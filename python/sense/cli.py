"""The commands sense.train and sense.evaluate: their options are those of the dataclasses."""

import functools
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn, get_type_hints

import tyro

from . import __version__
from .callbacks import TensorBoard
from .config import DEFAULT_RECIPE, RECIPES, Config, default_recipe, from_plain, recipe
from .config.checks import float_options, parse_fraction
from .config.options import CODE_OPTIONS, Help, option_types, with_named_code
from .config_files import config_from_file
from .devices import set_threads
from .distributed import ErrorElsewhere, join_group
from .errors import InputError, NotFiniteError
from .evaluation.compare import check_comparable, compare, write_comparison
from .evaluation.outcomes import OUTCOMES
from .evaluation.settings import Settings
from .evaluation.stored_evaluation import EvaluationStopped, evaluate_target
from .evaluation.summary import with_free_folder
from .evaluation.tables import comparison_lines
from .evaluation.targets import Target, open_target, with_distinct_names
from .extensions import is_code
from .interrupts import noted_signals
from .process_settings import freed_memory_kept
from .run_folder import RunFolder
from .runs import read_run
from .train import TrainingStopped, fit

LEADER_SECONDS = 5.0  # time for the first process to print; torchrun ends it once another has ended


def command(name: str) -> Callable[[Callable[[list[str]], None]], Callable[..., None]]:
    """Decorate the main function of a command: arguments default to those of the command line,
    `--version` is answered and errors of the user's input are printed in one line."""

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


@contextmanager
def one_line_errors(name: str) -> Iterator[None]:
    """Print an error of the user's input in one line and exit with status 2. Any other error is a
    bug and keeps its traceback. If several processes have the same error, only the first prints it.
    """
    try:
        yield
    except BrokenPipeError:
        _exit_on_broken_pipe()
    except KeyboardInterrupt as interrupt:
        print(f"{name}: interrupted", file=sys.stderr, flush=True)
        sys.exit(128 + getattr(interrupt, "number", signal.SIGINT))
    except InputError as error:
        if isinstance(error, ErrorElsewhere) or (
            isinstance(error, NotFiniteError) and not join_group().is_first
        ):
            time.sleep(LEADER_SECONDS)
        else:
            message = " ".join(line.strip() for line in str(error).splitlines())
            print(f"{name}: {message}", file=sys.stderr, flush=True)
        sys.exit(2)


def _exit_on_broken_pipe() -> NoReturn:
    """Exit without a message if the reader of the output has ended, such as `| head`."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes it at its end
    sys.exit(128 + signal.SIGPIPE)


@dataclass(frozen=True)
class TrainArguments:
    config: tyro.conf.OmitArgPrefixes[Config]
    out: Annotated[Path | None, Help("folder of the new run", default="runs/METHOD-TIME")] = None
    file: Annotated[
        Path | None,
        tyro.conf.arg(
            name="config",
            help="file with options, which replace those of a recipe: TOML, or the config.json of "
            "a run. Options on the command line take precedence",
            help_behavior_hint="",
        ),
    ] = None
    tensorboard: Annotated[
        Path | None,
        Help(
            "write the metrics of each epoch for TensorBoard into this folder; without DIR, into "
            "the folder tensorboard of the run"
        ),
    ] = None
    resume: Annotated[
        Path | None,
        Help(
            "resume the run in this folder with its own options. Only --data-dir, --device, "
            "--threads, --cuda-graphs, --minutes and --monitor-size may be changed, and --epochs "
            "may be increased (with --schedule constant and a new --lr if the schedule was cosine "
            "or one-cycle)"
        ),
    ] = None


IN_RUN = "in the run"  # the value of --tensorboard without DIR


@command("sense.train")
def train_main(argv: list[str]) -> None:
    """`python -m sense.train`."""
    processes = join_group()
    argv = with_value("--tensorboard", IN_RUN, argv)
    options, folder, resume, named, code = processes.on_first_process(lambda: train_options(argv))
    model = code.pop("model", None)
    board = _option_value("--tensorboard", argv)
    callbacks = [TensorBoard(None if board == IN_RUN else board)] if board is not None else []
    config, out = with_named_code(from_plain(options), code), RunFolder(folder, numbered=not named)
    with noted_signals() as stop, freed_memory_kept():
        try:
            fit(config, out, model=model, resume=resume, callbacks=callbacks, stop=stop, show=True)
        except TrainingStopped as stopped:
            if processes.is_first:
                print(stopped, file=sys.stderr, flush=True)
            sys.exit(128 + stopped.reason)
    if processes.is_first:
        print(f"run: {out.path}")


def train_options(argv: list[str]) -> tuple[dict[str, Any], str, bool, bool, dict[str, str]]:
    """Return the options in plain types, the folder of the run, whether it is resumed, whether the
    folder was named and, for a resumed run, the names of code that are given, by option."""
    resumed = _option_value("--resume", argv)
    named_recipe = bool(argv) and not argv[0].startswith("-")
    name, *rest = argv if named_recipe else [DEFAULT_RECIPE, *argv]
    if resumed is not None and named_recipe:
        raise InputError(f"--resume uses the options of the run: leave out the recipe {name}")
    file = _option_value("--config", argv)
    if file is not None and (resumed is not None or named_recipe):
        other = "--resume" if resumed is not None else f"the recipe {name}, or name it in the file"
        raise InputError(f"--config has all options: leave out {other}")
    code = {
        option: value
        for option in ("model", *CODE_OPTIONS)
        if (value := _option_value(f"--{option}", argv)) is not None
        and (option == "model" or is_code(value))
    }
    if resumed is not None:
        base = read_run(Path(resumed))[0]
    elif file is not None:
        base = config_from_file(file, code)
    else:
        base = recipe(name) if named_recipe else default_recipe(_option_value("--dataset", argv))
    recipes = ", ".join(RECIPES)
    origin = name if base == recipe(name) else "cifar10-demo, on all images"
    origin = file or origin if resumed is None else f"the run in {resumed}"
    arguments = tyro.cli(
        TrainArguments,
        args=convert_fractions(rest, option_types()),
        prog="python -m sense.train [RECIPE]",
        description=(
            "Train a network by sensible adversarial training (sense) or another method. RECIPE is "
            f"a named set of options: one of {recipes}. The defaults below are those of {origin}."
        ),
        default=TrainArguments(base),
    )
    out, config = arguments.out, arguments.config
    if arguments.resume is not None:
        if out is not None:
            raise InputError("--resume uses the folder of the run: leave out --out")
        # The name of code is required again. That of a network is not a changed option.
        plain = config.to_plain() | {name: getattr(base, name) for name in code}
        return plain, str(arguments.resume), True, True, code
    named = out is not None
    method = re.sub("[:.<>]+", "-", config.method)
    out = out or Path("runs") / f"{method}-{time.strftime('%Y%m%d-%H%M%S')}"
    return config.to_plain(), str(out), False, named, {}


def with_value(option: str, value: str, argv: list[str]) -> list[str]:
    """Return the words of the command line, with a value after an option that has none."""
    words: list[str] = []
    for word, following in zip(argv, [*argv[1:], "--"], strict=True):
        words += [word, value] if word == option and following.startswith("--") else [word]
    return words


def _option_value(option: str, argv: list[str]) -> str | None:
    """Return the value of an option on the command line, None if it is not given."""
    for i, word in enumerate(argv):
        if word == option:
            return argv[i + 1] if i + 1 < len(argv) else None
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
    return None


def convert_fractions(argv: list[str], hints: Mapping[str, Any]) -> list[str]:
    """Replace fractions such as 8/255 by numbers in options that are numbers."""
    floats = {f"--{name.replace('_', '-')}" for name in float_options(hints)}
    words, is_float = [], False
    for word in argv:
        option, equals, value = word.partition("=")
        if word.startswith("--"):
            is_float = option.replace("_", "-") in floats
            number = equals and is_float and "/" in value
            words.append(f"{option}={parse_fraction(value)!r}" if number else word)
        else:
            words.append(repr(parse_fraction(word)) if is_float and "/" in word else word)
    return words


@dataclass(frozen=True)
class EvaluateArguments:
    targets: Annotated[
        tyro.conf.Positional[tuple[str, ...]],
        tyro.conf.arg(
            metavar="TARGET ...",
            help="folder of a run, file of weights, or MODULE:FACTORY",
            help_behavior_hint="(required)",
        ),
    ]
    settings: tyro.conf.OmitArgPrefixes[Settings]
    weights: Annotated[
        Path | None, Help("file of the weights of MODULE:FACTORY, .safetensors or .pt")
    ] = None
    model: Annotated[
        str | None,
        Help(
            "network of a file of weights: a name of --model in sense.train, or MODULE:FACTORY. "
            "Also required for a run whose network is a MODULE:FACTORY or was passed in memory. A "
            "network of normalised images is returned as sense.Normalised(network, mean, std)"
        ),
    ] = None
    dataset: Annotated[
        str | None, Help("data set of a target that is not a run: mnist, cifar10 ...")
    ] = None
    data_dir: Annotated[
        Path | None,
        Help(
            "folder with the data, as in sense.train",
            default="that of the run, or downloaded into the cache directory",
        ),
    ] = None
    out: Annotated[
        Path | None,
        Help(
            "folder for the results, with a subfolder per target if there are several",
            default="the folder of the run, or evaluations/NAME; if it holds an evaluation with "
            "other options, its subfolder evaluation-2 ...",
        ),
    ] = None
    overwrite: Annotated[bool, Help("delete the evaluation in the folder and start again")] = False
    device: Annotated[str, Help("device: cpu, cuda ...; auto uses a GPU if there is one")] = "auto"
    threads: Annotated[int | None, Help("number of CPU threads", default="all cores")] = None


@command("sense.evaluate")
def evaluate_main(argv: list[str]) -> None:
    """`python -m sense.evaluate`."""
    arguments = tyro.cli(
        EvaluateArguments,
        args=convert_fractions(argv, get_type_hints(Settings)),
        prog="python -m sense.evaluate",
        description=(
            "Natural and robust accuracy of trained networks, with 95 % intervals and diagnostics "
            "of the evaluation. A target is the folder of a run, a file of weights, or "
            "MODULE:FACTORY, a function that returns a network. Several targets are compared in "
            "pairs. If the command is interrupted, run it again to resume."
        ),
    )
    if arguments.threads is not None:
        set_threads(arguments.threads)
    targets = _open_targets(arguments)
    if len(targets) > 1:
        check_comparable(targets, arguments.settings)
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
    """Open all targets before any is evaluated, and give them distinct names."""
    several = len(arguments.targets) > 1
    if not arguments.targets:
        raise InputError("pass a target: the folder of a run, a file of weights or MODULE:FACTORY")
    if several and arguments.weights is not None:
        raise InputError("--weights needs exactly one target")
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
    if out is not None:
        return [replace(target, folder=out / target.name if several else out) for target in targets]
    if arguments.overwrite:
        return targets
    placed = [with_free_folder(target, arguments.settings) for target in targets]
    for target, other in zip(targets, placed, strict=True):
        if target.folder != other.folder:
            print(f"{target.folder} holds an evaluation with other options: using {other.folder}")
    return placed
