"""The wrapper for networks that were trained on normalised images."""

import re
import warnings

import pytest
import torch
from torch import nn

import sense
from sense.checkpoint import read_weights
from sense.cli import evaluate_main
from sense.config import Config
from sense.data import ImageData, to_float
from sense.errors import InputError
from sense.runs import load
from sense.weights import load_matching_weights, weights_sha256

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def plain(channels=3, classes=4, size=6):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * (size - 2) ** 2, classes),
    )


def test_the_logits_are_those_of_normalised_images():
    inner = plain().eval()
    network = sense.Normalised(inner, MEAN, STD)
    x = torch.rand(5, 3, 6, 6)
    by_hand = torch.stack([(x[:, i] - MEAN[i]) / STD[i] for i in range(3)], dim=1)
    assert torch.allclose(network(x), inner(by_hand), atol=1e-6)
    one_for_all = sense.Normalised(inner, 0.5, 0.25)
    assert torch.equal(one_for_all(x), inner((x - 0.5) / 0.25))


def test_the_attack_is_the_one_on_normalised_images_in_units_of_pixels():
    """With one std, a ball of radius eps is one of radius eps / std around the normalised image."""
    inner = plain().eval()
    x, y = torch.rand(8, 3, 6, 6), torch.arange(8) % 4
    options = {"steps": 5, "random_start": False}
    x_adv = sense.pgd(sense.Normalised(inner, 0.5, 0.25), x, y, eps=0.1, step_size=0.04, **options)
    z_adv = sense.pgd(
        inner, (x - 0.5) / 0.25, y, eps=0.4, step_size=0.16, bounds=(-2.0, 2.0), **options
    )
    assert torch.allclose((x_adv - 0.5) / 0.25, z_adv, atol=1e-5)
    assert not torch.equal(x_adv, x)


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((123.7, 116.3, 103.5), (58.4, 57.1, 57.4), "divide mean and std by 255"),
        ((-0.1, 0.5, 0.5), STD, r"from 0 to 1, got \[-0.1, 0.5, 0.5\]$"),
        ((float("nan"), 0.5, 0.5), STD, "mean must be that of pixels"),
        (MEAN, (0.2, 0.0, 0.2), "std must be more than 0"),
        (MEAN, (0.2, -0.1, 0.2), "std must be more than 0"),
        (MEAN, (0.2, float("inf"), 0.2), "std must be more than 0"),
        (MEAN, 0.2, "the same length"),
        ("imagenet", 0.2, "mean must be a number, or one for each channel, got 'imagenet'"),
        ((), (), "mean must be a number"),
    ],
)
def test_a_wrong_mean_or_std_is_refused(mean, std, message):
    with pytest.raises(InputError, match=message):
        sense.Normalised(plain(), mean, std)


def test_images_with_another_number_of_channels_are_refused():
    with pytest.raises(ValueError, match="3 channels, the images 1"):
        sense.Normalised(plain(), MEAN, STD)(torch.rand(2, 1, 6, 6))


def test_dtype_and_mode_follow_the_network():
    network = sense.Normalised(plain().double().eval(), MEAN, STD).double()
    assert not network.training
    assert network(torch.rand(2, 3, 6, 6, dtype=torch.float64)).dtype == torch.float64
    on_meta = sense.Normalised(plain(), MEAN, STD).to("meta")
    assert on_meta(torch.rand(2, 3, 6, 6, device="meta")).device.type == "meta"


def test_the_exported_network_gives_the_same_logits():
    network = sense.Normalised(plain(), MEAN, STD).eval()
    x = torch.rand(2, 3, 6, 6)
    exported = torch.export.export(network, (x,)).module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(network)
    for other in (exported, scripted):
        assert torch.equal(other(x), network(x))


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_it_is_exported_with_its_mean_and_std(tmp_path, suffix):
    """`sense.export` compares the logits and raises if they differ."""
    network = sense.Normalised(plain(), MEAN, STD).eval()
    sense.export(network, tmp_path / f"network{suffix}", images=torch.rand(4, 3, 6, 6))
    assert (tmp_path / f"network{suffix}").is_file()


def test_weights_load_into_the_plain_network_and_back():
    wrapped = sense.Normalised(plain(), MEAN, STD)
    inner = load_matching_weights(plain(), wrapped.state_dict(), "wrapped")
    assert weights_sha256(inner) == weights_sha256(wrapped.model)
    other = sense.Normalised(plain(), MEAN, STD)
    assert weights_sha256(other) != weights_sha256(wrapped)
    load_matching_weights(other, {"state_dict": inner.state_dict()}, "plain")
    assert weights_sha256(other) == weights_sha256(wrapped)
    with pytest.raises(InputError, match="belong to another network"):
        load_matching_weights(sense.Normalised(plain(classes=7), MEAN, STD), inner.state_dict(), "")


def test_mean_and_std_come_with_the_weights_of_a_run(tmp_path):
    x, y = torch.rand(40, 3, 6, 6), torch.arange(40) % 4
    data = ImageData("mine", x, y, x, y, tuple("abcd"))
    config = Config(
        dataset="arrays",
        method="r-at",
        eps=0.05,
        steps=2,
        step_size=0.03,
        pretrain=0,
        epochs=1,
        batch_size=20,
        monitor_size=8,
        threads=1,
        device="cpu",
    )
    trained = sense.fit(
        config, tmp_path / "run", data=data, model=sense.Normalised(plain(), MEAN, STD)
    )
    loaded = load(tmp_path / "run", sense.Normalised(plain(), 0.5 * torch.ones(3), STD))
    assert torch.equal(loaded(x), trained(x))
    assert read_weights(tmp_path / "run/model.safetensors").keys() == trained.state_dict().keys()


FACTORY = """
import sense
from torch import nn

def network():
    inner = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    return sense.Normalised(inner, 0.1307, 0.3081)
"""


def test_a_factory_with_plain_weights_is_evaluated_by_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "normalised_factory.py").write_text(FACTORY)
    inner = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    torch.save(inner.state_dict(), tmp_path / "mine.pt")
    quick = ["--eps", "0.1", "--steps", "2", "--restarts", "1", "--n", "50", "--no-diagnostics"]
    target = ["normalised_factory:network", "--weights", "mine.pt", "--dataset", "mnist-sample"]
    evaluate_main([*target, *quick])
    shown = capsys.readouterr().out
    data = sense.data.load_data("mnist-sample")
    x = (to_float(data.test_x[:50]) - 0.1307) / 0.3081
    correct = int((inner(x).argmax(1) == data.test_y[:50]).sum())
    assert f"{correct} / 50" in " ".join(shown.split())


def test_a_network_at_chance_is_noted_with_the_remedy():
    """A network of normalised images that is right on them, and at chance on pixels."""
    torch.manual_seed(0)
    y = torch.arange(100) % 2
    x = (0.3 + 0.1 * y.float()).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).contiguous()
    inner = nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
    with torch.no_grad():
        inner[1].weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, 48))
        inner[1].bias.zero_()  # class 1 if the mean of the normalised image is positive
    options = {"eps": 0.001, "attacks": ["fgsm"]}
    hint = r"not better than chance\. .*sense\.Normalised\(network, mean, std\)"
    assert any(re.search(hint, note) for note in sense.evaluate(inner, x, y, **options).notes)
    wrapped = sense.evaluate(sense.Normalised(inner, 0.35, 0.1), x, y, **options)
    assert wrapped.notes == []
    assert wrapped.accuracy["natural"].k == 100
    assert "note:" not in str(wrapped)
