"""The networks that are timed. They are trained, because the number of passes depends on it."""

import copy
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from sense.config import Config, recipe
from sense.data import ImageData, load_data
from sense.devices import to_device
from sense.models import build_model
from sense.runs import load, read_run
from sense.train import fit

from .settings import ROOT, Settings

MNIST_FAST = ROOT / "inst/extdata/mnist-fast"
CONVERGED = 0.9  # least share of stage C in the last epoch


class Network(NamedTuple):
    """A network, its data, the options of its training, and the metrics of the last epoch (None if
    it is untrained)."""

    model: nn.Module
    data: ImageData
    config: Config
    last_epoch: dict[str, Any] | None

    @property
    def converged(self) -> bool:
        """Whether nearly all images took all K steps in the last epoch."""
        last = self.last_epoch or {}
        stages = [last.get(f"stage_{name}", 0) for name in "abc"]
        return stages[2] >= CONVERGED * max(1, sum(stages))

    @property
    def description(self) -> str:
        """One sentence for the tables."""
        if self.last_epoch is None:
            return f"Network: {self.config.model}, untrained."
        size = min(self.config.train_size or len(self.data.train_x), len(self.data.train_x))
        parts = [
            f"Network: {self.config.model}, {self.config.pretrain} epochs of NT and "
            f"{self.config.epochs} of {self.config.method} on {size} images of {self.data.name}",
            f"of {self.last_epoch['monitored']} monitored images "
            f"{self.last_epoch['natural_correct']} are correct, "
            f"{self.last_epoch['robust_correct']} under PGD-{self.config.steps}",
        ]
        if "stage_c" in self.last_epoch:
            stages = ", ".join(str(self.last_epoch[f"stage_{name}"]) for name in "abc")
            parts.append(f"stages A, B, C of its last epoch {stages}")
        return "; ".join(parts) + "."


def torch_layers(model: nn.Module) -> nn.Module:
    """Return a copy with the same weights in which our own layers, subclasses of torch's, are
    replaced by torch's: what a user of a peer has."""
    model = copy.deepcopy(model)
    for layer in model.modules():
        layer.__class__ = torch_class(layer)
    return model


def has_own_layers(model: nn.Module) -> bool:
    """Return whether `torch_layers` would change a layer."""
    return any(torch_class(layer) is not type(layer) for layer in model.modules())


def torch_class(layer: nn.Module) -> type[nn.Module]:
    """Return the torch class that a layer is derived from; for a container, its own class."""
    if next(layer.children(), None) is not None:
        return type(layer)
    known = (kind for kind in type(layer).__mro__ if kind.__module__.startswith("torch.nn."))
    found = next(known, nn.Module)
    return type(layer) if found is nn.Module else found


def small_cnn(settings: Settings) -> Network:
    """Return SmallCNN on MNIST: that of `settings.run`, by default the stored run mnist-fast; for
    quick sizes a network after a few steps."""
    if settings.quick:
        return trained(
            settings,
            replace(
                recipe("mnist-demo"),
                model="small-cnn",
                train_size=256,
                pretrain=1,
                epochs=1,
                steps=2,
                monitor_size=16,
            ),
        )
    folder = settings.run or MNIST_FAST
    config, _ = read_run(folder)
    data = load_data(config.dataset, settings.folder_of(config.dataset))
    return load_network(folder, data)


def cifar_cnn(settings: Settings, capacity: int) -> Network:
    """Return a CNN of section 5.3.4 after ten epochs of SENSE-AT with c = 0.5."""
    config = replace(recipe("cifar10-demo"), model=f"cifar-cnn-{capacity}", epochs=10)
    if settings.quick:
        config = replace(config, train_size=256, epochs=1, pretrain=1, steps=2, monitor_size=16)
    return trained(settings, replace(config, data_dir=settings.cifar10))


def untrained(settings: Settings, config: Config) -> Network:
    """Return an untrained network, for methods whose passes do not depend on it."""
    data = load_data(config.dataset, settings.folder_of(config.dataset))
    torch.manual_seed(config.seed)
    model = build_model(config.model, data.shape, len(data.classes))
    return Network(to_device(model, torch.device("cpu")), data, config, None)


def trained(settings: Settings, config: Config) -> Network:
    """Return the network of the config: stored by an earlier section, or trained now."""
    config = replace(config, device="cpu", threads=settings.threads)
    data = load_data(config.dataset, config.data_dir)
    folder = settings.networks / (config.model + ("-quick" if settings.quick else ""))
    if not is_finished(folder, config):
        shutil.rmtree(folder, ignore_errors=True)
        fit(config, folder, data=data, show=True)
    return load_network(folder, data)


def is_finished(folder: Path, config: Config) -> bool:
    """Return whether the folder has a complete run of this config, on any device or threads."""
    if not (folder / "config.json").exists():
        return False
    begun = replace(read_run(folder)[0], threads=config.threads, data_dir=config.data_dir)
    epochs = config.pretrain + config.epochs
    return begun == config and len(metrics(folder)) == epochs


def load_network(folder: Path, data: ImageData) -> Network:
    """Return the network of a complete run."""
    model = to_device(load(folder), torch.device("cpu"))
    return Network(model, data, read_run(folder)[0], metrics(folder)[-1])


def metrics(folder: Path) -> list[dict[str, Any]]:
    """Return the metrics of each epoch."""
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
