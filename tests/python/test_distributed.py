"""Real processes that train together, compared with a single one."""

import json
from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import nn

from processes import together
from sense import training_setup
from sense.checkpoint import load_checkpoint, load_weights
from sense.config import Config
from sense.config.options import MethodName
from sense.data import ImageData
from sense.data.mnist import load_sample
from sense.distributed import ErrorElsewhere, OneProcess, SeveralProcesses, join_group
from sense.errors import InputError
from sense.methods import Batch, NaturalTraining, Step
from sense.train import TrainingStopped, fit
from test_resume import after, outcome

TINY = Config(
    dataset="arrays",
    method="nt",
    pretrain=2,
    epochs=2,
    batch_size=13,
    lr=0.05,
    steps=3,
    step_size=0.05,
    eps=0.1,
    c=0.2,
    monitor_size=32,
    threads=1,
    device="cpu",
)
RUNS = {
    "nt": {},
    "r-at": {},
    "sense": {},
    "sense, random start": {"method": "sense", "random_start": True, "stage_test": "start"},
    "trades": {},
    "mart": {},
    "mma": {},
    "iaat": {"warmup": 1},
    "sense-trades": {"c": 0.6},
    "fgsm-rs": {},
    "n-fgsm": {},
    "free": {"replays": 3, "fgsm_step": 0.06},
    "adam, crops": {"method": "nt", "optimizer": "adam", "lr": 0.003, "augment": "reflect"},
    "batch norm": {"method": "sense", "random_start": True},
    "skipped layers": {"method": "trades"},
    "ema, batch norm": {"method": "r-at", "ema": 0.9},
    "awp, batch norm": {"method": "sense-trades", "c": 0.6, "awp": 0.02},
    "awp, skipped layers": {"method": "r-at", "awp": 0.02},
}
FOUR = (
    "iaat",
    "mma",
    "awp, batch norm",
    "sense, random start",
    "batch norm",
)  # the last process has no image


class Wide(nn.Module):
    """Computes in float64, where rounding cannot change the steps of an image."""

    def __init__(self, network):
        super().__init__()
        self.network = network.double()

    def forward(self, x):
        return self.network(x.double())


class Skipped(nn.Module):
    """Leaves out its layer in every second forward pass of training, as stochastic depth does."""

    def __init__(self):
        super().__init__()
        self.layer, self.passes = nn.Conv2d(4, 4, 1), 0

    def forward(self, x):
        self.passes += self.training
        return x if self.training and self.passes % 2 else self.layer(x)


def network(name):
    """One that is confident on some images after a few steps, as `capacity-2` is not."""
    torch.manual_seed(5)
    layers = {
        "batch norm": nn.BatchNorm2d(4),
        "dropout": nn.Dropout(0.3),
        "skipped layers": Skipped(),
    }
    layer = layers.get(name.split(", ")[-1], nn.Identity())
    return Wide(
        nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2), layer, nn.ReLU(), nn.Flatten(), nn.Linear(676, 10)
        )
    )


def some_images(n=55):
    """Batches of 13 and one of 3: shards of 7 and 6, 2 and 1 images."""
    sample = load_sample()
    return ImageData(
        name="some",
        classes=sample.classes,
        train_x=sample.train_x[:n],
        train_y=sample.train_y[:n],
        test_x=sample.test_x[:40],
        test_y=sample.test_y[:40],
    )


def config(name):
    return replace(TINY, **{"method": name if name in get_args(MethodName) else "nt"} | RUNS[name])


def train_all(rank, folder, names):
    data = some_images()
    for name in names:
        model = fit(config(name), folder / name, data=data, model=network(name))
        torch.save(model.state_dict(), folder / name / f"model-of-{rank}.pt")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folders = {2: tmp_path_factory.mktemp("two"), 4: tmp_path_factory.mktemp("four")}
    together(train_all, 2, folders[2], tuple(RUNS))
    together(train_all, 4, folders[4], FOUR)
    return folders


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    folder, data = tmp_path_factory.mktemp("single"), some_images()
    for name in RUNS:
        fit(config(name), folder / name, data=data, model=network(name))
    return folder


def test_every_method_is_compared():
    assert set(get_args(MethodName)) <= set(RUNS)


@pytest.mark.parametrize(
    ("size", "name"), [(2, name) for name in RUNS] + [(4, name) for name in FOUR]
)
def test_the_result_is_that_of_a_single_process(trained, single, size, name):
    folder = trained[size]
    expected = load_weights(single / name)
    for rank in range(size):
        weights = torch.load(folder / name / f"model-of-{rank}.pt")
        torch.testing.assert_close(weights, expected, rtol=0, atol=1e-8)
    for line, one in zip(outcome(folder / name)[1], outcome(single / name)[1], strict=True):
        assert line.keys() == one.keys()
        for key, value in one.items():
            close = pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            assert (key, line[key]) == (key, close)
        if "stage_a" in one and one["epoch"] == 4:
            assert min(one["stage_a"], one["stage_b"], one["stage_c"]) > 0
    states = [load_checkpoint(path / name)["method"] for path in (folder, single)]
    torch.testing.assert_close(*states, rtol=0, atol=1e-8)
    if states[1]:  # a number per image
        assert len(states[1]["values"].unique()) > 3


def stop_and_resume(rank, folder):
    """Only the second process is told to stop, twice; then both are resumed."""
    data, options = some_images(), replace(TINY, method="sense", random_start=True)
    fit(options, folder / "whole", data=data, model=network("dropout"))
    for piece, steps in enumerate((2, 7)):
        stop = after(steps) if rank == 1 else lambda: None
        with pytest.raises(TrainingStopped) as caught:
            fit(
                options,
                folder / "pieces",
                data=data,
                model=network("dropout"),
                stop=stop,
                resume=piece > 0,
            )
        assert caught.value.reason == 2
        torch.rand(rank + 3)
    received = []
    fit(
        options,
        folder / "pieces",
        data=data,
        model=network("dropout"),
        resume=True,
        on_epoch=received.append,
    )
    assert len(received) == (3 if rank == 0 else 0)


def test_all_processes_stop_after_the_same_step_and_are_resumed_bit_for_bit(tmp_path):
    together(stop_and_resume, 2, tmp_path)
    assert outcome(tmp_path / "pieces") == outcome(tmp_path / "whole")
    assert json.loads((tmp_path / "whole/config.json").read_text())["provenance"]["processes"] == 2
    # A single process can resume the run.
    checkpoint = load_checkpoint(tmp_path / "pieces")
    own = [state["random"] for state in checkpoint["random_of_each"]]
    assert len(own) == 2
    assert not torch.equal(*own)  # each process has its own dropout masks
    more = replace(TINY, method="sense", random_start=True)
    fit(more, tmp_path / "pieces", data=some_images(), model=network("dropout"), resume=True)


def fail(rank, folder):
    """An error of one process is raised in both."""
    processes = join_group()
    assert (processes.rank, processes.size, processes.is_first) == (rank, 2, rank == 0)

    def raise_in(bad, error):
        if rank == bad:
            raise error
        return rank

    assert processes.on_first_process(lambda: raise_in(1, ValueError("no"))) == 0
    assert processes.on_every_process(lambda: raise_in(2, ValueError("no"))) == rank
    for bad, meet in (
        (0, processes.on_first_process),
        (0, processes.on_every_process),
        (1, processes.on_every_process),
    ):
        message = "process 1 of 2: full disk" if bad == 1 and rank == 0 else "full disk"
        with pytest.raises(InputError) as caught:
            meet(lambda bad=bad: raise_in(bad, InputError("full disk")))
        assert (str(caught.value), isinstance(caught.value, ErrorElsewhere)) == (message, rank == 1)
        with pytest.raises(Exception, match="no such key") as caught:  # with its traceback
            meet(lambda bad=bad: raise_in(bad, KeyError("no such key")))
        assert type(caught.value) is (KeyError if rank == bad else ErrorElsewhere)
    with pytest.raises(SystemExit, match="2"):
        processes.on_first_process(lambda: raise_in(0, SystemExit(2)))

    class Broken(NaturalTraining):
        def __call__(self, model, batch, epoch):
            step = super().__call__(model, batch, epoch)
            broken = rank == 1 and epoch == 1  # the fourth of all
            return replace(step, loss=step.loss * (float("nan") if broken else 1))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_setup, "build_method", lambda config, n, *_: Broken(config, n))
        with pytest.raises(FloatingPointError, match=r"loss became nan after 3.00 epochs"):
            fit(TINY, folder / "broken", data=some_images(), model=network("nt"))
    with pytest.raises((ValueError, OSError), match="holds a run already"):
        fit(TINY, folder / "broken", data=some_images(), model=network("nt"))
    other, new = some_images(55 + rank), folder / "new"
    with pytest.raises(ValueError, match="the images must be the same: process 0 has"):
        fit(TINY, new, data=other, model=network("nt"))
    with pytest.raises(ValueError, match="device 'cuda:0' cannot be shared by 2 processes"):
        fit(replace(TINY, device="cuda:0"), new, data=some_images(), model=network("nt"))


def test_an_error_of_one_process_ends_all(tmp_path):
    together(fail, 2, tmp_path)
    assert load_checkpoint(tmp_path / "broken")["progress"]["epoch"] == 3
    assert not (tmp_path / "new").exists()


def exchange(rank, folder):
    processes = join_group()
    assert processes.sum([1.0, rank, 2.0**40 + rank]) == [3, 3, 3 * 2.0**40 + 3]
    assert processes.gather({"a": torch.tensor([rank]), "b": "x"})[2]["a"].item() == 2
    assert processes.agree(None) is None
    assert processes.agree(15 if rank == 1 else None) == 15
    assert processes.agree(rank or None) == 1

    # Four images: shards of 2, 1 and 1; the gradient is that of the mean over the four.
    layers = nn.ModuleList([nn.Linear(2, 1).double(), nn.Linear(1, 1)])
    layers.register_buffer("drifting", torch.zeros(1))
    layers.register_buffer("constant", torch.tensor([1 / 3]))
    processes.synchronize(layers, 1, torch.device("cpu"))
    compute_step = processes.attach(layers)
    x = torch.arange(8.0).double().view(4, 2)

    def method(model, batch, epoch):
        return Step(model[0](batch.x).square().mean())

    for _ in range(3):
        layers.zero_grad()
        with processes.whole_batch(torch.tensor([3, 0, 2, 1]), layers) as shard:
            step = compute_step(method, Batch(x[shard.index], None, shard.index), 0.0)
            layers.drifting += rank
        processes.backward(step.loss, shard)
        expected = torch.autograd.grad(layers[0](x).square().mean(), layers[0].weight)[0]
        torch.testing.assert_close(layers[0].weight.grad, expected)
        assert layers[1].weight.grad is None
    assert layers.drifting.item() == pytest.approx(3 * (0.25 * 1 + 0.25 * 2))
    assert layers.constant.item() == torch.tensor(1 / 3).item()


def test_numbers_gradients_and_buffers_are_exchanged(tmp_path):
    together(exchange, 3, tmp_path)


def shards(rank, folder, size):
    processes, model = join_group(), nn.Linear(1, 1)
    processes.synchronize(model, 1, torch.device("cpu"))
    found = {}
    for n in (3, 4, 5, 25, 26):
        with processes.whole_batch(torch.arange(n).flip(0), model) as shard:
            found[n] = (shard.index, shard.images, shard.weight, shard.first)
    torch.save(found, folder / f"shards-{rank}.pt")


@pytest.mark.parametrize("size", [2, 5])
def test_shards_make_the_batch(tmp_path, size):
    together(shards, size, tmp_path, size)
    of_each = [torch.load(tmp_path / f"shards-{rank}.pt") for rank in range(size)]
    for n in of_each[0]:
        batch, found = torch.arange(n).flip(0), [shards[n] for shards in of_each]
        assert torch.equal(torch.cat([index[:images] for index, images, *_ in found]), batch)
        assert sum(weight for *_, weight, _ in found) == pytest.approx(1)
        for index, _, _, first in found:
            assert len(index) >= 1
            assert torch.equal(batch[first : first + len(index)], index)


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join_group() == OneProcess()


@pytest.mark.parametrize(
    ("name", "cuda", "chosen"),
    [
        ("cpu", True, "cpu"),
        ("auto", False, "cpu"),
        ("auto", True, "cuda:1"),
        ("cuda", True, "cuda:1"),
    ],
)
def test_each_process_has_its_own_device(monkeypatch, name, cuda, chosen):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.cuda.set_device", lambda device: None)
    monkeypatch.setattr("sense.distributed.choose_device", torch.device)
    assert SeveralProcesses(3, 4, 1, 2).choose_device(name) == torch.device(chosen)


def test_devices_for_one_process_are_refused():
    with pytest.raises(ValueError, match="--device cuda gives each its own"):
        SeveralProcesses(1, 2, 1, 2).choose_device("cuda:0")
    with pytest.raises(ValueError, match="need the device cpu or cuda, got 'mps'"):
        SeveralProcesses(1, 2, 1, 2).choose_device("mps")


def test_cores_are_divided_among_processes(monkeypatch):
    monkeypatch.setattr("sense.distributed.available_cores", lambda: 7)
    four, nine = (
        SeveralProcesses(0, 4, 0, 2),
        SeveralProcesses(0, 9, 0, 9),
    )  # two of the four on this machine
    cases = [(four, None, 3), (four, 2, 2), (nine, None, 1), (OneProcess(), None, 1)]
    for processes, given, used in cases:
        torch.set_num_threads(1)
        processes.set_threads(given)
        assert torch.get_num_threads() == used
