"""The runner of Ray, on a real cluster of two machines with one core each, which are processes
here."""

import os
import signal
import subprocess
import sys

import pytest

from sense.config import from_plain
from sense.errors import InputError
from sense.runs import load, read_metrics, read_run
from sense.sweep import ray_cluster, read_grid
from sense.sweep.log import log_path
from sense.sweep.ray_cluster import RayRunner
from sense.train import fit
from sense.weights import weights_sha256
from waiting import wait_for

GRID = """
recipe = "mnist-demo"
[options]
model = "capacity-1"
train_size = 600
pretrain = 0
epochs = 30
monitor_size = 16
precision = "float32"
device = "cpu"
[grid]
seed = [1, 2]
"""
# The cluster is a process of its own: Ray ends the process that it loses its head in.
CLUSTER = """
import sys
from ray.cluster_utils import Cluster
size = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
cluster.add_node(**size)
print("address", cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "kill head":
        cluster.remove_node(cluster.head_node, allow_graceful=False)
    print("done", flush=True)
cluster.shutdown()
"""


class Cluster:
    """A cluster of two machines."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", CLUSTER],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        )
        while not (line := self.process.stdout.readline()).startswith("address"):
            assert line, "the cluster does not start"
        self.address = line.split()[1]

    def kill_head(self):
        self.process.stdin.write("kill head\n")
        self.process.stdin.flush()
        while not (line := self.process.stdout.readline()).startswith("done"):
            assert line

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(120)


@pytest.fixture
def clusters():
    """Starts clusters, which are stopped at the end."""
    pytest.importorskip("ray")
    started = []

    def begin():
        started.append(Cluster())
        return started[-1]

    yield begin
    for cluster in started:
        cluster.stop()


@pytest.fixture
def sweep(start, tmp_path):
    """Start the sweep of the grid on a cluster; gives the process and the folders of its runs."""
    grid = tmp_path / "grid.toml"
    grid.write_text(GRID)
    out = tmp_path / "runs"
    folders = [out / cell.name for cell in read_grid(grid)]

    def begin(cluster):
        options = ["--out", out, "--runner", "ray", "--ray", cluster.address]
        return start("sense.sweep", grid, *options), folders

    return begin


def check_weights(folders, tmp_path):
    """Those of a training that was never interrupted, in this process."""
    for folder in folders:
        plain = read_run(folder)[1]["config"]
        direct = fit(from_plain({**plain, "data_dir": None}), tmp_path / "direct" / folder.name)
        assert weights_sha256(direct) == weights_sha256(load(folder))


def has_metrics(folders):
    return lambda: all((folder / "metrics.jsonl").exists() for folder in folders)


def parent(process):
    shown = subprocess.run(
        ["ps", "-o", "ppid=", "-p", str(process)], capture_output=True, text=True
    )
    return int(shown.stdout)


@pytest.mark.slow
def test_a_cell_whose_worker_is_killed_is_resumed_on_another(clusters, sweep, tmp_path):
    process, folders = sweep(clusters())
    wait_for(has_metrics(folders), process)
    training = int((folders[0] / ".lock").read_text())
    os.kill(parent(training), signal.SIGKILL)
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "2 cells: 2 trained" in output
    log = log_path(folders[0].parent, folders[0].name).read_text()
    assert f"--resume {folders[0]}" in log
    check_weights(folders, tmp_path)


@pytest.mark.slow
def test_after_the_loss_of_the_head_the_next_call_resumes(clusters, sweep, tmp_path):
    cluster = clusters()
    process, folders = sweep(cluster)
    wait_for(has_metrics(folders), process)
    cluster.kill_head()
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "Failed to connect to GCS" in errors, "Ray ends the process, after a minute"
    assert all(len(read_metrics(folder)) >= 1 for folder in folders)
    process, folders = sweep(clusters())
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert "2 cells: 2 trained" in output
    check_weights(folders, tmp_path)


@pytest.mark.slow
def test_a_signal_stops_the_runs_with_their_checkpoints(clusters, sweep, tmp_path):
    process, folders = sweep(clusters())
    wait_for(has_metrics(folders), process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGINT
    assert errors.splitlines()[-1].startswith("stopped: run the same command to resume in ")
    for folder in folders:
        assert (folder / "checkpoint.pt").exists()
        assert not (folder / ".lock").exists()


@pytest.mark.slow
def test_a_cell_that_no_machine_has_room_for_is_refused(clusters, monkeypatch):
    ray = pytest.importorskip("ray")
    cluster = clusters()
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    try:
        with pytest.raises(InputError, match=r"no machine .* has 2 cores and 0 GPUs, .* 1 and 0"):
            RayRunner(threads=2)
    finally:
        ray.shutdown()


class NoCluster:
    """A stand-in for the package, without a cluster."""

    @staticmethod
    def is_initialized():
        return False

    @staticmethod
    def init(**options):
        raise ConnectionError(f"Could not find any running Ray instance at {options['address']}")


def test_a_missing_cluster_is_named(monkeypatch):
    monkeypatch.setattr(ray_cluster, "_ray", NoCluster)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(
        InputError, match="no cluster of Ray at auto: start one by ray start --head"
    ):
        RayRunner()
    with pytest.raises(InputError, match="no cluster of Ray at there:6379"):
        RayRunner(address="there:6379")
