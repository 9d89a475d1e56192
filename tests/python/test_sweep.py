"""A sweep: done cells are skipped, begun ones resumed, failed ones reported, the rest is run."""

import csv
import re
import signal
import time

import pytest

from sense.config import from_plain, recipe
from sense.data.idx import write_idx
from sense.data.mnist import FILES
from sense.errors import InputError
from sense.evaluation.summary import read_evaluation
from sense.folder_lock import FolderLock
from sense.runs import load, read_metrics, read_run
from sense.sweep import State, SweepStopped, run_cells, status_of
from sense.sweep import run as run_module
from sense.sweep.command import sweep_main
from sense.sweep.log import LOGS, log_path
from sense.sweep.state import claim_name
from sense.train import TrainingStopped, fit
from sense.weights import weights_sha256
from sweeps import EVALUATION, InThisProcess, cell
from waiting import wait_for

GRID = """
recipe = "mnist-demo"
[options]
model = "capacity-1"
train_size = 200
pretrain = 0
epochs = 2
monitor_size = 16
threads = 1
precision = "float32"
[grid]
method = ["nt", "sense"]
c = [0.3]
[evaluation]
attacks = ["fgsm"]
n = 40
diagnostics = false
"""


@pytest.fixture
def here(monkeypatch):
    return InThisProcess(monkeypatch)


def modules(runner):
    return [words[1] for words in runner.commands]


def states(cells, out):
    return [status_of(one, out).state for one in cells]


def test_cells_are_trained_and_evaluated_once(here, tmp_path):
    cells = [cell(method="nt"), cell(method="nt", seed=2), cell((), method="nt", seed=3)]
    assert states(cells, tmp_path) == 3 * [State.MISSING]
    summary = run_cells(cells, tmp_path, here)
    assert modules(here) == 2 * ["sense.train", "sense.evaluate"] + ["sense.train"]
    assert states(cells, tmp_path) == [State.EVALUATED, State.EVALUATED, State.TRAINED]
    assert str(summary) == "3 cells: 1 trained, 2 evaluated"
    assert not summary.failed
    for one in cells:
        assert read_run(tmp_path / one.name)[0].seed == one.config.seed
    here.commands.clear()
    run_cells([*cells, cell(method="nt", seed=4)], tmp_path, here)
    assert modules(here) == ["sense.train", "sense.evaluate"]


def test_an_evaluation_that_is_requested_later_is_added(here, tmp_path):
    run_cells([cell(method="nt")], tmp_path, here)
    more = cell(({**EVALUATION, "attacks": ["fgsm", "pgd"], "steps": 2}, {"n": 20}), method="nt")
    assert states([more], tmp_path) == [State.TRAINED]
    run_cells([more], tmp_path, here)
    assert modules(here) == ["sense.train", *3 * ["sense.evaluate"]]
    assert states([more], tmp_path) == [State.EVALUATED]
    assert (tmp_path / more.name / "evaluation-2/outcomes.csv").exists()
    run_cells([more, cell(method="nt")], tmp_path, here)
    assert len(here.commands) == 4


def test_a_transfer_attack_from_a_network_that_is_not_trained_yet_is_not_stored(here, tmp_path):
    source, own = cell((), method="nt"), cell((), method="nt", seed=2)
    run_cells([own], tmp_path, here)
    transfer = {"source": tmp_path / source.name, "attacks": ["transfer"], "steps": 2, "n": 20}
    attacked = cell(({**transfer, "diagnostics": False},), method="nt", seed=2)
    assert states([attacked], tmp_path) == [State.TRAINED]
    run_cells([source], tmp_path, here)
    assert states([attacked], tmp_path) == [State.TRAINED]
    run_cells([attacked], tmp_path, here)
    assert states([attacked], tmp_path) == [State.EVALUATED]


def test_a_transfer_attack_is_known_by_the_weights_of_its_source(here, tmp_path):
    def cells(out, *sources):
        transfer = {"attacks": ["transfer"], "steps": 2, "n": 20, "diagnostics": False}
        evaluations = [{**transfer, "source": str(out / one.name)} for one in sources]
        return cell(evaluations, method="nt", seed=2)

    out, moved, link = (tmp_path / name for name in ("runs", "moved", "link"))
    source, other = cell((), method="nt"), cell((), method="r-at")
    run_cells([source, other, cell((), method="nt", seed=2)], out, here)
    run_cells([cells(out, source)], out, here)
    out.rename(moved)
    link.symlink_to(moved)
    for place in (moved, link):
        assert states([cells(place, source)], place) == [State.EVALUATED]
        assert states([cells(place, source, other)], place) == [State.TRAINED]
    here.commands.clear()
    run_cells([cells(link, source, other)], link, here)
    assert [words[1] for words in here.commands] == ["sense.evaluate"]
    assert read_evaluation(moved / cells(out).name / "evaluation-2")["finished"]


def test_a_run_that_was_begun_is_resumed_to_the_same_weights(here, tmp_path):
    begun, whole = cell(()), cell((), seed=1)
    stops = iter([None, None, 15])
    with pytest.raises(TrainingStopped):
        fit(begun.config, tmp_path / "a" / begun.name, stop=lambda: next(stops))
    assert states([begun], tmp_path / "a") == [State.BEGUN]
    run_cells([begun], tmp_path / "a", here)
    assert "--resume" in here.commands[0]
    run_cells([whole], tmp_path / "b", here)
    weights = [weights_sha256(load(tmp_path / place / begun.name)) for place in "ab"]
    assert weights[0] == weights[1]


def test_a_cell_that_fails_is_reported_and_stops_no_other(here, tmp_path, capsys):
    bad, good = cell(lr=1e30), cell(method="nt")
    summary = run_cells([bad, good], tmp_path, here, show=True)
    assert states([bad, good], tmp_path) == [State.FAILED, State.EVALUATED]
    assert summary.failed.keys() == {bad.name}
    reason = summary.failed[bad.name]
    assert reason.startswith("sense.train: ")
    assert "lower --lr (now 1e+30)" in reason
    assert reason.endswith("(exit status 2)")
    assert len(here.commands) == 3, "an error of the input is not tried again in the same call"
    assert f"{bad.name}: failed: {reason}; log: {log_path(tmp_path, bad.name)}" in (
        capsys.readouterr().err
    )
    run_cells([bad, good], tmp_path, here)
    assert len(here.commands) == 4, "the next call tries it again"


def test_a_folder_that_cannot_be_read_is_reported(here, tmp_path):
    damaged, good = cell((), method="nt"), cell((), method="nt", seed=2)
    run_cells([damaged], tmp_path, here)
    (tmp_path / damaged.name / "config.json").write_text("{}")
    summary = run_cells([damaged, good], tmp_path, here)
    assert "config.json is damaged, or was changed" in summary.failed[damaged.name]
    assert states([good], tmp_path) == [State.TRAINED]


def test_what_does_not_fit_is_refused_before_anything_runs(here, tmp_path):
    one = cell(())
    run_cells([one], tmp_path, here)
    other = cell((), c=0.2)
    (tmp_path / one.name).rename(tmp_path / other.name)
    here.commands.clear()
    with pytest.raises(InputError, match=r"other options .*: c \(0\.7, not 0\.2\)\. Remove it"):
        run_cells([other, cell(method="nt")], tmp_path, here)
    with pytest.raises(InputError, match=r"n must be from 1 to 2000, .* got 3000"):
        run_cells([cell(({"n": 3000},))], tmp_path, here)
    with pytest.raises(InputError, match="missing"):
        run_cells(
            [cell(dataset="mnist")], tmp_path, here, data_dirs={"mnist": tmp_path / "missing"}
        )
    for wrong in ({"workers": 0}, {"retries": -1}, {"threads": 0}):
        with pytest.raises(InputError, match=f"{next(iter(wrong))} must be .*, got"):
            run_cells([cell()], tmp_path, here, **wrong)
    with pytest.raises(InputError, match="runner must be one of local"):
        run_cells([cell()], tmp_path, "cloud")
    assert here.commands == []


@pytest.fixture
def mnist(tmp_path, few):
    """A folder with the four files of MNIST, with few images."""

    def write(name, shift=0):
        folder = tmp_path / name
        folder.mkdir()
        for part, file in FILES.items():
            values = getattr(few, part).numpy().astype("uint8").squeeze()
            write_idx(folder / f"{file}.gz", (values + shift * (values.ndim > 1)).astype("uint8"))
        return folder

    return write


def test_data_come_from_the_folder_of_the_data_set(here, tmp_path, mnist, monkeypatch):
    one, out = cell((), dataset="mnist", train_size=None), tmp_path / "runs"
    place = mnist("data")
    monkeypatch.chdir(tmp_path)
    run_cells([one], out, here, data_dirs={"mnist": "data"})
    assert read_run(out / one.name)[0].data_dir == place
    assert "data-dir" not in one.name
    cells = [one, cell((), dataset="mnist", train_size=None, seed=2)]
    other = {"mnist": mnist("other", shift=1)}
    with pytest.raises(InputError, match=r"made with other data: SHA-256 .* Choose another"):
        run_cells(cells, out, here, data_dirs=other)
    with pytest.raises(InputError, match=r"made with other data: SHA-256"):
        run_cells(cells[:1], out, here, data_dirs=other)  # it is done already
    gone = {"mnist": tmp_path / "gone"}
    here.commands.clear()
    assert not run_cells(cells[:1], out, here, data_dirs=gone).failed
    assert not run_cells(cells[:1], out, here).failed
    assert here.commands == []


def test_the_source_of_transfer_must_be_a_run_or_a_cell(here, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for name, message in (
        ("missing", "no folder .*missing, the source of transfer"),
        ("file", "no folder .*file, the source of transfer"),
        ("folder", "the source of transfer is not a run: no config.json"),
    ):
        one = cell([{"attacks": ["transfer"], "source": str(tmp_path / name)}], method="nt")
        with pytest.raises(InputError, match=message):
            run_cells([one], tmp_path / "runs", here)
    assert here.commands == []
    source = cell((), method="nt")
    transfer = {"attacks": ["transfer"], "steps": 2, "n": 20, "diagnostics": False}
    own = {**transfer, "source": str(tmp_path / "runs" / source.name)}
    both = [source, cell([own], method="nt", seed=2)]
    assert not run_cells(both, tmp_path / "runs", here).failed


def test_a_cell_that_another_process_works_on_is_waited_for(here, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run_module, "AGAIN", 0.1)
    one = cell((), method="nt")
    (tmp_path / LOGS).mkdir()
    lock = FolderLock(tmp_path / LOGS, claim_name(one))
    assert states([one], tmp_path) == [State.IN_USE]
    until = time.monotonic() + 0.5

    def release():
        if lock._file is not None and time.monotonic() > until:
            lock.release()

    run_cells([one], tmp_path, here, show=True, stop=release)
    assert states([one], tmp_path) == [State.TRAINED]
    assert f"{one.name}: waits for another process" in capsys.readouterr().out


def test_a_sweep_that_is_stopped_is_resumed_by_the_next_call(here, tmp_path, monkeypatch):
    cells = [cell((), method="nt", seed=seed) for seed in (1, 2)]
    (tmp_path / LOGS).mkdir()
    # They are waited for, so the sweep is stopped while it waits.
    locks = [FolderLock(tmp_path / LOGS, claim_name(one)) for one in cells]
    with pytest.raises(SweepStopped, match="run the same command to resume") as stopped:
        run_cells(cells, tmp_path, here, stop=lambda: signal.SIGTERM)
    assert stopped.value.reason == signal.SIGTERM
    for lock in locks:
        lock.release()
    run_cells(cells, tmp_path, InThisProcess(monkeypatch))
    assert states(cells, tmp_path) == 2 * [State.TRAINED]


# The command


@pytest.fixture
def grid(tmp_path, monkeypatch, here):
    monkeypatch.setattr(run_module, "make_runner", lambda *arguments, **options: here)
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return path


NAMES = [
    "mnist-demo_nt_train-size-200_model-capacity-1_pretrain-0_epochs-2_precision-float32_seed-1",
    "mnist-demo_sense_train-size-200_model-capacity-1_c-0.3_pretrain-0_epochs-2_"
    "precision-float32_seed-1",
]


def test_the_command_runs_lists_and_writes_a_table(grid, tmp_path, capsys, here):
    out, table = tmp_path / "runs", tmp_path / "all.csv"
    sweep_main([str(grid), "--out", str(out), "--list"])
    assert capsys.readouterr().out.splitlines() == [f"{name}: not begun" for name in NAMES]
    assert not out.exists()
    sweep_main([str(grid), "--out", str(out), "--table", str(table)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"[1/2] {NAMES[0]}: done")
    assert lines[1:] == [
        f"[2/2] {NAMES[1]}: done",
        f"2 cells: 2 evaluated in {out}",
        f"table: {table}",
    ]
    sweep_main([str(grid), "--out", str(out), "--list"])
    assert capsys.readouterr().out.splitlines() == [f"{name}: evaluated" for name in NAMES]
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [(row["cell"], row["attack"]) for row in rows] == [
        (name, attack) for name in NAMES for attack in ("natural", "fgsm", "worst")
    ]


def test_the_command_ends_with_an_error_if_a_cell_failed(grid, tmp_path, capsys, here):
    grid.write_text(GRID.replace("[grid]", "lr = 1e30\n[grid]"))
    with pytest.raises(SystemExit) as ended:
        sweep_main([str(grid), "--out", str(tmp_path / "runs")])
    assert ended.value.code == 1
    shown = capsys.readouterr()
    assert shown.out.endswith(f"2 cells: 2 failed in {tmp_path / 'runs'}\n")
    last = shown.err.splitlines()[-1]
    assert "_lr-1e+30_" in last
    assert last.startswith("sense.sweep: mnist-demo_sense_")
    assert last.endswith("(exit status 2)")
    with pytest.raises(SystemExit) as ended:
        sweep_main([str(grid), "--out", str(tmp_path / "runs"), "--table", str(tmp_path / "x.csv")])
    assert ended.value.code == 1
    errors = capsys.readouterr().err.splitlines()
    assert errors[-2].startswith("sense.sweep: mnist-demo_sense_")
    assert errors[-1] == "sense.sweep: no table, as no cell is evaluated"
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize(
    ("table", "evaluated", "more", "message"),
    [
        ("nodir/t.csv", True, [], "no folder .*nodir for the table: create it"),
        (".", True, [], "--table must be a file, .* is a folder"),
        ("t.csv", False, [], "the grid has no evaluation"),
        ("t.csv", True, ["--list"], "--list writes no table"),
    ],
)
def test_a_table_that_cannot_be_written_is_refused_before_anything_runs(
    grid, tmp_path, capsys, here, table, evaluated, more, message
):
    grid.write_text(GRID if evaluated else GRID.partition("[evaluation]")[0])
    options = ["--out", str(tmp_path / "runs"), "--table", str(tmp_path / table)]
    with pytest.raises(SystemExit) as ended:
        sweep_main([str(grid), *options, *more])
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err)
    assert here.commands == []


# Real processes


@pytest.fixture
def sweep(start, tmp_path):
    """Start a sweep of the grid in a process of its own."""

    def begin(text, *options):
        path = tmp_path / "grid.toml"
        path.write_text(text)
        return start("sense.sweep", path, "--out", tmp_path / "runs", *options)

    return begin


def test_local_processes_give_the_weights_of_sense_train(sweep, tmp_path):
    process = sweep(GRID, "--workers", 2)
    output, errors = process.communicate(timeout=600)
    assert (process.returncode, errors) == (0, ""), errors
    assert f"2 cells: 2 evaluated in {tmp_path / 'runs'}" in output
    for name in NAMES:
        _, description = read_run(tmp_path / "runs" / name)
        assert " -m sense.train mnist-demo --train-size 200" in description["provenance"]["command"]
        direct = fit(
            from_plain({**description["config"], "data_dir": None}, recipe("mnist-demo")),
            tmp_path / "direct" / name,
        )
        assert weights_sha256(direct) == weights_sha256(load(tmp_path / "runs" / name))


LONG = GRID.replace("epochs = 2", "epochs = 400").replace('["nt", "sense"]', '["sense"]')


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_runs_with_their_checkpoints(sweep, tmp_path, number):
    process = sweep(LONG)
    runs = tmp_path / "runs"
    wait_for(lambda: any(runs.glob("*/metrics.jsonl")), process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + number
    assert errors.splitlines() == [
        "stopping: each run saves its checkpoint",
        f"stopped: run the same command to resume in {runs}",
    ]
    (run,) = (path.parent for path in runs.glob("*/metrics.jsonl"))
    assert (run / "checkpoint.pt").exists()
    assert not (run / ".lock").exists(), "the training has ended"
    log = (runs / LOGS / f"{run.name}.log").read_text().splitlines()
    assert log[-1].endswith(" stopped")
    assert log[-2] == f"stopped; resume with --resume {run}"
    assert 1 <= len(read_metrics(run)) < 400
