import csv
import sys
from pathlib import Path

import pytest

import sense
import sense.bridge.sweeps as module
from sense import bridge
from sense.bridge.sweeps import lines_of_output, whole_numbers
from sense.reproduce.experiments import EXPERIMENTS
from sense.reproduce.run import Written
from sense.sweep import State, Status, Summary, SweepStopped
from sense.sweep.state import Progress

CELL = {"recipe": "mnist-demo", "options": {"method": "nt", "epochs": 1.0, "c": 0.5}}


def test_whole_numbers_are_integers():
    options = {"n": 20.0, "eps": 0.3, "curve": [0.0, 0.1], "attacks": ["pgd"], "cascade": True}
    plain = whole_numbers(options)
    assert plain == options
    assert [type(plain["n"]), type(plain["curve"][0])] == [int, int]
    assert [type(plain["eps"]), type(plain["cascade"])] == [float, bool]


def test_each_complete_line_of_the_output_is_given_to_the_function(capsys):
    lines = []
    with lines_of_output(lines.append):
        print("one")
        print("two", end="")
        print(" three", file=sys.stderr)
        print("not complete", end="")
    print("after")
    assert lines == ["one", "two three"]
    assert capsys.readouterr().out == "after\n"


def test_without_a_function_the_output_is_as_it_was(capsys):
    with lines_of_output(None):
        print("one")
    assert capsys.readouterr().out == "one\n"


def test_an_interrupted_sweep_says_so(tmp_path, monkeypatch):
    def stopped(cells, out, **options):
        assert [cell.config.epochs for cell in cells] == [1]
        assert options["workers"] == 1
        raise SweepStopped(tmp_path, 2)

    monkeypatch.setattr(module, "run_cells", stopped)
    answer = bridge.call("sweep", {"cells": [CELL], "out": str(tmp_path), "workers": 1})
    assert answer == {"value": {"stopped": True}}


def test_equal_cells_have_one_name_and_say_which_options_they_use(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "run_cells", lambda cells, out, **options: None)
    cells = [CELL, {**CELL, "options": {**CELL["options"], "c": 0.7}}]
    first, second = bridge.call("sweep", {"cells": cells, "out": str(tmp_path)})["value"]["cells"]
    assert first == second
    assert (first["state"], first["evaluated"], first["failure"]) == ("not begun", None, None)
    assert "epochs" in first["used"]
    assert "c" not in first["used"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ({"options": {"cc": 1}}, "unknown option cc"),
        ({"options": {"seed": 1}, "evaluations": [{"attacks": ["nonsense"]}]}, "nonsense"),
    ],
)
def test_a_wrong_cell_is_an_input_error(tmp_path, cell, message):
    answer = bridge.call("sweep", {"cells": [cell], "out": str(tmp_path / "out")})
    assert message in answer["input_error"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("threads", "threads cannot be a column"),
        ("data_dir", "data_dir cannot be a column"),
        ("c", "c is a column of the grid, but no method there uses it (nt)"),
    ],
)
def test_a_column_that_changes_no_result_is_refused(tmp_path, column, message):
    cells = [{"recipe": "mnist", "options": {"method": "nt"}}]
    arguments = {"cells": cells, "out": str(tmp_path / "out"), "columns": ["method", column]}
    assert message in bridge.call("sweep", arguments)["input_error"]
    assert not (tmp_path / "out").exists()


def test_an_experiment_is_trained_in_the_folder_of_its_scale_and_its_tables_are_written(
    tmp_path, monkeypatch
):
    calls = []
    failed = Status(State.FAILED, Progress(False, False, 0, 1, ()), "no memory")

    def trained(names, options, **arguments):
        calls.append((names, options, arguments["data_dirs"]))
        return [Summary({"a-network": failed}, {"a-network": "no memory"})]

    monkeypatch.setattr(module, "train_and_attack", trained)

    def written(name, options):
        calls.append(name)
        return Written(tmp_path, [], {"a-network": "half of it", "another": "it is damaged"})

    monkeypatch.setattr(module, "write_tables", written)
    arguments = {"name": "mnist", "scale": "smoke", "out": str(tmp_path), "seeds": 2}
    answer = bridge.call("reproduce", {**arguments, "data_dirs": {"mnist": "here"}})
    failed = {"a-network": "no memory", "another": "it is damaged"}
    assert answer == {"value": {"stopped": False, "failed": failed}}
    (names, options, folders), written = calls
    assert (names, written, folders) == (["mnist"], "mnist", {"mnist": Path("here")})
    assert (options.scale, options.seeds) == ("smoke", 2)
    assert (options.runs, options.out) == (tmp_path / "smoke", tmp_path)


def test_if_every_network_failed_the_reasons_are_given(tmp_path, monkeypatch):
    """There is no table then."""
    summaries = [Summary({}, {"a-network": "no memory"})]
    monkeypatch.setattr(module, "train_and_attack", lambda names, options, **settings: summaries)
    arguments = {"name": "mnist", "scale": "smoke", "out": str(tmp_path)}
    answer = bridge.call("reproduce", arguments)
    assert answer == {"value": {"stopped": False, "failed": {"a-network": "no memory"}}}
    summaries.clear()
    assert "no cell of mnist is stored" in bridge.call("reproduce", arguments)["input_error"]


def test_an_interrupted_experiment_says_so(tmp_path, monkeypatch):
    def stopped(names, options, **arguments):
        raise SweepStopped(tmp_path, 2)

    monkeypatch.setattr(module, "train_and_attack", stopped)
    answer = bridge.call("reproduce", {"name": "mnist", "scale": "smoke", "out": str(tmp_path)})
    assert answer == {"value": {"stopped": True}}


def test_the_list_of_experiments_that_r_reads_is_that_of_python():
    path = Path(sense.__file__).parent / "reproduce/experiments.csv"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"name": one.name, "place": one.place, "title": one.title} for one in EXPERIMENTS.values()
    ]
