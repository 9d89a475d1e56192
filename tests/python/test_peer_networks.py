"""Networks as timm, torchvision and Hugging Face build them, written out by hand: those packages
are not installed here."""

from collections import namedtuple
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

import sense
from sense.config import Config
from sense.data import ImageData
from sense.errors import InputError
from sense.runs import load

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
QUICK = Config(
    method="sense",
    eps=8 / 255,
    step_size=4 / 255,
    steps=2,
    c=0.3,
    pretrain=0,
    epochs=1,
    batch_size=4,
    lr=0.01,
    monitor_size=4,
    threads=1,
    device="cpu",
)


class DropPath(nn.Module):
    """Stochastic depth, as in timm: in training whole images skip the block."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * (torch.rand(len(x), 1, 1, 1, device=x.device) < 0.8) / 0.8


class Timm(nn.Module):
    """A classifier with timm's interface: features, a pooled head, and the `pretrained_cfg`."""

    def __init__(self, num_classes: int = 1000, in_chans: int = 3, width: int = 8) -> None:
        super().__init__()
        self.num_classes, self.num_features = num_classes, width
        self.pretrained_cfg = {"input_size": (in_chans, 224, 224), "mean": MEAN, "std": STD}
        self.stem = nn.Conv2d(in_chans, width, 16, stride=16, bias=False)
        self.bn = nn.BatchNorm2d(width)
        self.block = nn.Conv2d(width, width, 3, padding=1)
        self.drop_path = DropPath()
        self.fc = nn.Linear(width, num_classes)

    def get_classifier(self) -> nn.Module:
        return self.fc

    def reset_classifier(self, num_classes: int) -> None:
        self.num_classes, self.fc = num_classes, nn.Linear(self.num_features, num_classes)

    def forward_features(self, x: Tensor) -> Tensor:
        x = torch.relu_(self.bn(self.stem(x)))
        return x + self.drop_path(self.block(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        x = x.mean((2, 3))
        return x if pre_logits else self.fc(x)

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))


InceptionOutputs = namedtuple("InceptionOutputs", ["logits", "aux_logits"])


class Inception(Timm):
    """As torchvision's Inception: in training it also returns the logits of an auxiliary head."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.aux = nn.Linear(self.num_features, num_classes)

    def forward(self, x):
        features = self.forward_features(x)
        logits = self.forward_head(features)
        if not self.training:
            return logits
        return InceptionOutputs(logits, self.aux(features.mean((2, 3))))


class Transformers(Timm):
    """As the image classifiers of transformers: the pixels have a name, and so have the logits."""

    def forward(self, pixel_values):
        return SimpleNamespace(loss=None, logits=super().forward(pixel_values))


@pytest.fixture(scope="module")
def large() -> ImageData:
    """Twelve images of 224 x 224 pixels in three classes."""
    torch.manual_seed(3)
    x = torch.randint(0, 256, (12, 3, 224, 224), dtype=torch.uint8)
    y = torch.arange(12) % 3
    x[y == 1, 0] //= 4
    x[y == 2, 1] //= 4
    return ImageData("large", x, y, x, y, ("a", "b", "c"))


@pytest.mark.parametrize("kind", [Timm, Inception, Transformers])
def test_a_network_of_another_library_is_trained_loaded_and_evaluated(kind, large, tmp_path):
    inner = kind(num_classes=3)
    before = inner.stem.weight.clone()
    config = inner.pretrained_cfg
    network = sense.Normalised(inner, config["mean"], config["std"])
    sense.fit(QUICK, tmp_path / "run", data=large, model=network)
    assert not torch.equal(inner.stem.weight, before)
    plain = load(tmp_path / "run", kind(num_classes=3))  # without mean and std: its own weights
    assert torch.equal(plain.stem.weight, inner.stem.weight)
    again = load(tmp_path / "run", sense.Normalised(kind(num_classes=3), MEAN, STD))
    options = {"eps": 4 / 255, "attacks": ["fgsm", "pgd"], "steps": 2, "restarts": 1}
    found = [
        sense.evaluate(model, large.test_x, large.test_y, **options).outcomes
        for model in (network, again)
    ]
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", [Timm, Inception, Transformers])
def test_too_few_classes_are_refused_before_training(kind, large, tmp_path):
    network = sense.Normalised(kind(num_classes=2), MEAN, STD)
    with pytest.raises(InputError, match="labels up to 2, the network gives 2 logits"):
        sense.fit(QUICK, tmp_path / "run", data=large, model=network)
    assert not (tmp_path / "run").exists()


def test_the_head_of_imagenet_is_warned_of(large, tmp_path, caplog):
    network = sense.Normalised(Timm(), MEAN, STD)
    sense.fit(QUICK, tmp_path / "run", data=large, model=network)
    assert "gives 1000 logits for 3 classes: replace its last layer" in caplog.text


def test_a_new_head_replaces_that_of_imagenet(large, tmp_path):
    network = Timm()
    network.reset_classifier(3)
    sense.fit(QUICK, tmp_path / "run", data=large, model=network)
    assert network(large.test_x[:2].float() / 255).shape == (2, 3)


def test_greyscale_images_do_not_fit_a_network_of_colours(tmp_path):
    x, y = torch.rand(12, 1, 224, 224), torch.arange(12) % 3
    network = sense.Normalised(Timm(3), MEAN, STD)
    with pytest.raises(ValueError, match="3 channels, the images 1"):
        sense.fit(QUICK, tmp_path / "run", data=(x, y), model=network)
