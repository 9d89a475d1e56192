"""The tidy table of `sense.reproduce`: from runs, and to CSV and back."""

import json
from dataclasses import replace

import pytest

import sweeps
from reproduced import row, train_here
from sense.errors import InputError
from sense.evaluation.outcomes import read_outcomes
from sense.reproduce.results import read_result, write_result
from sense.reproduce.table import COLUMNS, read_table, rows_of_cell, table_text
from sense.runs import read_metrics
from sense.statistics import wilson
from sense.sweep import Cell

OPTIONS = {**sweeps.OPTIONS, "lr": 0.1}
SHORT = {"n": 40, "steps": 2, "restarts": 1, "diagnostics": False}


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A cell with two evaluations, of 40 and of 20 images, its folder, and its rows."""
    runs = tmp_path_factory.mktemp("runs")
    evaluations = [{**SHORT, "attacks": ["pgd", "fgsm"]}, {**SHORT, "n": 20, "steps": 3}]
    cell = Cell("mnist-demo", {**OPTIONS, "c": 0.2}, evaluations)
    folder = train_here(cell, runs)
    return cell, folder, rows_of_cell("fig7", "cpu", cell, runs)


def test_there_is_a_row_for_each_attack_and_one_without(stored):
    _, _, rows = stored
    assert [(one.attack, one.attack_label, one.n) for one in rows] == [
        ("natural", "natural", 40),
        ("pgd", "PGD-2 x 1", 40),
        ("fgsm", "FGSM", 40),
        ("pgd", "PGD-3 x 1", 20),
    ]


def test_counts_are_those_of_the_outcomes(stored):
    _, folder, rows = stored
    outcomes = [one.correct for one in read_outcomes(folder) if one.attack == "fgsm"]
    assert rows[2].correct == "".join(map(str, outcomes))
    assert rows[2].k == sum(outcomes)
    assert (rows[2].k, rows[2].n, rows[2].lower, rows[2].upper) == wilson(sum(outcomes), 40)


def test_options_and_metrics_of_the_training_are_columns(stored):
    cell, folder, rows = stored
    metrics = read_metrics(folder)
    last = metrics[-1]
    for one in rows:
        assert (one.cell, one.method, one.c, one.boundary) == (cell.name, "sense", 0.2, "revert")
        assert (one.start, one.stage_test, one.model) == ("natural", "natural", "capacity-1")
        assert (one.epochs, one.train_size, one.seed, one.lr) == (2, 200, 1, 0.1)
        assert one.stage_c == last["stage_c"] / 200
        assert one.seconds_training == round(sum(line["seconds"] for line in metrics), 1)


def test_options_that_a_method_does_not_use_are_empty(tmp_path):
    cell = Cell("mnist-demo", {**OPTIONS, "method": "nt"}, [{**SHORT, "attacks": ["natural"]}])
    train_here(cell, tmp_path)
    (one,) = rows_of_cell("fig7", "cpu", cell, tmp_path)
    assert (one.c, one.boundary, one.start, one.stage_test) == (None,) * 4
    assert (one.stage_c, one.stage_b_gap) == (None, None)
    assert ",nt,,,,,capacity-1," in table_text([one])


@pytest.mark.parametrize(("lr", "collapsed"), [(1e-6, True), (0.05, False)])
def test_a_network_that_predicts_one_class_has_collapsed(tmp_path, lr, collapsed):
    """With a tiny learning rate the network stays as it was drawn, and predicts one class."""
    evaluation = {"attacks": ["natural"], "n": 500, "diagnostics": False}
    options = {**OPTIONS, "lr": lr, "method": "nt", "train_size": 1000, "batch_size": 10}
    cell = Cell("mnist-demo", options, [evaluation])
    train_here(cell, tmp_path)
    predictions = [one.prediction for one in read_outcomes(tmp_path / cell.name)]
    assert (len(set(predictions)) == 1) == collapsed
    (one,) = rows_of_cell("fig7", "cpu", cell, tmp_path)
    assert one.collapsed == collapsed


def test_a_table_is_read_as_it_was_written():
    rows = [row(), row(method="nt", attack="natural", collapsed=True, stage_c=0.25)]
    text = table_text(rows)
    assert text.splitlines()[0] == ",".join(COLUMNS)
    found = read_table(text, "a file")
    for one, two in zip(found, rows, strict=True):
        assert (one.accuracy, one.lower) == (round(two.accuracy, 4), round(two.lower, 4))
        assert replace(one, lower=two.lower, upper=two.upper) == two


def test_a_damaged_table_is_refused():
    text = table_text([row()])
    with pytest.raises(InputError, match="a file must have the columns"):
        read_table(text.replace("boundary", "border"), "a file")
    with pytest.raises(InputError, match=r"a file is damaged at seed = 'one'"):
        read_table(text.replace(",1,pgd", ",one,pgd"), "a file")


@pytest.mark.parametrize("compress", [False, True])
def test_a_result_keeps_the_outcome_of_each_image(tmp_path, compress):
    rows = [row("1" * 7 + "0" * 6), row("0" * 13, seed=2), row("0001", attack_label="x")]
    description = {"claims": [], "experiment": "fig7"}
    write_result(tmp_path, "fig7-cpu", rows, description, {"a": 1}, {"loss": "x\n"}, compress)
    found = read_result(tmp_path, "fig7-cpu")
    assert [one.correct for one in found.rows] == [one.correct for one in rows]
    assert {one.images for one in found.rows} == {"the same"}
    assert found.description == description
    assert json.loads((tmp_path / "fig7-cpu.json").read_text()) == description


@pytest.mark.parametrize("compress", [False, True])
def test_a_new_result_removes_all_files_of_the_old_one(tmp_path, compress):
    """Gzipped beside plain, and curves that the new one does not have. Others stay."""
    curves = {"loss": "x\n", "accuracy": "x\n"}
    write_result(tmp_path, "x-cpu", [row()], {}, {}, curves, compress)
    write_result(tmp_path, "x-wrn-cpu", [row()], {}, {}, curves, compress)
    others = {path.name for path in tmp_path.glob("x-wrn-cpu*")}
    write_result(tmp_path, "x-cpu", [row(seed=2)], {}, {}, {}, not compress)
    gz = "" if compress else ".gz"
    new = {f"x-cpu{end}{gz}" for end in (".csv", "-outcomes.csv", "-cells.json")}
    assert {path.name for path in tmp_path.iterdir()} == others | new | {"x-cpu.json"}
    assert [one.seed for one in read_result(tmp_path, "x-cpu").rows] == [2]


@pytest.mark.parametrize("name", ["x.csv", "x-outcomes.csv"])
def test_a_table_that_is_there_twice_is_refused(tmp_path, name):
    write_result(tmp_path, "x", [row()], {}, {}, {}, compress=True)
    (tmp_path / name).write_text(table_text([row(seed=2)]))
    with pytest.raises(InputError, match=f"{name}.gz are both there"):
        read_result(tmp_path, "x")


def test_outcomes_that_do_not_belong_to_the_table_are_refused(tmp_path):
    write_result(tmp_path, "x", [row()], {}, {}, {})
    path = tmp_path / "x-outcomes.csv"
    path.write_text(path.read_text().replace("3e0", "3e1"))
    with pytest.raises(InputError, match="does not agree with the table"):
        read_result(tmp_path, "x")
