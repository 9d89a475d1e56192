"""Sensible adversarial training (SENSE-AT) of image classifiers, after Kim and Wang.

Train a network, load it, attack it and evaluate it:

    from dataclasses import replace
    import sense

    config = replace(sense.recipe("mnist-demo"), method="sense", c=0.7)
    sense.fit(config, "runs/sense")             # minutes on two cores

    from sense.data import load_data, to_float
    data = load_data("mnist-sample")
    x, y = to_float(data.test_x[:500]), data.test_y[:500]

    model = sense.load("runs/sense")
    x_adv = sense.pgd(model, x, y, eps=0.3, step_size=0.01, steps=40)
    print(sense.evaluate(model, x, y, eps=0.3, attacks=["pgd", "fgsm"], steps=40))

In a training loop of your own:

    x_adv = sense.sensible(model, x, y, eps=0.3, step_size=0.05, steps=10, c=0.7)
    loss = torch.nn.functional.cross_entropy(model(x_adv), y)
    loss.backward()

With your own images and your own network:

    data = sense.ImageData("mine", train_x, train_y, test_x, test_y, classes)
    config = replace(sense.recipe("cifar10-demo"), train_size=None)
    sense.fit(config, "runs/mine", data=data, model=network)

Functions and classes, each with its own help():

    fit              train a network; the run is stored in a folder
    load             the trained network of a run
    evaluate         natural and robust accuracy of a network on images
    export           the network in the format of ONNX or torch.export
    pgd              adversarial examples by projected gradient descent
    sensible         sensible adversarial examples: PGD stops before the probability of the true
                     class falls below c
    recipe           the options of a named recipe, such as "mnist-demo" or "cifar10-resnet"
    Config           the options of a training run, described by `python -m sense.train --help`; its
                     defaults are those of the recipe "mnist", with 500 epochs
    Callback         base class of your own code at certain moments of training
    ImageData        training and test images with their labels
    as_data          a folder, arrays, a dataset of torch or Hugging Face ... as such data
    SenseClassifier  a classifier of scikit-learn, for tables and images
    Normalised       a network that takes normalised images, as one that takes pixels from 0 to 1

More attacks are in `sense.attacks`, networks in `sense.models`, data sets in `sense.data`.

Commands, each with --help:

    python -m sense.train       train a network, or resume a run
    python -m sense.evaluate    natural and robust accuracy of trained networks, with intervals
    python -m sense.sweep       train and evaluate all cells of a grid
    python -m sense.reproduce   tables and figures of the paper, and which of its claims hold
    python -m sense.export      write the network in the format of ONNX or torch.export
    python -m sense.report      make one HTML page of evaluated runs (needs R)
    python -m sense.seal        record the checksums of a run's files after an intended change
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attacks.pgd import pgd
    from .attacks.sensible import sensible
    from .callbacks import Callback
    from .classifier import SenseClassifier
    from .config import Config, recipe
    from .data import ImageData, as_data
    from .evaluation.evaluate import evaluate
    from .models import Normalised
    from .network_export import export
    from .runs import load
    from .train import fit

# `python -m sense.evaluate` would import from the working directory before all else, which may be
# somebody's run folder. A factory that the user names is looked for there all the same.
if sys.argv[:1] == ["-m"] and not getattr(sys.flags, "safe_path", False):
    del sys.path[0]

__version__ = "0.1.0"
__all__ = [
    "Callback",
    "Config",
    "ImageData",
    "Normalised",
    "SenseClassifier",
    "as_data",
    "evaluate",
    "export",
    "fit",
    "load",
    "pgd",
    "recipe",
    "sensible",
]

_MODULES = {
    "Callback": "callbacks",
    "Config": "config",
    "ImageData": "data",
    "Normalised": "models",
    "SenseClassifier": "classifier",
    "as_data": "data",
    "evaluate": "evaluation.evaluate",
    "export": "network_export",
    "fit": "train",
    "load": "runs",
    "pgd": "attacks.pgd",
    "recipe": "config",
    "sensible": "attacks.sensible",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: `import sense` alone does not import torch."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
