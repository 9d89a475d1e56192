"""torchrun: agents, their processes, signals and lost processes."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from sense.checkpoint import CHECKPOINT, load_checkpoint
from sense.config import from_plain
from sense.runs import METRICS, read_run
from sense.train import fit
from test_resume import outcome
from test_signals import wait_for

OPTIONS = {
    "model": "spy:network",
    "method": "sense",
    "random-start": True,
    "train-size": 1000,
    "lr": 0.05,
    "c": 0.2,
    "eps": 0.15,
    "step-size": 0.08,
    "steps": 2,
    "pretrain": 0,
    "epochs": 4,
    "monitor-size": 32,
    "batch-size": 20,
    "threads": 1,
    "device": "cpu",
}
SPY = """
import os
from pathlib import Path
from torch import nn
from sense.models import CapacityCNN

def network(shape, classes):
    Path("pid-" + os.environ.get("RANK", "alone")).write_text(str(os.getpid()))
    return nn.Sequential(nn.Dropout(0.1), CapacityCNN(2, shape, classes))
"""
TWO = ("--standalone", "--nproc-per-node", 2)


@pytest.fixture
def torchrun(start, tmp_path, monkeypatch):
    (tmp_path / "spy.py").write_text(SPY)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # otherwise torchrun prints that it sets it

    def torchrun(*arguments, agent=TWO):
        return start("torch.distributed.run", *agent, "-m", "sense.train", *arguments)

    return torchrun


def options(**changes):
    chosen = OPTIONS | {name.replace("_", "-"): value for name, value in changes.items()}
    return [text for name, value in chosen.items() for text in (f"--{name}", value)]


def kill(folder, rank, number):
    os.kill(int((folder / f"pid-{rank}").read_text()), number)


def finish(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return output


@pytest.mark.parametrize("rank", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_killed_process_ends_the_job(tmp_path, torchrun, monkeypatch, rank):
    run = tmp_path / "run"
    process = torchrun(*options(), "--out", run)
    wait_for(run / METRICS, process)
    kill(tmp_path, rank, signal.SIGKILL)
    killed = time.monotonic()
    _, errors = process.communicate(timeout=120)
    assert time.monotonic() - killed < 60  # seconds on a busy machine: no timeout was waited for
    assert process.returncode == 1
    assert f"sense.train: process {1 - rank} of 2 lost the others" in errors
    assert "resume with --resume" in errors
    epoch = load_checkpoint(run)["progress"]["epoch"]
    assert 1 <= epoch < 4

    monkeypatch.chdir(tmp_path)
    config = read_run(run)[0]
    fit(config, run, resume=True, model="spy:network")
    assert len(outcome(run)[1]) == 4


@pytest.fixture
def unstopped(tmp_path, torchrun):
    output = finish(torchrun(*options(), "--out", tmp_path / "unstopped"))
    assert output.splitlines()[-1] == f"run: {tmp_path / 'unstopped'}"
    assert output.count("\n") == 5  # one line per epoch
    return outcome(tmp_path / "unstopped")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("to", ["torchrun", "one process"])
def test_a_signal_stops_all_processes_and_they_are_resumed_bit_for_bit(
    tmp_path, torchrun, unstopped, number, to
):
    run = tmp_path / "run"
    process = torchrun(*options(), "--out", run)
    wait_for(run / METRICS, process)
    if to == "torchrun":
        process.send_signal(number)
    else:
        kill(tmp_path, 1, number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert errors.count(f"stopped; resume with --resume {run}") == 1
    assert "lost the others" not in errors
    assert (run / CHECKPOINT).exists()
    finish(torchrun("--resume", run, "--model", "spy:network"))
    assert outcome(run) == unstopped


@pytest.mark.slow
def test_killed_processes_are_resumed_bit_for_bit(tmp_path, torchrun, unstopped):
    run = tmp_path / "run"
    for rank in (0, 1):
        arguments = (
            ["--resume", run, "--model", "spy:network"] if rank else [*options(), "--out", run]
        )
        process = torchrun(*arguments)
        if not rank:
            wait_for(run / METRICS, process)
        else:
            process.stdout.readline()  # the first epoch is complete
        kill(tmp_path, rank, signal.SIGKILL)
        process.communicate(timeout=120)
    finish(torchrun("--resume", run, "--model", "spy:network"))
    assert outcome(run) == unstopped


@pytest.mark.slow
@pytest.mark.parametrize("meeting", ["static", "c10d"])
def test_two_agents_as_on_two_machines(tmp_path, torchrun, unstopped, meeting):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    agents = []
    for rank in range(2):
        meet = (
            "--rdzv-id",
            "test",
            "--rdzv-backend",
            "c10d",
            "--rdzv-endpoint",
            f"127.0.0.1:{port}",
            "--local-addr",
            "127.0.0.1",
        )
        if meeting == "static":
            meet = ("--node-rank", rank, "--master-addr", "127.0.0.1", "--master-port", port)
        agent = ("--nnodes", 2, "--nproc-per-node", 1, *meet)
        agents.append(torchrun(*options(), "--out", tmp_path / "run", agent=agent))
    outputs = sorted(finish(agent) for agent in agents)
    assert outputs[0] == ""
    assert outputs[1].splitlines()[-1] == f"run: {tmp_path / 'run'}"
    assert outcome(tmp_path / "run") == unstopped


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--c", 2], "c must be a probability, from 0 to 1, got 2.0"),
        (["--resume", "/nowhere"], "sense.train: no config.json in /nowhere: pass the folder"),
        (["--dataset", "mnist", "--data-dir", "/nowhere"], "sense.train: no train-images-idx3"),
        (["--device", "cuda:0"], "sense.train: device 'cuda:0' cannot be shared by 2 processes"),
        (["--model", "nothing:here"], "sense.train: model nothing:here: cannot import"),
        (["--lr", 1e30, "--epochs", 1], "sense.train: the loss became nan"),
    ],
)
def test_an_error_is_printed_once(torchrun, arguments, message):
    process = torchrun(*arguments)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert errors.count(message) == 1
    assert errors.count("sense.train: ") == message.startswith("sense.train: ")


@pytest.mark.slow
def test_a_run_folder_is_not_overwritten_by_several(tmp_path, torchrun):
    quick = options(epochs=1, train_size=200)
    finish(torchrun(*quick, "--out", tmp_path / "run"))
    before = outcome(tmp_path / "run")
    _, errors = torchrun(*quick, "--out", tmp_path / "run").communicate(timeout=120)
    assert errors.count("holds a run already: resume it with --resume") == 1
    assert outcome(tmp_path / "run") == before


@pytest.mark.slow
def test_without_out_all_processes_use_one_folder(tmp_path, torchrun):
    """Its name has the time, which differs between processes."""
    output = finish(torchrun(*options(epochs=1, train_size=200)))
    (run,) = (tmp_path / "runs").iterdir()
    assert output.splitlines()[-1] == f"run: {Path('runs') / run.name}"
    assert read_run(run)[0] == from_plain(read_run(run)[1]["config"])
