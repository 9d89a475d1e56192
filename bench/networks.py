"""The networks that are timed: trained ones, since how many passes an image takes depends on it."""

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
from sense.runs import load_model, read_run
from sense.train import fit

from .settings import ROOT, Settings

MNIST_FAST = ROOT / "inst/extdata/mnist-fast"
CONVERGED = 0.9  # "nearly all images take all K steps", as a share of stage C in the last epoch


class Network(NamedTuple):
    """A network, what it is trained on, the options of its training, and what became of it: the
    last line of its metrics, None where it is untrained."""

    model: nn.Module
    data: ImageData
    config: Config
    last: dict[str, Any] | None

    @property
    def converged(self) -> bool:
        """Did nearly all images take all steps in the last epoch?"""
        last = self.last or {}
        stages = [last.get(f"stage_{name}", 0) for name in "abc"]
        return stages[2] >= CONVERGED * max(1, sum(stages))

    @property
    def about(self) -> str:
        """A sentence for the tables."""
        if self.last is None:
            return f"Network: {self.config.model}, untrained."
        size = min(self.config.train_size or len(self.data.train_x), len(self.data.train_x))
        parts = [
            f"Network: {self.config.model}, {self.config.pretrain} epochs of NT and "
            f"{self.config.epochs} of {self.config.method} on {size} images of {self.data.name}",
            f"of {self.last['monitored']} test images {self.last['natural_correct']} right, "
            f"{self.last['robust_correct']} under PGD-{self.config.steps}",
        ]
        if "stage_c" in self.last:
            stages = ", ".join(str(self.last[f"stage_{name}"]) for name in "abc")
            parts.append(f"stages A, B, C of its last epoch {stages}")
        return "; ".join(parts) + "."


def torch_layers(model: nn.Module) -> nn.Module:
    """A copy in which layers of our own, made from torch's for speed, are torch's again: what a
    peer's user has, with the same weights."""
    model = copy.deepcopy(model)
    for layer in model.modules():
        layer.__class__ = torch_class(layer)
    return model


def has_own_layers(model: nn.Module) -> bool:
    """Is there a layer that `torch_layers` changes?"""
    return any(torch_class(layer) is not type(layer) for layer in model.modules())


def torch_class(layer: nn.Module) -> type[nn.Module]:
    """Of a layer, the class of torch's that it is made from; of what holds others, its own."""
    if next(layer.children(), None) is not None:
        return type(layer)
    known = (kind for kind in type(layer).__mro__ if kind.__module__.startswith("torch.nn."))
    found = next(known, nn.Module)
    return type(layer) if found is nn.Module else found


def small_cnn(settings: Settings) -> Network:
    """SmallCNN on MNIST: that of `settings.run`, else the one stored, of recipe mnist-fast; for
    quick sizes one that is hardly trained."""
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
                monitor=16,
            ),
        )
    folder = settings.run or MNIST_FAST
    config, _ = read_run(folder)
    data = load_data(config.dataset, settings.mnist if config.dataset == "mnist" else None)
    return finished(folder, data)


def cifar_cnn(settings: Settings, capacity: int) -> Network:
    """A CNN of section 5.3.4 after ten epochs of SENSE-AT with c = 0.5."""
    config = replace(recipe("cifar10-demo"), model=f"cifar-cnn-{capacity}", epochs=10)
    if settings.quick:
        config = replace(config, train_size=256, epochs=1, pretrain=1, steps=2, monitor=16)
    return trained(settings, replace(config, data_dir=settings.cifar10))


def untrained(settings: Settings, config: Config) -> Network:
    """For methods whose passes do not depend on the network."""
    data = load_data(config.dataset, settings.cifar10 if config.dataset == "cifar10" else None)
    torch.manual_seed(config.seed)
    model = build_model(config.model, data.shape, len(data.classes))
    return Network(to_device(model, torch.device("cpu")), data, config, None)


def trained(settings: Settings, config: Config) -> Network:
    """The network of the config, from the folder where the bench has left it, else trained now."""
    config = replace(config, device="cpu", threads=settings.threads)
    data = load_data(config.dataset, config.data_dir)
    folder = settings.networks / (config.model + ("-quick" if settings.quick else ""))
    if not is_finished(folder, config):
        shutil.rmtree(folder, ignore_errors=True)
        fit(config, folder, data=data, show=True)
    return finished(folder, data)


def is_finished(folder: Path, config: Config) -> bool:
    """Is there a run of this config, trained to its end? Where it ran does not matter."""
    if not (folder / "config.json").exists():
        return False
    begun = replace(read_run(folder)[0], threads=config.threads, data_dir=config.data_dir)
    epochs = config.pretrain + config.epochs
    return begun == config and len(metrics(folder)) == epochs


def finished(folder: Path, data: ImageData) -> Network:
    """The network of a run."""
    model = to_device(load_model(folder), torch.device("cpu"))
    return Network(model, data, read_run(folder)[0], metrics(folder)[-1])


def metrics(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
