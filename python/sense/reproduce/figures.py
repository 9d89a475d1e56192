"""Figures 2 to 6, which the R package draws: no network is trained for them."""

import subprocess
from pathlib import Path

from ..errors import InputError, MissingFileError
from ..files import make_folders, read_file, temporary_folder, write_atomically
from ..report import NO_PACKAGE, find_rscript
from .experiment import Experiment

_TITLES = {
    "fig2": "classifiers of example 2",
    "fig3": "decomposition of the loss",
    "fig4": "Three Clusters: Bayes rule and linear classifiers",
    "fig5": "adversarial and standard risk",
    "fig6": "boundaries of R-AT and SENSE-AT on the Three Clusters",
}
FIGURES = tuple(
    Experiment(name, title, f"figure {name.removeprefix('fig')}", ("R",))
    for name, title in _TITLES.items()
)
MAX_BYTES = 10**7  # of a picture
R_IS_NEEDED = (
    "R draws figures 2 to 6, and there is no Rscript on the PATH: install R "
    "(https://cran.r-project.org; Debian: apt install r-base-core), then the R package sense by "
    "R CMD INSTALL . in its sources"
)
PACKAGE_IS_NEEDED = (
    "the R package sense draws figures 2 to 6, and {rscript} does not find it: run R CMD INSTALL . "
    "in its sources (the package sense on CRAN is unrelated)"
)
R_CODE = f"""
arguments <- commandArgs(TRUE)
if (!requireNamespace("sense", quietly = TRUE) ||
    !arguments[1] %in% getNamespaceExports("sense")) quit(status = {NO_PACKAGE})
plot <- getExportedValue("sense", arguments[1])()
ggplot2::ggsave(arguments[2], plot, width = 8, height = 6, dpi = 100)
"""


def draw_figure(name: str, out: Path) -> Path:
    """Draw a figure by R into OUT/NAME.png and return its path.

    Raises
    ------
    FileNotFoundError, ValueError
        If R or its package sense is missing.
    RuntimeError
        For an error in R.
    """
    try:
        rscript = find_rscript()
    except MissingFileError:
        raise MissingFileError(R_IS_NEEDED) from None
    path = out / f"{name}.png"
    function = name.replace("fig", "figure")
    with temporary_folder() as folder:
        drawn = folder / path.name
        command = [rscript, "-e", R_CODE, function, str(drawn)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode == NO_PACKAGE:
            raise InputError(PACKAGE_IS_NEEDED.format(rscript=rscript))
        if done.returncode:
            raise RuntimeError(f"R ended with status {done.returncode}:\n{done.stderr}")
        make_folders(out)
        write_atomically(path, read_file(drawn, MAX_BYTES))
    return path
