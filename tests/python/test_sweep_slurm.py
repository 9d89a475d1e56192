"""The runner of Slurm, on this machine: jobs of submitit's local executor, with its signals."""

import os
import shutil
import signal
import subprocess

import pytest

from sense.errors import InputError, MissingPackageError
from sense.runs import load, read_metrics
from sense.sweep import State, SweepStopped, run_cells, status_of
from sense.sweep import slurm as slurm_module
from sense.sweep.log import log_path
from sense.sweep.slurm import SlurmRunner
from sense.train import fit
from sense.weights import weights_sha256
from sweeps import EVALUATION, cell
from waiting import wait_for

pytest.importorskip("submitit")
# submitit's local executor leaves its processes to be collected.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    from conftest import ROOT

    monkeypatch.setenv("PYTHONPATH", str(ROOT / "python"))


@pytest.fixture
def jobs(tmp_path):
    """Makes runners; what still runs at the end is stopped."""
    made = []

    def make(**options):
        made.append(SlurmRunner(tmp_path, cluster="local", **options))
        return made[-1]

    yield make
    for runner in made:
        for _, job in runner._jobs:
            job.cancel()


def children(process):
    """The numbers of the children of a process."""
    found = subprocess.run(["pgrep", "-P", str(process)], capture_output=True, text=True)
    return list(map(int, found.stdout.split()))


def direct(one, folder):
    return weights_sha256(fit(one.config, folder / one.name))


def test_a_job_gives_the_weights_of_sense_train(jobs, tmp_path):
    one = cell(method="nt")
    summary = run_cells([one], tmp_path / "runs", jobs())
    assert status_of(one, tmp_path / "runs").state == State.EVALUATED, summary.failed
    assert weights_sha256(load(tmp_path / "runs" / one.name)) == direct(one, tmp_path / "direct")


class Events:
    """A `stop` that acts once as soon as the run of a cell has an epoch."""

    def __init__(self, run, act):
        self.run, self.act, self.result = run, act, None

    def __call__(self):
        if self.act is not None and (self.run / "metrics.jsonl").exists():
            act, self.act = self.act, None
            self.result = act()
        return self.result


LONG = {"epochs": 30, "train_size": 600}


@pytest.mark.slow
def test_a_job_at_its_time_limit_is_queued_again_and_resumed(jobs, tmp_path):
    one, runner = cell((), **LONG), jobs()

    def limit():
        (child,) = children(int(runner._jobs[0][1].job_id))
        os.kill(child, signal.SIGUSR2)

    interrupt = Events(tmp_path / one.name, limit)
    summary = run_cells([one], tmp_path, runner, stop=interrupt)
    assert interrupt.act is None
    assert not summary.failed
    log = log_path(tmp_path, one.name).read_text()
    assert f"--resume {tmp_path / one.name}" in log
    assert weights_sha256(load(tmp_path / one.name)) == direct(one, tmp_path / "direct")


@pytest.mark.slow
def test_a_job_that_is_killed_is_reported_and_resumed_by_the_next_call(jobs, tmp_path, capsys):
    killed, other, runner = cell((), **LONG), cell((), method="nt"), jobs()

    def kill():
        for task, job in runner._jobs:
            if task.cell.name == killed.name:
                (child,) = children(int(job.job_id))
                os.kill(child, signal.SIGKILL)

    summary = run_cells(
        [killed, other], tmp_path, runner, stop=Events(tmp_path / killed.name, kill)
    )
    assert status_of(other, tmp_path).state == State.TRAINED
    assert set(summary.failed) == {killed.name}
    assert "ended" in summary.failed[killed.name]
    # The command got SIGTERM from its end, and saves its checkpoint.
    wait_for(lambda: status_of(killed, tmp_path).state != State.IN_USE)
    before = len(read_metrics(tmp_path / killed.name))
    assert 1 <= before < LONG["epochs"]
    summary = run_cells([killed, other], tmp_path, jobs())
    assert not summary.failed
    assert weights_sha256(load(tmp_path / killed.name)) == direct(killed, tmp_path / "direct")


@pytest.mark.slow
def test_a_sweep_that_is_stopped_cancels_its_jobs(jobs, tmp_path):
    one, runner = cell((), epochs=2000), jobs()
    with pytest.raises(SweepStopped):
        run_cells([one], tmp_path, runner, stop=Events(tmp_path / one.name, lambda: signal.SIGINT))
    wait_for(lambda: status_of(one, tmp_path).state != State.IN_USE)
    assert 1 <= len(read_metrics(tmp_path / one.name)) < 2000
    assert (tmp_path / one.name / "checkpoint.pt").exists()


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError, match="needs the command sbatch, which is not here"):
        run_cells([cell()], tmp_path, "slurm")

    def none():
        raise MissingPackageError("needs submitit")

    monkeypatch.setattr(slurm_module, "_submitit", none)
    with pytest.raises(MissingPackageError):
        SlurmRunner(tmp_path, cluster="local")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parameters": {"slurm_partion": "gpu"}}, "submitit does not take .*slurm_partion"),
        ({"parameters": {"timeout_min": "long"}}, "submitit does not take .*timeout_min"),
        ({"gpus": 0.5}, "gpus must be a whole number with slurm, got 0.5"),
    ],
)
def test_options_that_submitit_does_not_take_are_refused(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        SlurmRunner(tmp_path, cluster="local", **options)


def test_the_options_reach_slurm(tmp_path, monkeypatch):
    """What sbatch would get, from a stand-in for it."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name, text in {
        "sbatch": 'cp "$1" "$0.script"; echo Submitted batch job 12',
        "srun": "true",
        "scancel": 'echo "$@" > "$0.called"',
        "sacct": "true",
    }.items():
        (binaries / name).write_text(f"#!/bin/sh\n{text}\n")
        (binaries / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{binaries}:{os.environ['PATH']}")
    runner = SlurmRunner(
        tmp_path, 3, 2, gpus=1, parameters={"slurm_partition": "fast", "timeout_min": 60}
    )
    from sense.sweep.work import Task

    tasks = [Task(cell((EVALUATION,), seed=seed), tmp_path) for seed in range(5)]
    runner.start(tasks)
    script = (binaries / "sbatch.script").read_text()
    for line in (
        "--array=0-4%3",
        "--cpus-per-task=2",
        "--gpus-per-node=1",
        "--partition=fast",
        "--time=60",
        "--job-name=sense",
        "--signal=USR2@120",
    ):
        assert f"#SBATCH {line}\n" in script
    runner.close()
    assert "12_" in (binaries / "scancel.called").read_text()
