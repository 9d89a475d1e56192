"""Make one self-contained HTML page of evaluations: tables, figures and diagnostics.

    python -m sense.report RUN                        RUN/report.html
    python -m sense.report RUN OTHER --out both.html  side by side, with the paired table

R makes the page from the files of sense.evaluate. This module adds examples.json, a few adversarial
images of each run.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from .cli import command
from .config.options import Help
from .errors import InputError, MissingFileError
from .evaluation.examples import DEFAULT_N, make_examples, settings_of, write_examples
from .evaluation.present_weights import check_present_weights
from .evaluation.summary import read_evaluation
from .evaluation.targets import open_run
from .run_folder import RunFolder
from .runs import CONFIG

PAGE = "report.html"
R_IS_NEEDED = (
    "R makes the page, and there is no Rscript on the PATH: install R "
    "(https://cran.r-project.org; Debian: apt install r-base-core), then the R package sense by "
    "R CMD INSTALL . in its sources"
)
PACKAGE_IS_NEEDED = (
    "the R package sense makes the page, and {rscript} does not find it: run R CMD INSTALL . in "
    "its sources (the package sense on CRAN is unrelated)"
)
NO_PACKAGE = 3  # exit status of R without the package
# Errors of the R package are printed in one line, without colours.
R_CODE = f"""
if (!requireNamespace("sense", quietly = TRUE) ||
    !"sense_report" %in% getNamespaceExports("sense")) quit(status = {NO_PACKAGE})
arguments <- commandArgs(TRUE)
options(cli.width = 10000L, cli.num_colors = 1L, warn = 1)
tryCatch(
  if (length(arguments)) sense::sense_report(arguments[-1], arguments[1])
  else sense:::check_report_tools(),
  error = function(e) {{
    if (!inherits(e, "rlang_error")) stop(e)  # a bug, not an error of cli_abort()
    message("ERROR ", gsub("[[:space:]]+", " ", conditionMessage(e)))
    quit(status = 1)
  }}
)
"""


@dataclass(frozen=True)
class ReportArguments:
    runs: Annotated[
        tyro.conf.Positional[tuple[Path, ...]],
        tyro.conf.arg(
            metavar="RUN ...",
            help="folders of evaluated runs, or of evaluations",
            help_behavior_hint="(required)",
        ),
    ]
    out: Annotated[
        Path | None,
        Help(
            "path of the page, required for several runs",
            default=f"{PAGE} in the folder of the run",
        ),
    ] = None
    examples: Annotated[int, Help("number of adversarial images per run")] = DEFAULT_N
    model: Annotated[str | None, Help("network of the runs, if it is a MODULE:FACTORY")] = None
    data_dir: Annotated[Path | None, Help("folder of the data of the runs, if it was moved")] = None
    device: Annotated[str, Help("device: cpu, cuda ...; auto uses a GPU if there is one")] = "auto"


def report(
    runs: list[Path],
    out: Path | None = None,
    *,
    examples: int = DEFAULT_N,
    model: str | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
) -> Path:
    """Write the page of evaluated runs and return its path.

    If a network or its data cannot be loaded, adversarial images are omitted with a line on stderr.

    Raises
    ------
    ValueError, FileNotFoundError
        If an evaluation, the path of a page of several runs, R or an R package is missing, or an
        evaluation is one of other weights than its run has now.
    """
    if not runs:
        raise InputError("pass the folder of an evaluation")
    if examples < 0:
        raise InputError(f"examples must be 0 or more, got {examples}")
    contents = [read_evaluation(run) for run in runs]
    for run, content in zip(runs, contents, strict=True):
        RunFolder(run).check()
        check_present_weights(run, content)
    if out is None and len(runs) > 1:
        raise InputError("several runs need the path of the page: --out FILE.html")
    out = out or runs[0] / PAGE
    if not out.parent.is_dir():
        raise MissingFileError(f"no folder {out.parent} for the page: create it, or choose another")
    rscript = find_rscript()
    run_r(rscript)
    if examples:
        for run, content in zip(runs, contents, strict=True):
            add_examples(run, content, examples, model, data_dir, device)
    run_r(rscript, out.resolve(), *(run.resolve() for run in runs))
    return out


def find_rscript() -> str:
    """Return the path of Rscript. Raises FileNotFoundError if R is not installed."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        raise MissingFileError(R_IS_NEEDED)
    return rscript


def run_r(rscript: str, *arguments: Path) -> None:
    """Run R to write the page or, without arguments, to check that it can. Raises ValueError with
    R's message for bad input, RuntimeError for any other error in R."""
    command = [rscript, "-e", R_CODE, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == NO_PACKAGE:
        raise InputError(PACKAGE_IS_NEEDED.format(rscript=rscript))
    if done.returncode:
        messages = [line for line in done.stderr.splitlines() if line.startswith("ERROR ")]
        if not messages:  # a bug: show R's own output
            raise RuntimeError(f"R ended with status {done.returncode}:\n{done.stderr}")
        raise InputError(messages[-1].removeprefix("ERROR "))


def add_examples(
    run: Path,
    content: dict[str, Any],
    n: int,
    model: str | None,
    data_dir: Path | None,
    device: str,
) -> None:
    """Write examples.json into the folder of the run, or print why not."""
    if not (run / CONFIG).exists():
        print(f"{run}: no adversarial images, as this is not a run", file=sys.stderr)
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
            "Make one HTML page about evaluated runs: accuracies with intervals, diagnostics, "
            "figures and, for several runs, paired comparisons. Needs R and the R package sense."
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
