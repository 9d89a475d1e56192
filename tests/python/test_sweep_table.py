"""The table of a sweep: a row per run and attack, with the options that differ."""

import pytest

from sense.config import Config
from sense.errors import InputError
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.summary import read_evaluation
from sense.statistics import wilson
from sense.sweep import accuracies
from sense.sweep.table import COLUMNS, WORST_LABEL, write_table
from sense.train import fit
from sweeps import EVALUATION, cell

CELLS = [
    cell(method="r-at"),
    cell(method="sense", c=0.3, lr=0.01),
    cell(method="sense", c=0.5, lr=0.01, seed=2),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    for one in CELLS:
        fit(one.config, out / one.name)
        evaluate_run(out / one.name, one.settings()[0])
    evaluate_run(out / CELLS[0].name, cell([{**EVALUATION, "n": 20}]).settings()[0])
    return out


def test_a_row_per_run_and_attack_with_the_options_that_differ(runs):
    rows = accuracies(runs, CELLS)
    options = ["method", "c", "lr", "seed"]
    numbers = ["k", "n", "accuracy", "lower", "upper"]
    named = ["cell", *options, "evaluation", "attack", "attack_label", "eps", *numbers]
    assert list(rows[0]) == named
    keys = [(row["method"], row["c"], row["lr"], row["seed"], row["evaluation"]) for row in rows]
    first, second = ("r-at", None, 0.03, 1, ""), ("r-at", None, 0.03, 1, "evaluation-2")
    assert keys == [
        *3 * [first],
        *3 * [second],
        *3 * [("sense", 0.3, 0.01, 1, "")],
        *3 * [("sense", 0.5, 0.01, 2, "")],
    ]
    attacks = [("natural", "natural"), ("fgsm", "FGSM"), ("worst", WORST_LABEL)]
    assert [(row["attack"], row["attack_label"]) for row in rows] == 4 * attacks
    assert [row["n"] for row in rows] == 3 * [40] + 3 * [20] + 6 * [40]


def test_the_radius_of_training_has_a_column_of_its_own(tmp_path):
    for eps in (0.2, 0.25):
        one = cell(method="nt", eps=eps, eval_eps=0.3)
        fit(one.config, tmp_path / one.name)
        evaluate_run(tmp_path / one.name, one.settings()[0])
    rows = [row for row in accuracies(tmp_path) if row["attack"] == "fgsm"]
    assert {row["training_eps"] for row in rows} == {0.2, 0.25}
    assert {row["eps"] for row in rows} == {0.3}
    columns = {*Config.__annotations__} - {"seed", "method"}
    assert not {COLUMNS.get(name, name) for name in columns} & {*rows[0]} - {"training_eps"}


def test_the_numbers_are_those_of_the_evaluations(runs):
    for row in accuracies(runs, CELLS):
        stored = read_evaluation(runs / row["cell"] / row["evaluation"])["accuracy"][row["attack"]]
        interval = wilson(row["k"], row["n"])
        assert (row["k"], row["n"]) == (stored["k"], stored["n"])
        assert row["accuracy"] == row["k"] / row["n"]
        assert (row["lower"], row["upper"]) == pytest.approx((interval.lower, interval.upper))


def test_without_cells_all_runs_of_the_folder_have_rows(runs):
    def by_cell(rows):
        return sorted(rows, key=lambda row: row["cell"])

    assert by_cell(accuracies(runs)) == by_cell(accuracies(runs, CELLS))
    assert {row["cell"] for row in accuracies(runs, CELLS[1:])} == {one.name for one in CELLS[1:]}
    assert accuracies(runs, [cell(method="nt")]) == []


def test_a_table_without_rows_or_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no evaluation yet"):
        write_table(tmp_path / "all.csv", [])
    with pytest.raises(InputError, match=r"no folder .*: pass the folder of a sweep"):
        accuracies(tmp_path / "missing")
