"""Choices by timing, with injected capabilities and times."""

import json
from dataclasses import replace

import pytest
import torch

from networks import conv_network
from recorders import recorded
from sense import timed_choices, training_setup
from sense.config import RECIPES, Config
from sense.errors import InputError
from sense.methods import build_method
from sense.runs import CONFIG, read_run
from sense.timed_choices import choose_cuda_graphs, choose_precision, seconds_of
from sense.train import TrainingStopped, fit


def never(*arguments):
    raise AssertionError("timed")


CPU, CUDA = torch.device("cpu"), torch.device("cuda")  # only its name is used


UNTIMED = (CPU, conv_network(), never)


def build_method_of_eight(config):
    return build_method(config, 8)


def problem():
    torch.manual_seed(0)
    network = conv_network().float().train()
    return network, lambda: (torch.rand(8, 1, 8, 8), torch.arange(8) % 3)


def times(**seconds):
    """A timing that runs each candidate once and gives it these seconds."""

    def timing(candidates):
        for run in candidates.values():
            run()
        assert candidates.keys() == seconds.keys()
        return seconds

    return timing


def state(network):
    return (
        {name: value.clone() for name, value in network.state_dict().items()},
        [module.training for module in network.modules()],
        torch.get_rng_state().tolist(),
        [parameter.grad for parameter in network.parameters()],
    )


def assert_same(before, after):
    assert all(torch.equal(before[0][name], after[0][name]) for name in before[0])
    assert before[1:] == after[1:]


@pytest.mark.parametrize(
    ("native", "bfloat16", "expected"),
    [
        (True, 0.5, "bfloat16"),
        (True, 0.9, "bfloat16"),
        (True, 0.95, "float32"),  # more rounding for next to nothing
        (True, 5.0, "float32"),
    ],
)
def test_bfloat16_is_chosen_where_it_is_native_and_pays(native, bfloat16, expected):
    network, take = problem()
    before = state(network)
    found = choose_precision(
        "auto",
        CPU,
        network,
        take,
        is_native=lambda device: native,
        timing=times(float32=1.0, bfloat16=bfloat16),
    )
    assert found == expected
    assert_same(before, state(network))


@pytest.mark.parametrize(("passes", "expected"), [(119, "float32"), (120, "bfloat16")])
def test_a_minute_must_be_saved_in_the_whole_training(passes, expected):
    network, take = problem()
    found = choose_precision(
        "auto",
        CPU,
        network,
        take,
        passes,
        is_native=lambda device: True,
        timing=times(float32=1.0, bfloat16=0.5),
    )
    assert found == expected


def test_the_passes_of_a_training_are_those_of_the_attack_and_of_the_update():
    config = Config(method="r-at", epochs=3, pretrain=2, steps=5, batch_size=10)
    assert training_setup._passes(config, 95) == 10 * (3 * 6 + 2)
    assert training_setup._passes(replace(config, method="nt"), 95) == 10 * (3 + 2)
    assert training_setup._passes(replace(config, minutes=1.0), 95) == float("inf")


def test_without_native_bfloat16_nothing_is_timed():
    found = choose_precision("auto", *UNTIMED, is_native=lambda device: False, timing=never)
    assert found == "float32"


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "tf32"])
def test_a_precision_that_is_given_is_not_timed(precision):
    assert choose_precision(precision, *UNTIMED, is_native=never, timing=never) == precision


def test_no_precision_is_float32_on_a_cpu():
    assert choose_precision(None, *UNTIMED, is_native=never, timing=never) == "float32"


def build(network, precision, cuda_graphs):
    if cuda_graphs == "off":
        return network
    found = recorded(network, record_at=2)
    found.graphs.compacts = cuda_graphs == "compact"
    return found


@pytest.mark.parametrize(
    ("method", "seconds", "expected"),
    [
        ("r-at", {"off": 1.0, "on": 0.5}, "on"),
        ("r-at", {"off": 1.0, "on": 0.95}, "off"),
        ("sense", {"off": 1.0, "on": 0.5, "compact": 0.52}, "compact"),
        ("sense", {"off": 1.0, "on": 0.5, "compact": 0.7}, "on"),
        ("sense", {"off": 1.0, "on": 0.92, "compact": 0.8}, "compact"),
        ("sense", {"off": 1.0, "on": 0.95, "compact": 0.95}, "off"),
    ],
)
def test_graphs_are_chosen_where_they_pay(method, seconds, expected):
    network, take = problem()
    before = state(network)
    config = Config(method=method, steps=3, eps=0.1, step_size=0.05)
    found = choose_cuda_graphs(
        config, CUDA, network, take, build_method_of_eight, 1, build=build, timing=times(**seconds)
    )
    assert found == expected
    assert_same(before, state(network))


@pytest.mark.parametrize("method", ["nt", "trades", "mart", "mma", "iaat", "sense-trades"])
def test_the_steps_of_every_method_are_timed(method):
    network, take = problem()
    before = state(network)
    config = Config(method=method, steps=2, eps=0.1, step_size=0.05)
    options = {"build": build, "timing": seconds_of}
    found = choose_cuda_graphs(config, CUDA, network, take, build_method_of_eight, 1, **options)
    assert found in ("off", "on", "compact")
    assert_same(before, state(network))


@pytest.mark.parametrize(("device_type", "processes"), [("cpu", 1), ("mps", 1), ("cuda", 2)])
@pytest.mark.parametrize("given", ["auto", "on", "compact", "off"])
def test_graphs_are_off_without_a_cuda_device_or_with_several_processes(
    device_type, processes, given
):
    config, device = Config(cuda_graphs=given), torch.device(device_type)
    given = (config, device, conv_network(), never, never, processes)
    assert choose_cuda_graphs(*given, build=never, timing=never) == "off"


@pytest.mark.parametrize("given", ["on", "compact", "off"])
def test_graphs_that_are_given_are_not_timed(given):
    arguments = (Config(cuda_graphs=given), CUDA, conv_network(), never, never, 1)
    assert choose_cuda_graphs(*arguments, build=never, timing=never) == given


def timed(monkeypatch, took, names="ab"):
    """The seconds of candidates whose runs take `took`, and the order in which they ran."""
    order, took = [], iter(took)
    monkeypatch.setattr(timed_choices, "_seconds", lambda run: (run(), next(took))[1])
    found = seconds_of({name: lambda name=name: order.append(name) for name in names})
    assert next(took, None) is None
    return found, "".join(order)


def test_the_least_of_several_runs_in_turns_counts(monkeypatch):
    not_counted = [1.0] * 6
    found, order = timed(monkeypatch, [*not_counted, 3.0, 8.0, 2.0, 7.0, 2.1, 7.0])
    assert found == {"a": 2.0, "b": 7.0}
    assert order == "ab" * 6


def test_there_are_more_runs_until_a_second_one_is_nearly_as_fast(monkeypatch):
    """Other programs slow runs down: without the fourth and the fifth round b would seem slower."""
    busy = [3.0, 90.0, 2.9, 40.0, 2.9, 60.0]
    found, order = timed(monkeypatch, [*[1.0] * 6, *busy, 2.9, 1.05, 2.9, 1.0])
    assert found == {"a": 2.9, "b": 1.0}
    assert order == "ab" * 8


def test_runs_that_never_agree_come_to_an_end(monkeypatch):
    growing = [2.0**n for n in range(2 * timed_choices.MOST_ROUNDS)]
    found, _ = timed(monkeypatch, [*[1.0] * 6, *growing])
    assert found == {"a": 1.0, "b": 2.0}


def test_a_slow_network_is_run_once(monkeypatch):
    monkeypatch.setattr(timed_choices, "LONGEST", -1.0)
    assert timed(monkeypatch, [9.0, 8.0]) == ({"a": 9.0, "b": 8.0}, "ab")


# In a run


def test_recipes_choose_the_precision_and_config_does_not():
    assert Config().precision is None
    assert {config.precision for config in RECIPES.values()} == {"auto"}


def stored(folder):
    return json.loads((folder / CONFIG).read_text())["config"]


@pytest.mark.parametrize("precision", ["auto", None, "float32"])
def test_on_this_processor_all_give_float32_to_the_bit(tmp_path, few, tiny, precision, monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    plain = fit(tiny, tmp_path / "plain", data=few)
    config = replace(tiny, precision=precision, cuda_graphs="auto")
    model = fit(config, tmp_path / "run", data=few)
    for mine, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert stored(tmp_path / "run")["precision"] == "float32"
    assert stored(tmp_path / "run")["cuda_graphs"] == "off"


@pytest.fixture
def with_bfloat16(monkeypatch):
    """A processor made for bfloat16, on which it is faster; the list of what was timed."""
    timed = []

    def choose(precision, device, network, take, passes):
        def timing(candidates):
            timed.append(len(take()[0]))
            return dict.fromkeys(candidates, 1.0) | {"bfloat16": 0.5}

        return choose_precision(
            precision, device, network, take, is_native=lambda device: True, timing=timing
        )

    monkeypatch.setattr(training_setup, "choose_precision", choose)
    return timed


def test_the_choice_is_stored_and_kept_on_another_machine(
    tmp_path, few, tiny, with_bfloat16, monkeypatch
):
    config, run = replace(tiny, precision="auto"), tmp_path / "run"
    with pytest.raises(TrainingStopped):
        fit(config, run, data=few, stop=lambda: 2)
    assert with_bfloat16 == [tiny.batch_size]
    assert stored(run)["precision"] == "bfloat16"
    monkeypatch.undo()  # another machine
    for resumed in (config, read_run(run)[0], replace(config, precision=None)):
        fit(resumed, run, data=few, resume=True)
        assert stored(run)["precision"] == "bfloat16"
    with pytest.raises(InputError, match=r"precision \(bfloat16, not float32\)"):
        fit(replace(config, precision="float32"), run, data=few, resume=True)
    whole = fit(replace(config, precision="bfloat16"), tmp_path / "whole", data=few)
    resumed = fit(config, run, data=few, resume=True)
    for mine, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_a_run_of_a_gpu_is_resumed_on_a_cpu(tmp_path, few, tiny, monkeypatch):
    """In float32, without CUDA graphs; config.json keeps the choices for the next GPU."""
    run, tiny = tmp_path / "run", replace(tiny, precision=None, cuda_graphs="auto")
    monkeypatch.setattr(training_setup, "choose_precision", lambda *arguments: "tf32")
    monkeypatch.setattr(training_setup, "choose_cuda_graphs", lambda *arguments: "compact")
    monkeypatch.setattr(training_setup, "prepare", lambda network, *options: network)
    with pytest.raises(TrainingStopped):
        fit(tiny, run, data=few, stop=lambda: 2)
    monkeypatch.undo()
    assert (stored(run)["precision"], stored(run)["cuda_graphs"]) == ("tf32", "compact")
    fit(tiny, run, data=few, resume=True)
    fit(read_run(run)[0], run, data=few, resume=True)
    assert (stored(run)["precision"], stored(run)["cuda_graphs"]) == ("tf32", "compact")
    with pytest.raises(InputError, match="cuda_graphs on needs a device of type cuda"):
        fit(replace(tiny, cuda_graphs="on"), run, data=few, resume=True)


def test_bfloat16_is_native_where_the_processor_says_so(monkeypatch):
    cpu = torch.device("cpu")
    for amx, avx in ((False, False), (True, False), (False, True)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        assert timed_choices.bfloat16_is_native(cpu) == (amx or avx)
    assert not timed_choices.bfloat16_is_native(torch.device("meta"))
