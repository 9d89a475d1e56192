"""On a GPU attacks find the images of the CPU, and every precision trains the same network."""

import copy
import json
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from networks import conv_network, images_and_labels
from recorders import unexpected
from sense.attacks import deepfool, fgsm, pgd, sensible_with_stages
from sense.attacks.modes import attack_mode
from sense.attacks.output_checks import skip_value_checks
from sense.checkpoint import load_weights
from sense.evaluation.evaluate import evaluate
from sense.evaluation.settings import Settings
from sense.precision import graphed
from sense.runs import METRICS, read_run
from sense.train import TrainingStopped, fit

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
ATTACKS = {
    "fgsm": partial(fgsm, eps=0.1),
    "pgd": partial(pgd, eps=0.1, step_size=0.03, steps=5, random_start=False),
    "deepfool": partial(deepfool, eps=0.1),
}
SENSIBLE = {"eps": 0.3, "step_size": 0.05, "steps": 8, "c": 0.7}


@pytest.fixture(scope="module")
def pair():
    """A network and images in float64, on the CPU and on the GPU."""
    network = conv_network().eval()
    x, y = images_and_labels(network, 40, 1, 8, 8)
    there = conv_network().eval()
    there.load_state_dict(network.state_dict())
    return (network, x, y), (there.cuda(), x.cuda(), y.cuda())


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_finds_the_same_images(pair, name):
    here, there = (ATTACKS[name](*arguments) for arguments in pair)
    assert there.device.type == "cuda"
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-9)


@pytest.mark.parametrize("boundary", ["revert", "bisect"])
def test_the_sensible_attack_finds_the_same_images_and_stages(pair, boundary):
    here, there = (
        sensible_with_stages(*arguments, boundary=boundary, **SENSIBLE) for arguments in pair
    )
    assert torch.equal(there.stages.cpu(), here.stages)
    assert here.stages.unique().numel() > 1
    torch.testing.assert_close(there.x_adv.cpu(), here.x_adv, rtol=0, atol=1e-9)


def test_an_evaluation_finds_the_same_accuracies(pair):
    settings = Settings(attacks=("fgsm", "pgd"), eps=0.1, step_size=0.03, steps=5, restarts=2)
    here, there = (evaluate(*arguments, settings).accuracy for arguments in float32(pair))
    assert there.keys() == here.keys()
    for name, proportion in there.items():
        assert proportion.k == pytest.approx(here[name].k, abs=2), name


def float32(pair):
    return [(copy.deepcopy(network).float(), x.float(), y) for network, x, y in pair]


@pytest.fixture
def config(tiny):
    return replace(tiny, device="cuda", pretrain=1, epochs=1, precision="float32")


@pytest.mark.parametrize(
    ("change", "atol"),
    [
        ({"cuda_graphs": "off"}, 1e-3),
        ({"cuda_graphs": "on"}, 1e-3),
        ({"cuda_graphs": "compact"}, 1e-3),
        ({"cuda_graphs": "on", "method": "r-at"}, 1e-3),
        ({"cuda_graphs": "on", "method": "trades"}, 1e-3),
        ({"cuda_graphs": "auto", "method": "nt"}, 1e-3),
        ({"precision": None}, 0.1),
        ({"precision": "auto"}, 0.1),
        ({"precision": "bfloat16", "cuda_graphs": "off"}, 0.1),
        ({"precision": "bfloat16", "cuda_graphs": "compact"}, 0.1),
        ({"precision": "bfloat16", "cuda_graphs": "on", "method": "r-at"}, 0.1),
    ],
    ids=str,
)
def test_training_gives_the_network_of_the_cpu(tmp_path, few, config, change, atol):
    """Up to rounding, which is larger in half precision."""
    fit(replace(config, **change), tmp_path / "gpu", data=few)
    method = change.get("method", config.method)
    fit(replace(config, device="cpu", method=method), tmp_path / "cpu", data=few)
    found, expected = load_weights(tmp_path / "gpu"), load_weights(tmp_path / "cpu")
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=atol)
    assert abs(natural(tmp_path / "gpu") - natural(tmp_path / "cpu")) <= 8  # of 32


def test_a_run_stores_the_name_of_the_gpu(tmp_path, few, config):
    fit(config, tmp_path, data=few)
    assert read_run(tmp_path)[1]["provenance"]["gpu"] == torch.cuda.get_device_name("cuda")


def natural(folder):
    return json.loads((folder / METRICS).read_text().splitlines()[-1])["natural_correct"]


def test_a_stopped_run_is_resumed(tmp_path, few, config):
    whole = fit(config, tmp_path / "whole", data=few)
    calls = iter(range(100))
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "part", data=few, stop=lambda: 15 if next(calls) == 8 else None)
    resumed = fit(config, tmp_path / "part", data=few, resume=True)
    for mine, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-4)


# CUDA graphs. tests/python/test_graphs.py and test_sensible_graphs.py have the same with a recorder
# that works on a CPU.


def recorded(network, compacts=False):
    """The network in CUDA graphs, which are recorded at the first use; a note is an error."""
    found = graphed(network)
    found.graphs.record_at, found.graphs.compacts = 1, compacts
    found.graphs.note = unexpected
    return found


@pytest.mark.parametrize("compacts", [False, True])
@pytest.mark.parametrize(
    "change",
    [{}, {"boundary": "bisect"}, {"random_start": True}, {"revert": False}, {"norm": 2}],
    ids=str,
)
def test_the_sensible_attack_in_graphs_is_the_eager_one(pair, change, compacts):
    """In float64, up to the rounding of sums: 1e-9 of a pixel."""
    _, (network, x, y) = pair
    graphed = recorded(network, compacts)
    options = {**SENSIBLE, **change}
    for seed in range(3):
        results = []
        for model in (network, graphed):
            torch.manual_seed(seed)
            with skip_value_checks():
                results.append(sensible_with_stages(model, x, y, **options))
        eager, found = results
        assert torch.equal(found.stages, eager.stages)
        torch.testing.assert_close(found.x_adv, eager.x_adv, rtol=0, atol=1e-9)
        torch.testing.assert_close(
            found.stage_b_gap, eager.stage_b_gap, rtol=0, atol=1e-9, equal_nan=True
        )
        x, y = x.flip(0), y.flip(0)
    assert graphed.graphs.recorded


def test_the_sensible_attack_in_graphs_agrees_in_float32(pair):
    """At most one image in twenty ends elsewhere: its loss is within rounding of log(1/c)."""
    (network, x, y) = float32(pair)[1]
    results = []
    for model in (network, recorded(network, compacts=True)):
        with skip_value_checks():
            results.append(sensible_with_stages(model, x, y, **SENSIBLE))
    eager, found = results
    same = (found.x_adv - eager.x_adv).abs().flatten(1).amax(1) < 1e-5
    assert same.float().mean() >= 0.95
    assert (found.stages == eager.stages).float().mean() >= 0.95


@pytest.fixture
def without_dropout(pair):
    """The network on the GPU without dropout, since each recorded pass draws masks of its own."""
    _, (network, x, y) = pair
    network = copy.deepcopy(network)
    network[3].p = 0.0
    return network, x, y


@pytest.mark.parametrize("mode", ["evaluation", "training", "updating"])
def test_pgd_in_graphs_is_the_eager_one(without_dropout, mode):
    network, x, y = without_dropout
    results = []
    for model in (network, recorded(copy.deepcopy(network))):
        model.train()
        torch.manual_seed(1)
        with skip_value_checks():
            x_adv = pgd(model, x, y, eps=0.1, step_size=0.03, steps=5, mode=mode)
        results.append([x_adv, *(buffer.double() for buffer in model.buffers())])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_training_in_graphs_gives_the_same_weights_and_buffers(without_dropout):
    network, x, y = without_dropout
    results = []
    for model in (network, recorded(copy.deepcopy(network))):
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        for _ in range(5):
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()
        results.append([*model.parameters(), *(buffer.double() for buffer in model.buffers())])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def test_several_passes_in_graphs_wait_for_their_backward_pass(pair):
    """As in TRADES, and several backward passes of one pass, as in DeepFool."""
    _, (network, x, _) = pair
    gradients = []
    for model in (network, recorded(network)):
        loss = (model(x) * model(x.flip(0)).sigmoid()).sum() + model(x).pow(2).sum()
        found = list(torch.autograd.grad(loss, list(network.parameters())))
        z = x.clone().requires_grad_()
        with attack_mode(model, "evaluation"):
            logits = model(z)
            found += [
                torch.autograd.grad(logits[:, k].sum(), z, retain_graph=True)[0] for k in range(3)
            ]
        gradients.append(found)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_dropout_in_graphs_draws_new_masks_that_a_seed_repeats(pair):
    _, (network, x, _) = pair
    model = recorded(copy.deepcopy(network)).train()
    outputs = []
    for _ in range(2):
        torch.manual_seed(5)
        with torch.no_grad():
            outputs.append([model(x) for _ in range(3)])
    assert not torch.equal(outputs[0][0], outputs[0][1])
    assert all(torch.equal(a, b) for a, b in zip(outputs[0][1:], outputs[1][1:], strict=True))


def test_graphs_see_weights_that_are_loaded(pair):
    _, (network, x, _) = pair
    model, other = recorded(copy.deepcopy(network)), conv_network(seed=5).cuda().eval()
    with torch.no_grad():
        before = model.eval()(x)
        model.network.load_state_dict(other.state_dict())
        torch.testing.assert_close(model(x), other(x), rtol=0, atol=1e-9)
    assert not torch.equal(before, other(x))


class Reads(nn.Module):
    """Python reads a value of the images."""

    def __init__(self, kind):
        super().__init__()
        self.layer, self.kind = nn.Linear(4, 3), kind

    def forward(self, x):
        if self.kind == "cpu":
            x = x.cpu().to(x.device)
        return self.layer(x) * (1 if self.kind == "cpu" else float(x.sum() > -1))


@pytest.mark.parametrize("kind", ["cpu", "number"])
def test_a_network_that_waits_is_computed_as_usual_with_one_note(kind):
    notes = []
    model = graphed(Reads(kind).cuda())
    model.graphs.record_at, model.graphs.note = 1, notes.append
    for n in (4, 4, 6):
        x = torch.rand(n, 4, device="cuda")
        torch.testing.assert_close(model(x), model.network(x))
        model(x).sum().backward()
    assert len(notes) == 1
    assert torch.cuda.get_sync_debug_mode() == 0


def test_after_a_recording_that_failed_the_device_works(monkeypatch):
    """An error in the middle of the capture itself, which no check before it finds."""
    notes = []
    model = graphed(nn.Linear(4, 3).cuda())
    model.graphs.record_at, model.graphs.note = 1, notes.append

    def synchronises(module, inputs, output):
        if torch.cuda.is_current_stream_capturing():
            torch.cuda.synchronize()

    model.network.register_forward_hook(synchronises)
    x = torch.rand(5, 4, device="cuda")
    before = torch.cuda.current_stream()
    with torch.no_grad():
        expected = F.linear(x, model.network.weight, model.network.bias)
        torch.testing.assert_close(model(x), expected)
        torch.testing.assert_close(model(x), expected)
    assert len(notes) == 1
    assert torch.cuda.current_stream() == before
    torch.cuda.synchronize()


METHODS_WITHOUT_WAITS = {
    "nt": {},
    "r-at": {},
    "sense": {},
    "sense, bisect": {"boundary": "bisect", "bisections": 2, "random_start": True},
    "sense-trades": {},
    "trades": {},
    "mart": {},
    "iaat": {"warmup": 0},
    "fgsm-rs": {},
    "n-fgsm": {},
}


@pytest.mark.parametrize("cuda_graphs", ["off", "on", "compact"])
@pytest.mark.parametrize("name", METHODS_WITHOUT_WAITS)
def test_the_device_never_waits_in_a_step(tmp_path, few, config, name, cuda_graphs):
    """torch raises an error for each operation that waits, in steps 2 to 5 of the third epoch.

    Without graphs the sensible attack and with norm 2 that of TRADES count images, which waits; so
    do mma and the boundary rule noise."""
    method = name.split(",")[0]
    if cuda_graphs == "off" and method.startswith("sense"):
        return
    calls = []  # 6 steps and the end of each epoch

    def stop():
        calls.append(1)
        torch.cuda.set_sync_debug_mode("error" if 15 <= len(calls) <= 18 else "default")

    change = {"method": method, "cuda_graphs": cuda_graphs, **METHODS_WITHOUT_WAITS[name]}
    run = replace(config, pretrain=0, epochs=3, augment="shift", **change)
    try:
        fit(run, tmp_path, data=few, stop=stop)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len(calls) >= 20
    losses = [json.loads(line)["loss"] for line in (tmp_path / METRICS).read_text().splitlines()]
    assert all(loss > 0 for loss in losses)


@pytest.mark.parametrize("method", ["sense", "r-at", "trades", "mma", "iaat", "mart"])
def test_a_run_in_graphs_is_resumed(tmp_path, few, config, method):
    """On one device graphs give the network of the eager run, also after an interruption."""
    config = replace(config, method=method, pretrain=0, epochs=2)
    eager = fit(replace(config, cuda_graphs="off"), tmp_path / "eager", data=few)
    config = replace(config, cuda_graphs="compact")
    calls = iter(range(100))
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path / "part", data=few, stop=lambda: 15 if next(calls) == 7 else None)
    resumed = fit(config, tmp_path / "part", data=few, resume=True)
    for mine, other in zip(resumed.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-2)


def test_the_choice_of_graphs_is_stored_and_kept(tmp_path, few, config):
    config = replace(config, cuda_graphs="auto", precision="auto", method="r-at")
    with pytest.raises(TrainingStopped):
        fit(config, tmp_path, data=few, stop=lambda: 15)
    begun = read_run(tmp_path)[0]
    assert begun.cuda_graphs in ("off", "on")
    assert begun.precision in ("tf32", "bfloat16")
    fit(config, tmp_path, data=few, resume=True)
    again = read_run(tmp_path)[0]
    assert (again.cuda_graphs, again.precision) == (begun.cuda_graphs, begun.precision)


def test_a_nan_is_found_before_a_checkpoint_is_written(tmp_path, few, config):
    fit(replace(config, cuda_graphs="on"), tmp_path, data=few)
    checkpoint = (tmp_path / "checkpoint.pt").read_bytes()
    with pytest.raises(FloatingPointError, match=r"NaN or infinite|the loss became"):
        fit(
            replace(config, cuda_graphs="on", lr=1e30, epochs=2, schedule="constant"),
            tmp_path / "broken",
            data=few,
        )
    assert not (tmp_path / "broken").exists() or not (tmp_path / "broken/checkpoint.pt").exists()
    assert (tmp_path / "checkpoint.pt").read_bytes() == checkpoint
