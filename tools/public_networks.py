"""Networks of two public checkpoints, written from their papers, with the names of their files.

docs/evaluation.md shows the commands, and compares the outcome with the published figures. The
files are not part of this repository. From its root, for example:

python -m sense.evaluate tools.public_networks:trades --weights model_mnist_smallcnn.pt \
  --dataset mnist --data-dir DIR --eps 0.3 --attacks pgd autoattack --n 500 --draw 1
"""

from collections import OrderedDict

from torch import Tensor, nn


def convex_adversarial() -> nn.Module:
    """Return the network of models/mnist.pth of locuslab/convex_adversarial (Wong and Kolter
    2018): two convolutions with stride 2 and two linear layers, without normalisation."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )


class _Trades(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.feature_extractor = _named(
            conv1=nn.Conv2d(1, 32, 3),
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(32, 32, 3),
            relu2=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv3=nn.Conv2d(32, 64, 3),
            relu3=nn.ReLU(),
            conv4=nn.Conv2d(64, 64, 3),
            relu4=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
        )
        self.classifier = _named(
            fc1=nn.Linear(64 * 4 * 4, 200),
            relu1=nn.ReLU(),
            drop=nn.Dropout(0.5),
            fc2=nn.Linear(200, 200),
            relu2=nn.ReLU(),
            fc3=nn.Linear(200, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.feature_extractor(x).flatten(1))


def trades() -> nn.Module:
    """Return the network of checkpoints/model_mnist_smallcnn.pt of yaodongyu/TRADES (Zhang et al.
    2019): four convolutions and three linear layers, without normalisation."""
    return _Trades()


def _named(**layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(layers))
