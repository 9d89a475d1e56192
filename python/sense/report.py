"""One self-contained page of what evaluations found: tables, pictures, and what they are worth.

    python -m sense.report RUN                        RUN/report.html
    python -m sense.report RUN OTHER --out both.html  side by side, with the paired table

The page is made by R, from the files that sense.evaluate left. What is made here is examples.json,
a few adversarial images of each run.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from .cli import command
from .errors import InputError, MissingFileError
from .evaluation.examples import DEFAULT_N, make_examples, settings_of, write_examples
from .evaluation.summary import read_evaluation
from .evaluation.targets import open_run
from .run_folder import RunFolder
from .runs import CONFIG

PAGE = "report.html"
R_IS_NEEDED = (
    "the page is made by R, and there is no Rscript on the PATH: install R "
    "(https://cran.r-project.org; Debian: apt install r-base-core), then the R package sense by "
    "R CMD INSTALL . in its sources"
)
PACKAGE_IS_NEEDED = (
    "the page is made by the R package sense, which {rscript} does not find: R CMD INSTALL . in "
    "its sources (CRAN's sense is another package)"
)
ABSENT = 3
# Errors of R come as one line of their own words, without colours.
IN_R = f"""
if (!requireNamespace("sense", quietly = TRUE) ||
    !"sense_report" %in% getNamespaceExports("sense")) quit(status = {ABSENT})
arguments <- commandArgs(TRUE)
options(cli.width = 10000L, cli.num_colors = 1L, warn = 1)
tryCatch(
  if (length(arguments)) sense::sense_report(arguments[-1], arguments[1])
  else sense:::check_report_tools(),
  error = function(e) {{
    if (!inherits(e, "rlang_error")) stop(e)  # a fault: cli_abort() made none of its words
    message("ERROR ", gsub("[[:space:]]+", " ", conditionMessage(e)))
    quit(status = 1)
  }}
)
"""


@dataclass(frozen=True)
class ReportArguments:
    runs: tyro.conf.Positional[tuple[Path, ...]]
    out: Annotated[
        Path | None, tyro.conf.arg(help=f"the page; {PAGE} in the folder of one RUN unless given")
    ] = None
    examples: Annotated[
        int, tyro.conf.arg(help="adversarial images to make of each run; 0 for none")
    ] = DEFAULT_N
    model: Annotated[
        str | None, tyro.conf.arg(help="network of the runs, where it is a MODULE:FACTORY")
    ] = None
    data_dir: Annotated[
        Path | None, tyro.conf.arg(help="where the runs' data is now, if it was moved")
    ] = None
    device: Annotated[str, tyro.conf.arg(help="auto, cpu, cuda ...")] = "auto"


def report(
    runs: list[Path],
    out: Path | None = None,
    *,
    examples: int = DEFAULT_N,
    model: str | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
) -> Path:
    """Write the page of these evaluated runs, and give its path.

    Adversarial images are left out, with a line on stderr, where a network or its data cannot be
    opened again.

    Raises
    ------
    ValueError, FileNotFoundError
        Saying what is missing: an evaluation, a place for the page of several, R, the R package, or
        what that needs.
    """
    if not runs:
        raise InputError("name a folder that was evaluated")
    if examples < 0:
        raise InputError(f"examples must be 0 or more, got {examples}")
    contents = [read_evaluation(run) for run in runs]
    for run in runs:
        RunFolder(run).check()
    if out is None and len(runs) > 1:
        raise InputError("say where the page of several runs goes: --out FILE.html")
    out = out or runs[0] / PAGE
    if not out.parent.is_dir():
        raise MissingFileError(f"no folder {out.parent} for the page: make it, or choose another")
    rscript = find_rscript()
    run_r(rscript)
    if examples:
        for run, content in zip(runs, contents, strict=True):
            add_examples(run, content, examples, model, data_dir, device)
    run_r(rscript, out.resolve(), *(run.resolve() for run in runs))
    return out


def find_rscript() -> str:
    """The path of Rscript. Raises FileNotFoundError saying what to install."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise MissingFileError(R_IS_NEEDED)
    return rscript


def run_r(rscript: str, *arguments: Path) -> None:
    """Have R write the page, or, without arguments, see that it can. Raises ValueError with R's
    words for bad input, RuntimeError for any other error in R."""
    command = [rscript, "-e", IN_R, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == ABSENT:
        raise InputError(PACKAGE_IS_NEEDED.format(rscript=rscript))
    if done.returncode:
        told = [line for line in done.stderr.splitlines() if line.startswith("ERROR ")]
        if not told:  # a fault of ours in R, which keeps R's own words
            raise RuntimeError(f"R ended with status {done.returncode}:\n{done.stderr}")
        raise InputError(told[-1].removeprefix("ERROR "))


def add_examples(
    run: Path,
    content: dict[str, Any],
    n: int,
    model: str | None,
    data_dir: Path | None,
    device: str,
) -> None:
    """Write examples.json into the run's folder, or say why not."""
    if not (run / CONFIG).exists():
        print(f"{run}: no adversarial images, as this is no run", file=sys.stderr)
        return
    try:
        target = open_run(run, model=model, data_dir=data_dir)
    except InputError as error:
        print(f"{run}: no adversarial images ({error})", file=sys.stderr)
        return
    count = min(n, len(target.data.test_x))
    with RunFolder(run) as folder:
        folder.lock()
        write_examples(folder, make_examples(target, settings_of(content), n=count, device=device))


@command("sense.report")
def report_main(argv: list[str]) -> None:
    """`python -m sense.report`."""
    arguments = tyro.cli(
        ReportArguments,
        args=argv,
        prog="python -m sense.report",
        description=(
            "One HTML page of evaluated runs: accuracies with intervals, what the evaluation "
            "is worth, pictures; of several runs the paired comparison. Made by R."
        ),
    )
    page = report(
        list(arguments.runs),
        arguments.out,
        examples=arguments.examples,
        model=arguments.model,
        data_dir=arguments.data_dir,
        device=arguments.device,
    )
    print(f"report: {page}")


if __name__ == "__main__":
    report_main()
