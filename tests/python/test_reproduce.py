"""`python -m sense.reproduce`: every experiment at the scale smoke, for real."""

import csv
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from reproduced import row
from sense.data.cifar10 import FOLDER, TEST, TRAIN
from sense.errors import InputError
from sense.reproduce import command
from sense.reproduce import run as run_module
from sense.reproduce.command import reproduce_main
from sense.reproduce.experiments import EXPERIMENTS, get_experiment, plan_cells
from sense.reproduce.kept import kept_cells
from sense.reproduce.results import read_result, write_result
from sense.reproduce.run import Options, cells_to_do, train_and_attack, write_tables
from sense.sweep import Cell, Summary
from sweeps import InThisProcess

TRAINED = [name for name, experiment in EXPERIMENTS.items() if experiment.plans]
# Two of them are enough for every run of the tests; the others take a minute together.
FAST = ("fig8", "cifar10")


@pytest.fixture(scope="module")
def cifar10(tmp_path_factory):
    """120 + 40 images in the format of CIFAR10."""
    folder = tmp_path_factory.mktemp("cifar10") / FOLDER
    folder.mkdir()
    for seed, name in enumerate((*TRAIN, *TEST)):
        draw = np.random.default_rng(seed)
        labels = draw.integers(0, 10, 40, dtype=np.uint8)
        planes = draw.integers(0, 256, (40, 3072), dtype=np.uint8) // 4 + labels[:, None] * 18
        content = np.concatenate([labels[:, None], planes], 1).astype(np.uint8)
        (folder / name).write_bytes(content.tobytes())
    return folder


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, cifar10):
    """`reproduced(name)` runs an experiment once, in this process."""
    root = tmp_path_factory.mktemp("reproduce")
    done = {}

    def reproduce(name):
        if name not in done:
            options = Options("smoke", None, root / "smoke", root)
            with pytest.MonkeyPatch.context() as patch:
                runner = InThisProcess(patch)
                summaries = train_and_attack(
                    [name], options, runner=runner, data_dirs={"cifar10": cifar10}
                )
            assert not any(summary.failed for summary in summaries)
            written = write_tables(name, options)
            assert written.unreadable == {}
            done[name] = SimpleNamespace(
                path=written.path, claims=written.claims, commands=runner.commands, options=options
            )
        return done[name]

    return reproduce


@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in TRAINED],
)
def test_an_experiment_is_trained_attacked_and_described(reproduced, name):
    found = reproduced(name)
    result = read_result(found.path.parent, f"{name}-smoke")
    plan = get_experiment(name).plans["smoke"]
    assert {row.cell for row in result.rows} == {cell.name for cell in plan_cells(plan)}
    for one in result.rows:
        assert 0 <= one.lower <= one.k / one.n <= one.upper <= 1
        if not one.attack_label.startswith("PGD") or name not in ("fig8", "fig9"):
            assert one.correct.count("1") == one.k
    description = result.description
    assert description["missing"] == []
    assert description["command"] == f"python -m sense.reproduce {name} --scale smoke"
    assert description["provenance"]["commit"]
    assert {one["option"] for one in description["shortened"]} >= {"epochs", "train_size"}
    assert [claim["verdict"] for claim in description["claims"]] == ["open"] * len(found.claims)
    cells = json.loads((found.path.parent / f"{name}-smoke-cells.json").read_text())
    assert set(cells) == {row.cell for row in result.rows}
    assert all(cell["evaluations"] for cell in cells.values())
    for cell in cells.values():
        assert cell["weights_sha256"]
        assert cell["command"].startswith("python -m sense.train ")


def test_what_is_done_is_not_done_again(reproduced, cifar10):
    before = reproduced("cifar10")
    assert before.commands
    with pytest.MonkeyPatch.context() as patch:
        runner = InThisProcess(patch)
        train_and_attack(["cifar10"], before.options, runner=runner, data_dirs={"cifar10": cifar10})
    assert runner.commands == []


def test_transfer_attacks_come_from_each_other_network(reproduced):
    with reproduced("cifar10").path.open() as file:
        rows = [(r["method"], r["attack"], r["source"]) for r in csv.DictReader(file)]
    matrix = {row for row in rows if row[2]}
    assert matrix == {
        ("trades", "pgd", "trades"),
        ("trades", "transfer", "r-at"),
        ("r-at", "pgd", "r-at"),
        ("r-at", "transfer", "trades"),
    }


def test_figure_8_has_its_curves(reproduced):
    folder = reproduced("fig8").path.parent
    loss = list(csv.DictReader((folder / "fig8-smoke-loss.csv").read_text().splitlines()))
    assert len({line["image"] for line in loss}) == 20
    assert {line["seed"] for line in loss} == {"1"}
    assert {line["step"] for line in loss} == {"0", "1", "2", "3", "4"}
    accuracy = list(csv.DictReader((folder / "fig8-smoke-accuracy.csv").read_text().splitlines()))
    last = max(accuracy, key=lambda line: (int(line["restart"]), int(line["step"])))
    row = read_result(folder, "fig8-smoke").rows[-1]
    assert (row.attack_label, row.k) == ("PGD-4 x 2", int(last["k"]))


def test_without_a_name_all_are_listed(capsys):
    reproduce_main([])
    listed = capsys.readouterr().out
    for experiment in EXPERIMENTS.values():
        assert f"{experiment.name} " in listed
        assert experiment.place in listed
    assert "needs CIFAR10" in listed


def test_an_unknown_name_is_refused_before_any_work(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        reproduce_main(["table8", "--scale", "smoke"])
    assert "table7" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stored"], "--stored without a name"),
        (["--hours"], "--hours without a name"),
        (["--adopt", "mine"], "--adopt without a name"),
        (["--compress", "--seeds", "7"], "--seeds, --compress without a name"),
        (["--scale", "smoke", "--markdown"], "--scale without a name"),
        (["--workers", "3"], "--workers without a name"),
        (["fig8", "--markdown"], "got the name fig8: leave out one"),
        (["all", "tabel7"], "tabel7"),
        (["--extend"], "--extend without a name"),
        (["fig8", "--hours", "--stored"], "--hours and --stored exclude each other"),
        (["fig8", "--hours", "--adopt", "mine"], "--adopt and --hours exclude each other"),
        (["fig8", "--adopt", "mine", "--stored"], "--adopt and --stored exclude each other"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused_before_any_work(
    tmp_path, capsys, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        reproduce_main(words)
    assert exit_.value.code != 0
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def with_one_unreadable(reproduced, tmp_path):
    """The networks of cifar10, of which one has no options any more: options and its name."""
    before = reproduced("cifar10")
    runs = tmp_path / "runs"
    shutil.copytree(before.options.runs, runs)
    name = next(row.cell for row in read_result(before.path.parent, "cifar10-smoke").rows)
    (runs / name / "config.json").write_text("{}")
    return Options("smoke", None, runs, tmp_path / "out"), name


def test_a_cell_that_cannot_be_read_is_missing_and_the_others_are_in_the_table(
    with_one_unreadable, capsys
):
    options, name = with_one_unreadable
    words = ["cifar10", "--scale", "smoke", "--stored", "--runs", str(options.runs)]
    with pytest.raises(SystemExit) as exit_:
        reproduce_main([*words, "--out", str(options.out)])
    assert exit_.value.code == 1
    assert f"sense.reproduce: {name} cannot be read: " in capsys.readouterr().err
    result = read_result(options.out, "cifar10-smoke")
    cells = {row.cell for row in result.rows}
    assert len(cells) == 1
    assert name not in cells
    assert name in result.description["missing"]


def test_hours_name_a_cell_that_cannot_be_read(with_one_unreadable, capsys):
    options, name = with_one_unreadable
    reproduce_main(["cifar10", "--scale", "smoke", "--hours", "--runs", str(options.runs)])
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith(name)]
    assert "its run cannot be read: " in line
    assert lines[-1].startswith("2 cells: ")


def test_if_no_cell_can_be_read_the_reason_is_given(with_one_unreadable):
    options, name = with_one_unreadable
    for folder in options.runs.iterdir():
        if folder.name not in (name, "logs"):
            shutil.rmtree(folder)
    with pytest.raises(InputError, match=f"no cell of cifar10 is stored .*{name}: "):
        write_tables("cifar10", options)


def test_a_network_that_failed_does_not_stop_the_transfer_attacks_of_the_others(
    tmp_path, monkeypatch
):
    """With two seeds of two networks, one fails: it is not attacked, and nothing from it."""
    calls = []

    def run(cells, out, **settings):
        calls.append(cells)
        return Summary({}, {cells[0].name: "no memory"} if len(calls) == 1 else {})

    monkeypatch.setattr(run_module, "run_cells", run)
    summaries = train_and_attack(["cifar10"], Options("smoke", 2, tmp_path, tmp_path))
    networks, attacked = calls
    assert len(summaries) == 2
    assert {cell.name for cell in attacked} == {cell.name for cell in networks[1:]}
    by_name = {cell.name: cell.evaluations for cell in attacked}
    sources = {
        name: [one["source"] for one in found if "source" in one] for name, found in by_name.items()
    }
    assert sorted(map(len, sources.values())) == [0, 1, 1]
    assert not any(networks[0].name in one for found in sources.values() for one in found)


def test_tables_without_a_trained_network_are_refused(tmp_path):
    with pytest.raises(InputError, match="no cell of fig8 is stored"):
        write_tables("fig8", Options("smoke", None, tmp_path, tmp_path))


def test_missing_cells_are_listed(reproduced, tmp_path, capsys):
    """With two seeds, the stored networks of one are half of them."""
    smoke = reproduced("cifar10").options.runs
    command = ["cifar10", "--scale", "smoke", "--seeds", "2", "--stored"]
    reproduce_main([*command, "--runs", str(smoke), "--out", str(tmp_path)])
    description = json.loads((tmp_path / "cifar10-smoke.json").read_text())
    assert len(description["missing"]) == 2
    assert all(name.endswith("seed-2") or "_" in name for name in description["missing"])
    assert description["command"].endswith("--seeds 2")


@pytest.fixture
def one_network(tmp_path):
    """The options of table6, whose only network at the scale smoke is in a result without its
    run folder."""
    options = Options("smoke", None, tmp_path / "runs", tmp_path / "out", extend=True)
    (cell,) = plan_cells(get_experiment("table6").plans["smoke"])
    common = {"cell": cell.name, "experiment": "table6", "scale": "smoke"}
    attacks = {"natural": "11", "PGD-100 x 5": "01"}
    rows = [row(text, **common, attack_label=label) for label, text in attacks.items()]
    described = {
        cell.name: {
            "data": "cifar10",
            "data_sha256": "0" * 64,
            "seconds_training": 3.0,
            "seconds_attacks": 2.0,
            "evaluations": [dict(one) for one in cell.evaluations],
        }
    }
    write_result(options.out, "table6-smoke", rows, {}, described, {}, True)
    return options, cell, described


def test_a_network_of_the_result_is_kept_without_its_run_folder(one_network, monkeypatch):
    options, _, described = one_network
    monkeypatch.setattr(run_module, "run_cells", lambda *_, **__: pytest.fail("nothing to train"))
    assert cells_to_do(get_experiment("table6"), options) == []
    assert train_and_attack(["table6"], options) == []
    written = write_tables("table6", options)
    result = read_result(options.out, "table6-smoke")
    assert [one.correct for one in result.rows] == ["11", "01"]
    assert (result.description["missing"], result.description["networks"]) == ([], 1)
    assert result.description["seconds"] == {"training": 3.0, "attacks": 2.0}
    assert json.loads((options.out / "table6-smoke-cells.json").read_text()) == described
    assert written.path == options.out / "table6-smoke.csv"


@pytest.mark.parametrize(
    "changed",
    [
        {"extend": False},
        {"seeds": 2},
        {"scale": "cpu"},
    ],
)
def test_only_networks_of_the_result_are_kept_and_only_on_request(
    one_network, monkeypatch, changed
):
    options, cell, _ = one_network
    asked = []

    def run(cells, out, **settings):
        asked.extend(cells)
        return Summary({}, {})

    monkeypatch.setattr(run_module, "run_cells", run)
    train_and_attack(["table6"], replace(options, **changed))
    assert asked
    assert (cell.name in {one.name for one in asked}) == (changed == {"extend": False})


@pytest.mark.parametrize("other", [{"n": 3}, {"source": "x"}, {"convergence": 20}])
def test_a_network_without_all_of_its_evaluations_or_whose_weights_are_needed_is_not_kept(
    one_network, other
):
    options, cell, _ = one_network
    more = Cell(cell.recipe, cell.options, [*cell.evaluations, {**cell.evaluations[0], **other}])
    assert kept_cells([cell], options.out, "table6-smoke").keys() == {cell.name}
    assert kept_cells([cell, more], options.out, "table6-smoke") == {}
    assert kept_cells([cell], options.out, "table5-smoke") == {}


def test_hours_are_shown_and_nothing_is_run(reproduced, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runs = str(reproduced("cifar10").options.runs)
    reproduce_main(["cifar10", "--scale", "smoke", "--seeds", "2", "--hours", "--runs", runs])
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith("done") for line in lines[:-1]] == [True, False, True, False]
    assert lines[-1].startswith("4 cells: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("scale", "is_shown"), [("smoke", False), ("cpu", True)])
def test_the_time_is_shown_before_long_work(tmp_path, capsys, monkeypatch, scale, is_shown):
    """Nothing is trained here."""
    monkeypatch.setattr(command, "train_and_attack", lambda *arguments, **options: [])
    with pytest.raises(SystemExit):
        reproduce_main(["fig8", "--scale", scale, "--runs", str(tmp_path), "--out", str(tmp_path)])
    shown = capsys.readouterr().out
    assert ("1 cells: " in shown and "of one core, at most" in shown) == is_shown


def test_a_run_is_adopted_by_the_command(reproduced, tmp_path, capsys):
    (cell,) = plan_cells(get_experiment("fig8").plans["smoke"])
    mine, runs = tmp_path / "mine", tmp_path / "runs"
    shutil.copytree(reproduced("fig8").options.runs / cell.name, mine)
    reproduce_main(["fig8", "--scale", "smoke", "--adopt", str(mine), "--runs", str(runs)])
    assert str(runs / cell.name) in capsys.readouterr().out
    assert (runs / cell.name / "model.safetensors").exists()
    assert not mine.exists()


def test_a_result_that_cannot_be_made_is_a_failure(tmp_path, capsys):
    command = ["fig8", "--scale", "smoke", "--stored", "--runs", str(tmp_path)]
    with pytest.raises(SystemExit) as exit_:
        reproduce_main([*command, "--out", str(tmp_path)])
    assert exit_.value.code == 1
    assert "sense.reproduce: fig8: no cell of fig8 is stored" in capsys.readouterr().err


def test_tables_can_be_gzipped(reproduced, tmp_path):
    before = reproduced("fig8").options
    options = Options("smoke", None, before.runs, tmp_path, compress=True)
    path = write_tables("fig8", options).path
    assert path.name == "fig8-smoke.csv.gz"
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".gz"] * 5 + [".json"]
    assert read_result(tmp_path, "fig8-smoke").rows == read_result(before.out, "fig8-smoke").rows
