"""The bench: ratios within rounds, bars, counts of passes and operations, comparisons of images."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from bench import (
    attack,
    epoch,
    half_precision,
    networks,
    passes,
    peer_process,
    report,
    settings,
    steps,
    time_to_accuracy,
    timing,
)
from bench.__main__ import HOURS, SECTIONS, main, parse, table
from conftest import ROOT
from networks import Sharper, conv_network, images_and_labels
from sense.attacks import sensible_with_stages
from sense.config import recipe
from sense.errors import MissingFileError
from sense.train import fit

ATTACK = {"eps": 0.04, "step_size": 0.01, "steps": 6, "c": 0.5}


@pytest.fixture
def network():
    return conv_network().eval()


@pytest.fixture
def images(network):
    return images_and_labels(network, 60, 1, 8, 8)


# Contenders in turn


def test_contenders_run_in_turn_and_each_begins_a_round():
    order = []
    contenders = {name: lambda name=name: order.append(name) or 1.0 for name in "abc"}
    times = timing.alternate(contenders, 3)
    assert "".join(order) == "abc" + "abc" + "bca" + "cab"  # the first round is not counted
    assert times == {name: [1.0] * 3 for name in "abc"}


def test_a_ratio_is_taken_within_its_round():
    times = {"slow": [2.0, 30.0, 4.0], "fast": [1.0, 10.0, 1.0]}  # the second round was a bad one
    assert timing.ratio(times, "slow", "fast") == timing.Spread(3.0, 2.0, 4.0)
    assert timing.fastest(times, ["slow", "fast"]) == "fast"


def test_the_memory_of_a_process_is_its_own():
    code = "x = b'x' * ({} * 2**20); print(len(x))"
    small, large = (
        timing.run_process([sys.executable, "-c", code.format(size)]) for size in (1, 200)
    )
    assert int(large.output) == 200 * 2**20
    assert 190 * 2**20 < large.memory - small.memory < 220 * 2**20
    assert small.memory < 50 * 2**20  # this process, which has torch in it, does not count
    assert 0 < small.seconds < 60


def test_an_error_shows_the_output_of_a_failed_process():
    with pytest.raises(RuntimeError, match="ended with 3:\nno such thing"):
        timing.run_process([sys.executable, "-c", "print('no such thing'); raise SystemExit(3)"])


# Contenders in another process


def loops_that_report_their_process():
    return {"pid": lambda: float(os.getpid()), "threads": lambda: float(torch.get_num_threads())}


def loops_that_die():
    return {"dies": lambda: os._exit(3)}


def test_contenders_in_a_new_process_have_the_same_number_of_threads():
    with peer_process.contenders_in_new_process(loops_that_report_their_process) as loops:
        found = {name: run() for name, run in loops.items()}
    assert found["pid"] != os.getpid()
    assert found["threads"] == torch.get_num_threads()


def test_a_contender_that_dies_is_an_error():
    ended = pytest.raises(RuntimeError, match="ended before it sent a result")
    with peer_process.contenders_in_new_process(loops_that_die) as loops, ended:
        loops["dies"]()


# Passes and what is in them


def test_the_needed_passes_are_those_of_the_sensible_attack(network, images):
    x, y = images
    needed, x_adv = passes.sensible_passes(network, x, y, **ATTACK)
    counted = []
    network.register_forward_hook(
        lambda module, given, logits: counted.append((len(given[0]), torch.is_grad_enabled()))
    )
    found = sensible_with_stages(network, x, y, **ATTACK)
    assert torch.allclose(found.x_adv, x_adv, atol=1e-12)
    assert torch.bincount(found.stages.int(), minlength=3).min() > 0
    assert [one.images for one in needed] == [rows for rows, _ in counted]
    assert needed[0].images == 60
    assert [one.gradient for one in needed] == [gradient for _, gradient in counted]
    assert needed[-1].images >= int((found.stages == 2).sum()) > 0


def test_no_gradient_is_needed_if_every_image_is_in_stage_a(network, images):
    x, _ = images
    wrong = (network(x).argmax(1) + 1) % 3
    needed, x_adv = passes.sensible_passes(network, x, wrong, **ATTACK)
    assert needed == [passes.Pass(60, False)]
    assert torch.equal(x_adv, x)


def test_the_bare_loop_makes_exactly_the_given_passes(network, images):
    x, y = images
    made = []

    def note(module, given, logits):
        made.append([len(logits), False])
        if logits.requires_grad and given[0].requires_grad:
            logits.register_hook(lambda gradient: made[-1].__setitem__(1, True))

    network.register_forward_hook(note)
    needed = [passes.Pass(60, True), passes.Pass(7, True), passes.Pass(7, False)]
    passes.bare_loop(network, x, y, needed)
    assert made == [list(one) for one in needed]
    assert all(parameter.grad is None for parameter in network.parameters())


def test_operations_are_counted_correctly():
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 3))
    x, y = torch.rand(5, 1, 8, 8), torch.zeros(5, dtype=torch.int64)
    an_image = 2 * (6 * 6 * 4 * 9 + 4 * 6 * 6 * 3)  # a multiply-add is two operations
    assert passes.flops(network, x, y, [passes.Pass(5, False)]) == 5 * an_image
    # The gradient of the images costs a forward pass more, that of the weights nothing.
    both = [passes.Pass(5, True), passes.Pass(2, False)]
    assert passes.flops(network, x, y, both) == (2 * 5 + 2) * an_image


def test_the_time_of_a_matrix_product_is_scaled_to_the_work():
    product = passes.MatrixProduct(sizes=(64, 128), repeats=2)
    assert product.flops == 2 * product.size**3
    product.seconds = lambda: 0.5
    assert product.contender(3 * product.flops)() == pytest.approx(1.5)


def test_different_images_are_an_error():
    x = torch.zeros(10, 1, 2, 2)
    other = x.clone()
    other[3, 0, 1, 1] = 0.01
    assert attack.compare_images(x, other, min_share=0.9) == "9 / 10 images the same"
    with pytest.raises(ArithmeticError, match="only 9 of 10 images are the same"):
        attack.compare_images(x, other)


# What is reported


def bar(**changes):
    given = {"name": "1", "what": "a / b", "limit": 1.05, "value": timing.Spread(1.04, 1.0, 1.2)}
    return report.Bar(**{**given, **changes})


def test_a_bar_is_compared_with_the_median():
    assert bar().met is True
    assert bar(value=timing.Spread(1.06, 1.0, 1.2)).met is False
    assert bar(limit=1.3, at_most=False).met is False
    assert bar(limit=1.04, at_most=False).met is True
    assert bar(unjudged="not converged").met is None
    assert "not compared: not converged" in bar(unjudged="not converged").row()
    assert bar(value=timing.Spread(2, 1, 3)).row().endswith("| 2.00 [1.00, 3.00] | **no** |")


def test_a_section_is_read_back_from_its_file(tmp_path):
    compared = report.Comparison(
        "T", {"a": [2.0, 4.0], "b": [1.0, 1.0]}, "b", 1000, "ms", {"a": "the same"}, ("note",)
    )
    section = report.Section(
        "attack",
        (compared,),
        (report.Figure("memory", 0.5, "GiB"),),
        (bar(),),
        ("all",),
        {"threads": 2, "commit": "abc"},
        3.0,
    )
    (tmp_path / "attack.json").write_text(section.to_json())
    (back,) = report.stored(tmp_path, list(SECTIONS))
    assert back == section
    assert json.loads(section.to_json())["bars"][0]["met"] is True
    assert "| a | 3000 | 3.00 [2.00, 4.00] | the same |" in back.markdown()
    assert table(tmp_path).startswith("| bar | what |")


def test_the_table_without_results_says_what_to_do(tmp_path, capsys):
    main(["--table", "--out", str(tmp_path)])
    assert "run `python -m bench` first" in capsys.readouterr().out


def test_the_error_names_an_unknown_section(capsys):
    with pytest.raises(SystemExit):
        parse(["atack"])
    assert "unknown section atack. Sections: attack, epoch" in capsys.readouterr().err


def test_every_data_set_is_read_from_its_folder(tmp_path):
    folders = {"mnist": tmp_path / "a", "cifar10": tmp_path / "b"}
    chosen = settings.Settings(quick=True, threads=1, networks=tmp_path, **folders)
    assert {name: chosen.folder_of(name) for name in folders} == folders
    assert chosen.folder_of("mnist-sample") is None
    for name in folders:
        config = replace(recipe(name if name == "mnist" else "cifar10-cnn"), dataset=name)
        with pytest.raises(MissingFileError, match=str(folders[name])):
            networks.untrained(chosen, config)


def test_the_provenance_contains_no_folder(tmp_path):
    chosen = settings.Settings(
        quick=True, threads=3, networks=tmp_path, run=tmp_path / "mine", mnist=tmp_path
    )
    found = settings.provenance(chosen, "attack")
    assert found["command"] == "python -m bench attack --threads 3 --run mine --quick"
    assert str(tmp_path) not in json.dumps(found)
    assert found["threads"] == 3
    assert found["cpu"]
    assert found["load"] >= 0
    assert {"commit", "torch", "time", "peers"} <= set(found)


@pytest.mark.parametrize("path", sorted((ROOT / "bench/results").glob("*.json")), ids=str)
def test_stored_results_are_measurements(path):
    section = report.Section.from_json(path.read_text())
    assert section.name == path.stem
    assert section.provenance["quick"] is False
    assert section.provenance["commit"]
    assert "/tmp" not in path.read_text()
    for compared in section.comparisons:
        assert min(min(seconds) for seconds in compared.times.values()) > 0


# What is timed


def test_a_network_has_converged_if_nearly_all_images_are_in_stage_c():
    def after(*stages):
        last = dict(zip(("stage_a", "stage_b", "stage_c"), stages, strict=True))
        return networks.Network(nn.Identity(), None, recipe("mnist"), last)

    assert after(2, 3, 95).converged
    assert not after(2, 30, 68).converged
    assert not networks.Network(nn.Identity(), None, recipe("mnist"), None).converged


def test_an_epoch_is_timed_at_full_strength_except_for_weaker_variants():
    options = steps.timed_options(recipe("cifar10-demo"), method="iaat")
    assert (options.pretrain, options.epochs, options.warmup, options.eps_ramp) == (0, 1, 0, 0)
    for change in epoch.VARIANTS.values():
        changed = steps.timed_options(options, **change)
        assert {name: getattr(changed, name) for name in change} == change


def test_our_contender_trains_the_given_epoch_on_a_copy_of_the_network(few, tiny):
    torch.manual_seed(1)
    network = networks.Network(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), few, tiny, None)
    images = steps.first_images(few, 100)
    before = [parameter.clone() for parameter in network.model.parameters()]
    seen = {}
    seconds = steps.our_epoch(network, steps.timed_options(tiny, method="sense"), images, seen)()
    assert seconds == seen["seconds"] > 0
    assert seen["stage_a"] + seen["stage_b"] + seen["stage_c"] == 100
    assert all(map(torch.equal, before, network.model.parameters()))


@pytest.mark.parametrize("layout", steps.FORMS)
def test_a_plain_loop_uses_each_batch_once_in_its_memory_layout(few, tiny, layout):
    network = networks.Network(nn.Conv2d(1, 2, 28), few, tiny, None)
    images = steps.first_images(few, 100)
    taken = []

    def perturb(x, y):
        taken.append((x, y))
        return 1 - x

    def loss(model, x, x_adv, y):
        assert model.training
        assert torch.equal(x_adv, 1 - x)
        return model(x_adv).mean()

    options = steps.timed_options(tiny)
    assert steps.plain_loop(network, options, images, layout, loss, lambda model: perturb)() > 0
    assert [len(x) for x, _ in taken] == [50, 50]
    assert torch.equal(torch.cat([y for _, y in taken]), images.train_y)
    assert all(x.is_contiguous(memory_format=steps.FORMS[layout]) for x, _ in taken)


class Quicker(nn.Conv2d):
    """A layer of ours, made from torch's."""


def test_a_peer_gets_a_network_of_torch_layers_with_the_same_weights():
    ours = nn.Sequential(Quicker(1, 2, 3), nn.ReLU(), Sharper(2.0))
    plain = networks.torch_layers(ours)
    assert [type(layer) for layer in plain] == [nn.Conv2d, nn.ReLU, Sharper]
    assert type(ours[0]) is Quicker
    assert networks.has_own_layers(ours)
    assert not networks.has_own_layers(plain)
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(ours(x), plain(x))
    assert plain[0].weight is not ours[0].weight


def test_bars_depend_on_the_network():
    def bars(model, data_times):
        config = recipe("mnist")
        network = networks.Network(nn.Identity(), None, config, None)
        network = network._replace(config=replace(config, model=model))
        return epoch.bars_of(epoch.Plan(network, config, (), {}, [], 1, 1), data_times)

    ours = {"ours, r-at": [1.0], "ours, sense": [0.4]}
    peers = {
        "r-at, slow, contiguous": [3.0],
        "r-at, quick, contiguous": [1.4],
        "r-at, quick, channels_last": [1.1],
    }
    (two,) = bars("cifar-cnn-1", ours)
    assert (two.name, two.met) == ("2", True)
    not_compared, user, layout = bars("small-cnn", ours | peers)
    assert not_compared.met is None
    assert "(quick) / ours" in user.what
    assert (user.value.median, user.met) == (1.4, True)
    assert (layout.value.median, layout.met) == (1.1, False)
    assert bars("resnet20", ours) == []


def test_the_peers_do_not_install_their_own_torch():
    lines = (ROOT / "bench/requirements.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(pin.count("==") == 1 for pin in pins)
    assert not {pin.split("==")[0] for pin in pins} & {"torch", "torchvision", "numpy", "requests"}


# Time to an accuracy


def task(target, n=20):
    config = replace(recipe("mnist-demo"), model="capacity-1", pretrain=1, epochs=3, threads=1)
    return time_to_accuracy.Task(config, {}, 0.01, target, n)


def test_the_seconds_of_all_epochs_up_to_the_first_that_reaches_the_target_count(
    few, tmp_path, monkeypatch
):
    """The networks predict one class each: the rarest one, but the most frequent one third."""
    counts = few.test_y[:20].bincount(minlength=10)
    model = time_to_accuracy.new_model(task(0.0).config, few)
    *_, bias = model.parameters()
    rarest, most_frequent = int(counts.argmin()), int(counts.argmax())
    for number, label in enumerate([rarest, rarest, most_frequent, rarest], 1):
        with torch.no_grad():
            bias.copy_(1000.0 * (torch.arange(10) == label))
        time_to_accuracy.keep(model, tmp_path, number)
    attacked = []

    def autoattack(network, x, y, *, eps):
        attacked.append(eps)
        return x

    monkeypatch.setattr(time_to_accuracy, "autoattack", autoattack)
    most = int(counts.max()) / 20
    seconds, text = time_to_accuracy.first_reached(task(most), few, tmp_path, [1.0, 2.0, 4.0, 8.0])
    assert seconds == 7.0
    assert f"({counts.max()} / 20) under AutoAttack after epoch 3 (7 s)" in text
    assert attacked == [0.01]  # the others miss the target under PGD
    seconds, text = time_to_accuracy.first_reached(task(0.99), few, tmp_path, [1.0, 2.0])
    assert seconds is None
    assert text.startswith("not reached: ")
    assert "under PGD-20 after epoch 2 (3 s)" in text


def test_finished_rounds_are_kept(few, tmp_path, monkeypatch):
    """A second run measures the third seed only; another task or version begins anew."""
    measured = []

    def one_round(task, data, peer, minutes):
        if len(measured) == 2:
            measured.append("stopped")
            raise KeyboardInterrupt
        measured.append((task.config.seed, peer))
        return {time_to_accuracy.BASELINE: (float(task.config.seed), "reached")}

    monkeypatch.setattr(time_to_accuracy, "one_round", one_round)
    monkeypatch.setattr(time_to_accuracy, "data_for", lambda dataset, settings: few)
    monkeypatch.setattr(time_to_accuracy, "available", lambda: ["foolbox"])
    monkeypatch.setattr(time_to_accuracy, "fastest_peer", lambda config, data: ("foolbox", "nchw"))
    quick = settings.Settings(quick=True, threads=1, networks=tmp_path, rounds=3)
    with pytest.raises(KeyboardInterrupt):
        time_to_accuracy.run("mnist", quick)
    monkeypatch.setattr(time_to_accuracy, "fastest_peer", None)
    found = time_to_accuracy.run("mnist", quick)
    seeds = [(seed, ("foolbox", "nchw")) for seed in (1, 2, 3)]
    assert measured == [*seeds[:2], "stopped", seeds[2]]
    assert found.comparisons[0].times == {time_to_accuracy.BASELINE: [1.0, 2.0, 3.0]}
    assert "The fastest peer is foolbox, nchw" in found.notes[0]
    task = time_to_accuracy.task_for("mnist", quick)
    other = replace(task, target=0.5)
    path = quick.rounds_folder / "mnist.json"
    assert len(time_to_accuracy.kept_rounds(path, task, 120.0).rounds) == 3
    assert time_to_accuracy.kept_rounds(path, other, 120.0).rounds == []
    assert time_to_accuracy.kept_rounds(path, task, 60.0).rounds == []


def test_only_contenders_that_reach_the_target_with_every_seed_are_compared():
    def section(times):
        return time_to_accuracy.section("mnist", task(0.9), ("foolbox", "contiguous"), times, [], 2)

    base = time_to_accuracy.BASELINE
    found = section({base: [2.0, 3.0], "peer": [4.0, 9.0], "other": [1.0]})
    (compared,) = found.comparisons
    assert compared.times.keys() == {base, "peer"}
    assert timing.ratio(compared.times, "peer", base) == timing.Spread(2.5, 2.0, 3.0)
    assert found.figures[0].value == 2
    assert section({base: [2.0], "peer": [4.0, 9.0]}).comparisons == ()


def test_an_epoch_of_ours_at_a_time_is_the_run_without_a_stop(few, tiny, tmp_path):
    config = replace(tiny, method="n-fgsm", epochs=2)
    train_epoch = time_to_accuracy.our_epochs(config, few, tmp_path / "parts")
    assert all(train_epoch() > 0 for _ in range(3))
    expected = fit(config, tmp_path / "whole", data=few).state_dict()
    found = load_file(tmp_path / "parts" / "3.safetensors")
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert {path.name for path in (tmp_path / "parts").glob("*.safetensors")} == {
        f"{number}.safetensors" for number in (1, 2, 3)
    }


def test_the_loop_of_a_peer_trains_as_ours_with_the_same_attack(few, tiny, tmp_path, monkeypatch):
    """With an attack that changes nothing, R-AT is natural training: the same weights, up to
    rounding, as by `fit`, with its schedule and its batches."""
    monkeypatch.setitem(time_to_accuracy.PEERS, "none", lambda model, ball: lambda x, y: x)
    config = replace(tiny, method="r-at", schedule="one-cycle", nesterov=True, lr=0.05)
    made = time_to_accuracy.peer_epochs("row", config, few, "none", "contiguous", tmp_path)
    assert list(made) == ["row"]
    for _ in range(3):
        assert made["row"]() > 0
    expected = fit(replace(config, method="nt"), tmp_path / "whole", data=few).state_dict()
    found = load_file(tmp_path / "3.safetensors")
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)


def test_hours_are_not_spent_unless_they_are_named(tmp_path, monkeypatch):
    assert set(HOURS) < set(SECTIONS)
    ran = []
    for name in SECTIONS:
        own = report.Section(name)
        monkeypatch.setitem(SECTIONS, name, lambda given, own=own: ran.append(own.name) or own)
    main(["--out", str(tmp_path), "--threads", "1"])
    assert ran == [name for name in SECTIONS if name not in HOURS]
    main(["time-to-mnist", "--out", str(tmp_path), "--target", "0.5", "--rounds", "3"])
    assert ran[-1] == "time-to-mnist"
    command = json.loads((tmp_path / "time-to-mnist.json").read_text())["provenance"]["command"]
    assert command.endswith("time-to-mnist --threads 2 --target 0.5 --rounds 3")


def test_bfloat16_is_not_measured_without_its_instructions(tmp_path, monkeypatch):
    monkeypatch.setattr(half_precision, "bfloat16_is_native", lambda device: False)
    found = half_precision.run(settings.Settings(quick=False, threads=1, networks=tmp_path))
    assert found.comparisons == ()
    assert "neither AMX nor avx512_bf16" in found.markdown()


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_a_quick_section_runs_from_end_to_end(section, tmp_path):
    if (
        section in ("data", "clusters")
        and subprocess.run(["Rscript", "-e", "library(sense)"], capture_output=True).returncode
    ):
        pytest.skip("the R package is not installed")
    main([section, "--quick", "--threads", "1", "--out", str(tmp_path)])
    (found,) = report.stored(tmp_path, [section])
    assert found.provenance["quick"] is True
    assert found.comparisons
    assert all(math.isfinite(one.value.median) and one.met is None for one in found.bars)
