"""Rows of a table of `sense.reproduce`, and cells that are trained in this process."""

from pathlib import Path

from sense.evaluation.stored_evaluation import evaluate_run
from sense.reproduce.table import Row
from sense.statistics import wilson
from sense.sweep import Cell
from sense.train import fit


def row(correct: str = "1111100000", **values) -> Row:
    """A row with the outcomes of its images: by default, of SENSE-AT with c = 0.7 under PGD."""
    k, n = correct.count("1"), len(correct)
    found = wilson(k, n)
    method = values.get("method", "sense")
    is_sense = method == "sense"
    default = {
        "experiment": "fig7",
        "scale": "cpu",
        "method": method,
        "c": 0.7 if is_sense else None,
        "boundary": "revert" if is_sense else None,
        "start": "natural" if is_sense else None,
        "stage_test": "natural" if is_sense else None,
        "model": "capacity-1",
        "lr": 0.01,
        "epochs": 1,
        "batch_size": 50,
        "train_size": 100,
        "seed": 1,
        "attack": "pgd",
        "attack_label": "PGD-100 x 5",
        "source": None,
        "k": k,
        "n": n,
        "accuracy": found.estimate,
        "lower": found.lower,
        "upper": found.upper,
        "collapsed": False,
        "stage_c": None,
        "stage_b_gap": None,
        "seconds_training": 1.0,
        "correct": correct,
        "images": "the same",
    }
    options = default | values
    named = ("method", "c", "boundary", "start", "model", "lr", "seed")
    own = [str(options[name]) for name in named]
    return Row(**{"cell": "_".join([*own, options["stage_test"] or ""])} | options)


def train_here(cell: Cell, runs: Path) -> Path:
    """Train and evaluate a cell in this process, which takes a second."""
    folder = runs / cell.name
    fit(cell.config, folder)
    for settings in cell.settings():
        evaluate_run(folder, settings)
    return folder
