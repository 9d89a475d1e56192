"""Every kind of network is trained, saved and evaluated, or rejected before the first step with the
same message for training and evaluation."""

import re
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from sense.checkpoint import load_weights
from sense.config import Config
from sense.data import ImageData
from sense.errors import InputError, NotFiniteError
from sense.evaluation.evaluate import evaluate
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.methods import METHODS
from sense.networks import (
    are_probabilities,
    check_finite_gradients,
    check_finite_weights,
    check_network,
    saveable_state_dict,
    warn_of_batch_dependence,
)
from sense.train import fit

SIDE, CLASSES = 6, 3
CONFIG = Config(
    dataset="arrays",
    pretrain=0,
    epochs=1,
    batch_size=8,
    lr=0.05,
    steps=2,
    step_size=0.05,
    eps=0.1,
    c=0.4,
    replays=1,
    monitor_size=8,
    threads=1,
    device="cpu",
)
SETTINGS = Settings(
    attacks=("natural", "fgsm", "pgd"), eps=0.05, steps=2, restarts=1, batch=8, diagnostics=False
)


def data(n=20):
    """Images whose class is where they are bright."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(n) % CLASSES
    x = 0.6 * torch.rand(n, 1, SIDE, SIDE, generator=generator)
    for i, label in enumerate(y):
        x[i, 0, 2 * label : 2 * label + 2] += 0.4
    return ImageData("bright", x, y, x[:10].clone(), y[:10].clone(), ("a", "b", "c"))


def layers(*between, last=CLASSES):
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), *between, nn.ReLU(), nn.Flatten(), nn.Linear(4 * (SIDE - 2) ** 2, last)
    )


class Tied(nn.Module):
    """Two layers with the same weights."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(SIDE**2, SIDE**2), nn.Linear(SIDE**2, SIDE**2)
        self.second.weight = self.first.weight
        self.last = nn.Linear(SIDE**2, CLASSES)

    def forward(self, x):
        return self.last(self.second(F.relu(self.first(x.flatten(1)))).relu())


class Twice(nn.Module):
    """A layer, and a buffer, that are registered twice."""

    def __init__(self):
        super().__init__()
        self.body = layers(nn.BatchNorm2d(4))
        self.again = self.body
        self.register_buffer("mean", torch.tensor([0.5]))
        self.register_buffer("same", self.mean)

    def forward(self, x):
        return self.again(x - self.mean + self.same)


class Transformed(nn.Module):
    """A network whose output goes through a function."""

    def __init__(self, change, last=CLASSES):
        super().__init__()
        self.body, self.change = layers(last=last), change

    def forward(self, x):
        return self.change(self.body(x))


class OneByOne(nn.Module):
    """Batch norm of one number per image, as after a global average."""

    def __init__(self):
        super().__init__()
        self.body, self.norm = layers(nn.BatchNorm2d(4), last=5), nn.BatchNorm1d(5)
        self.last = nn.Linear(5, CLASSES)

    def forward(self, x):
        return self.last(self.norm(self.body(x)))


def frozen():
    network = layers(nn.BatchNorm2d(4))
    network[0].weight.requires_grad_(False)
    return network


def in_evaluation_mode():
    return layers(nn.BatchNorm2d(4), nn.Dropout(0.2)).eval()


def lazy():
    return nn.Sequential(
        nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(CLASSES)
    )


def parametrised():
    network = layers()
    torch.nn.utils.parametrizations.weight_norm(network[0])
    torch.nn.utils.parametrizations.spectral_norm(network[3])
    return network


def traced():
    return torch.jit.trace(layers(), torch.rand(2, 1, SIDE, SIDE))


NETWORKS = {
    "plain": layers,
    "dropout": lambda: layers(nn.Dropout(0.3)),
    "batch norm": lambda: layers(nn.BatchNorm2d(4)),
    "batch norm, cumulative": lambda: layers(nn.BatchNorm2d(4, momentum=None)),
    "batch norm, no statistics": lambda: layers(nn.BatchNorm2d(4, track_running_stats=False)),
    "group norm": lambda: layers(nn.GroupNorm(2, 4)),
    "batch norm of one number": OneByOne,
    "frozen": frozen,
    "in evaluation mode": in_evaluation_mode,
    "tied": Tied,
    "registered twice": Twice,
    "lazy": lazy,
    "parametrised": parametrised,
    "traced": traced,
    "scripted": lambda: torch.jit.script(layers(nn.BatchNorm2d(4))),
    "object with logits": lambda: Transformed(lambda out: SimpleNamespace(logits=out)),
    "dict with logits": lambda: Transformed(lambda out: {"logits": out, "loss": None}),
    "more outputs than classes": lambda: layers(last=CLASSES + 2),
    "log probabilities": lambda: Transformed(lambda out: out.log_softmax(1)),
}
# Networks whose result depends on the method and on the mode of the attack.
FAST = {
    "dropout",
    "batch norm",
    "batch norm, cumulative",
    "batch norm of one number",
    "frozen",
    "registered twice",
    "dict with logits",
}
IGNORE_WARNINGS = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def make_network(name):
    torch.manual_seed(0)
    return NETWORKS[name]()


@IGNORE_WARNINGS
@pytest.mark.parametrize("name", NETWORKS)
def test_every_kind_of_network_is_trained_saved_and_evaluated(tmp_path, name):
    images, network = data(), make_network(name)
    trained = fit(replace(CONFIG, method="sense"), tmp_path / "run", data=images, model=network)
    assert trained is network
    assert not network.training
    weights = load_weights(tmp_path / "run")
    assert weights.keys() == network.state_dict().keys()
    fresh = make_network(name)
    found = evaluate_run(tmp_path / "run", SETTINGS, model=fresh, data=images)
    assert found["finished"]
    with torch.no_grad():
        expected, logits = network(images.test_x), fresh(images.test_x)
    before = [
        getattr(out, "logits", out["logits"] if isinstance(out, dict) else out)
        for out in (expected, logits)
    ]
    torch.testing.assert_close(*before, rtol=0, atol=1e-6)
    assert found["accuracy"]["natural"]["k"] == int((before[0].argmax(1) == images.test_y).sum())


@IGNORE_WARNINGS
@pytest.mark.parametrize("attack_mode", ["evaluation", "training", "published"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "name",
    [name if name in FAST else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS],
)
def test_every_method_and_attack_mode_trains_every_kind_of_network(
    tmp_path, name, method, attack_mode
):
    few = data(9)  # a batch of eight, which the ninth image joins
    config = replace(CONFIG, method=method, attack_mode=attack_mode)
    network = fit(config, tmp_path / "run", data=few, model=make_network(name))
    assert all(
        torch.isfinite(v).all() for v in network.state_dict().values() if v.is_floating_point()
    )


@pytest.mark.parametrize("boundary", ["revert", "noise", "bisect"])
@pytest.mark.parametrize("method", ["sense", "sense-trades", "mma"])
def test_a_single_remaining_image_in_training_mode_does_not_stop_training(
    tmp_path, method, boundary
):
    config = replace(CONFIG, method=method, attack_mode="training", boundary=boundary, batch_size=2)
    fit(config, tmp_path / "run", data=data(), model=make_network("batch norm of one number"))


class InPlace(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = layers()

    def forward(self, x):
        return self.body(x.mul_(1))


class ExtraState(Transformed):
    def get_extra_state(self):
        return {"a": 1}

    def set_extra_state(self, state):
        pass


def with_nan():
    network = layers()
    with torch.no_grad():
        network[0].weight[2, 0, 1, 1] = torch.nan
    return network


def all_frozen():
    return layers().requires_grad_(False)


REJECTED = {
    "a tuple": (lambda: Transformed(lambda out: (out, out)), "gave a tuple: wrap it in a module"),
    "an image": (nn.Identity, r"logits of shape \(2, classes\).* gave \(2, 1, 6, 6\)"),
    "too few classes": (lambda: layers(last=2), "the network gives 2 logits"),
    "one output": (lambda: layers(last=1), "at least 2 classes, gives 1 logit"),
    "whole numbers": (lambda: Transformed(lambda out: out.long()), "floating point logits, gave"),
    "nan": (
        with_nan,
        r"1 of the 36 numbers of 0\.weight are NaN .* in the network that was passed",
    ),
    "infinite logits": (lambda: Transformed(lambda out: out / 0), "gives a logit of"),
    "float64": (lambda: layers().double(), r"0\.weight is torch\.float64.* network\.float\(\)"),
    "half": (lambda: layers().half(), r"0\.weight is torch\.float16"),
    "no gradients": (
        lambda: Transformed(torch.Tensor.detach),
        "no gradients with respect to its images",
    ),
    "in place": (InPlace, "in place"),
    "on the meta device": (lambda: layers().to("meta"), "on the meta device"),
    "of other channels": (
        lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, CLASSES)),
        r"fails on a batch of shape \(2, 1, 6, 6\) \(RuntimeError: .* 3 channels.*\): "
        r"pass one that takes inputs of shape \(1, 6, 6\)",
    ),
    "of larger images": (
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(100, CLASSES)),
        r"batch of shape \(2, 1, 6, 6\) \(RuntimeError: mat1 and mat2",
    ),
    "changed in place before the backward pass": (
        lambda: Transformed(lambda out: out.exp().mul_(2)),
        r"batch of shape \(2, 1, 6, 6\) \(RuntimeError: one of the variables",
    ),
    "fails without torch": (
        lambda: Transformed(lambda out: out[{}["missing"]]),
        r"batch of shape \(2, 1, 6, 6\) \(KeyError: 'missing'\)",
    ),
}


def message_of(call):
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize("name", REJECTED)
def test_training_and_evaluation_reject_a_network_with_the_same_message(tmp_path, name):
    make, expected = REJECTED[name]
    images = data()
    config = replace(CONFIG, method="r-at", monitor_size=2)
    networks = []
    for _ in range(2):
        torch.manual_seed(0)
        networks.append(make())
    messages = [
        message_of(lambda: fit(config, tmp_path / "run", data=images, model=networks[0])),
        message_of(lambda: evaluate(networks[1], images.test_x, images.test_y, SETTINGS)),
    ]
    for message in messages:
        assert re.search(expected, message), message
    if name != "no gradients":  # each message names what needs them
        assert messages[0] == messages[1]
    assert not (tmp_path / "run").exists()


def test_lazy_weights_are_evaluated_only_once_they_have_values(tmp_path):
    images = data()
    with pytest.raises(InputError, match=r"0\.weight is of a lazy module and has no values: load"):
        evaluate(lazy(), images.test_x, images.test_y, SETTINGS)
    ready = lazy()
    ready(images.test_x)
    assert evaluate(ready, images.test_x, images.test_y, SETTINGS).accuracy["natural"].n == 10


def test_a_lazy_network_of_other_channels_is_rejected(tmp_path):
    def network():
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(CLASSES))

    with pytest.raises(InputError, match=r"a batch of shape \(2, 1, 6, 6\) \(RuntimeError: "):
        fit(CONFIG, tmp_path / "run", data=data(), model=network())
    fit(CONFIG, tmp_path / "run", data=data(), model=lazy())
    with pytest.raises(InputError, match=r"a batch of shape \(1, 1, 6, 6\) \(RuntimeError: "):
        evaluate_run(tmp_path / "run", SETTINGS, model=network(), data=data())


def test_autoattack_on_a_network_of_other_channels_is_rejected():
    network, images = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), data()
    settings = replace(SETTINGS, attacks=("autoattack",))
    with pytest.raises(InputError, match=r"a batch of shape \(2, 1, 6, 6\) \(RuntimeError: "):
        evaluate(network, images.test_x, images.test_y, settings)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Transformed(lambda out: out.softmax(1)), "returns probabilities, not logits"),
        (all_frozen, "no parameter that can be trained"),
        (lambda: ExtraState(lambda out: out), r"_extra_state is a dict, which cannot be saved"),
    ],
)
def test_a_network_that_cannot_be_trained_or_saved_is_rejected(tmp_path, make, expected):
    with pytest.raises(InputError, match=expected):
        fit(CONFIG, tmp_path / "run", data=data(), model=make())
    assert not (tmp_path / "run").exists()


def test_a_batch_of_one_image_is_rejected_if_batch_norm_needs_more(tmp_path):
    with pytest.raises(InputError, match=r"trained on a batch of 1 image .*--batch-size and"):
        fit(replace(CONFIG, batch_size=1), tmp_path / "run", data=data(), model=OneByOne())
    assert not (tmp_path / "run").exists()
    fit(replace(CONFIG, batch_size=1, train_size=3), tmp_path / "run", data=data(), model=layers())


@contextmanager
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    try:
        yield
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, float64_by_default])
def test_results_do_not_depend_on_the_torch_settings_of_the_caller(tmp_path, context):
    config, images = replace(CONFIG, method="sense", model="capacity-1"), data()
    for folder, setting in ((tmp_path / "one", nullcontext), (tmp_path / "two", context)):
        with setting():
            fit(config, folder, data=images)
            evaluate_run(folder, SETTINGS, data=images)
    for name in ("model.safetensors", "outcomes.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@IGNORE_WARNINGS
def test_the_network_inside_a_compiled_network_is_trained_and_saved(tmp_path):
    network = layers()
    trained = fit(CONFIG, tmp_path / "run", data=data(), model=torch.compile(network))
    assert trained is network
    assert load_weights(tmp_path / "run").keys() == network.state_dict().keys()


def test_checking_a_network_changes_neither_it_nor_the_random_state():
    network = in_evaluation_mode().train()
    state = {key: value.clone() for key, value in network.state_dict().items()}
    random = torch.get_rng_state()
    images = data()
    check_network(network, images.train_x, images.train_y, classes=CLASSES, gradients_for="pgd")
    assert torch.equal(torch.get_rng_state(), random)
    assert network.training
    assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_probabilities_are_distinguished_from_logits():
    logits = torch.randn(20, 5)
    assert are_probabilities(logits.softmax(1)).all()
    assert not are_probabilities(logits).any()
    assert not are_probabilities(torch.zeros(3, 5)).any()


def test_weights_and_gradients_that_are_not_finite_are_named():
    network = layers(nn.BatchNorm2d(4))
    check_finite_weights(network, "now")
    check_finite_gradients(network, "now")
    network(data().train_x).sum().backward()
    check_finite_gradients(network, "now")
    network[4].bias.grad[1] = -torch.inf
    with pytest.raises(NotFiniteError, match=r"the gradient of 4\.bias is NaN or infinite now"):
        check_finite_gradients(network, "now")
    network[1].running_var[2] = torch.inf
    with pytest.raises(NotFiniteError, match=r"1 of the 4 numbers of 1\.running_var are"):
        check_finite_weights(network, "now")


class Root(nn.Module):
    """Logits are finite, and the gradient of a weight is not: the root of 0."""

    def __init__(self):
        super().__init__()
        self.body, self.weight = layers(), nn.Parameter(torch.tensor(0.3))

    def forward(self, x):
        return self.body(x) + (0 * self.weight).sqrt() * torch.tensor([1.0, 2.0, 3.0])


def test_a_gradient_that_is_not_finite_stops_training_before_the_update(tmp_path):
    with pytest.raises(NotFiniteError, match=r"the gradient of weight is NaN .*lower --lr"):
        fit(replace(CONFIG, method="nt"), tmp_path / "run", data=data(), model=Root())
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_weights_that_become_nan_in_the_last_update_are_not_saved(tmp_path, optimizer):
    """The weights of the epoch before are kept, and training resumes from there."""
    config = replace(CONFIG, method="nt", epochs=2, optimizer=optimizer)
    fit(
        replace(config, epochs=1), tmp_path / "short", data=data(), model=make_network("batch norm")
    )
    steps = []

    def break_weights(optimizer, args, kwargs):
        steps.append(None)
        if len(steps) == 6:  # the last of the second epoch
            with torch.no_grad():
                optimizer.param_groups[0]["params"][0][0] = torch.nan

    hook = register_optimizer_step_post_hook(break_weights)
    run = tmp_path / "run"
    with pytest.raises(NotFiniteError, match=r"9 of the 36 numbers of 0\.weight are NaN"):
        fit(config, run, data=data(), model=make_network("batch norm"))
    hook.remove()
    short = load_weights(tmp_path / "short")
    assert all(torch.equal(value, short[name]) for name, value in load_weights(run).items())
    fit(config, run, data=data(), model=make_network("batch norm"), resume=True)
    assert len((run / "metrics.jsonl").read_text().splitlines()) == 2


def test_tensors_that_share_memory_are_saved_as_copies():
    weights = Twice().state_dict()
    saved = saveable_state_dict(weights)
    assert saved.keys() == weights.keys()
    places = [value.untyped_storage().data_ptr() for value in saved.values()]
    assert len(set(places)) == len(places)
    assert all(torch.equal(value, weights[name]) for name, value in saved.items())
    assert saveable_state_dict({"none": torch.zeros(0)})["none"].shape == (0,)


def test_a_state_dict_with_other_than_dense_tensors_is_rejected():
    with pytest.raises(InputError, match=r"the network's a is a torch\.sparse_coo"):
        saveable_state_dict({"a": torch.eye(2).to_sparse()})
    with pytest.raises(InputError, match="the network's b is a int"):
        saveable_state_dict({"b": 3})


class DataInPlace(nn.Module):
    def forward(self, x):
        x.data.mul_(0.9)
        return x.flatten(1)[:, :3]


class WithoutGradientInPlace(nn.Module):
    def forward(self, x):
        return (x if torch.is_grad_enabled() else x.mul_(0.9)).flatten(1)[:, :3]


@pytest.mark.parametrize("network", [DataInPlace(), WithoutGradientInPlace()])
def test_changes_that_autograd_does_not_see_are_found(network):
    with pytest.raises(InputError, match="changes its images in place"):
        check_network(network, torch.rand(4, 1, 2, 2), torch.tensor([0, 1, 2, 0]))


class Centred(nn.Module):
    def __init__(self, noise=0.0):
        super().__init__()
        self.noise = noise

    def forward(self, x):
        return (x - x.mean(0) + self.noise * torch.randn_like(x)).flatten(1)[:, :3]


def test_logits_that_depend_on_the_batch_are_warned_of(caplog):
    x = torch.rand(20, 1, 2, 2)
    warn_of_batch_dependence(Centred(), x)
    assert "depend on the other images of its batch" in caplog.text
    caplog.clear()
    warn_of_batch_dependence(Centred(noise=1.0), x)  # random: another diagnostic
    warn_of_batch_dependence(nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4)), x)
    warn_of_batch_dependence(Centred(), x[:1])
    assert not caplog.text
