"""What an evaluation needs before its first attack: the images, the attacks and the networks."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..attacks.autoattack import number_of_classes
from ..attacks.geometry import Bounds, bounds_on
from ..devices import to_device_for_evaluation
from ..networks import check_network, warn_of_batch_dependence
from .batch_size import BatchSize, choose_batch_size
from .padded import with_graphs
from .runner import (
    Attack,
    EvaluatedImages,
    build_attacks,
    check_attackable,
    choose_images,
    evaluated_images,
)
from .settings import Settings
from .targets import open_source


@dataclass(frozen=True)
class Prepared:
    """The parts of an evaluation, on its device.

    Attributes
    ----------
    model, source
        The network, and the one that `transfer` attacks; None without this attack.
    data
        The images to evaluate.
    attacks
        Without "natural".
    bounds
        Of attacked images.
    size
        How many images are attacked at once.
    """

    model: nn.Module
    source: nn.Module | None
    data: EvaluatedImages
    attacks: list[Attack]
    bounds: Bounds
    size: BatchSize

    @property
    def networks(self) -> list[nn.Module]:
        """The networks that attacks call."""
        return [self.model] if self.source is None else [self.model, self.source]


def prepare(
    settings: Settings,
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    device: torch.device,
    bounds: Bounds,
    classes: int | None = None,
) -> Prepared:
    """Return the parts of an evaluation of a network on images x with labels y, of which complete
    settings choose some. Default number of classes: that of the logits.

    Raises InputError if the attacks cannot be run on the network, ImportError if a package that one
    of them needs is not installed.
    """
    model = to_device_for_evaluation(model, device)
    data = evaluated_images(choose_images(len(x), settings.n, settings.draw), x, y, device)
    source, bounds = open_source(settings, device), bounds_on(bounds, device)
    if classes is None and "autoattack" in settings.attacks:
        model = check_network(model, data.x, y)
        classes = number_of_classes(model, data.x)
    attacks = build_attacks(settings, source, bounds, classes)
    model = check_attackable(model, data.x, y, attacks)
    if source is not None:
        check_attackable(source, data.x, y, attacks)
    warn_of_batch_dependence(model, data.x)
    size = choose_batch_size(settings.batch, model, data.x)
    return Prepared(with_graphs(model, data.x, size.images), source, data, attacks, bounds, size)
