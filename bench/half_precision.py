"""Section half-precision: training steps in bfloat16, relative to float32, on a processor with
instructions for bfloat16."""

from dataclasses import replace

import torch

from sense.config import Config, recipe
from sense.timed_choices import bfloat16_is_native

from .networks import Network, untrained
from .report import Comparison, Section
from .settings import Settings
from .steps import first_images, our_epoch, timed_options
from .timing import Contender, alternate

MODELS = {"small-cnn": "mnist", "cifar-cnn-2": "cifar10", "resnet20": "cifar10"}
METHODS = ("r-at", "sense")
BASELINE = "r-at, float32"


def run(settings: Settings) -> Section:
    if not bfloat16_is_native(torch.device("cpu")) and not settings.quick:
        note = "Not measured: this processor has neither AMX nor avx512_bf16."
        return Section("half-precision", notes=(note,))
    models = ["small-cnn"] if settings.quick else list(MODELS)
    return Section("half-precision", tuple(compare(model, settings) for model in models))


def compare(model: str, settings: Settings) -> Comparison:
    """Time an epoch of one method after the other, in both formats."""
    base = recipe("mnist" if MODELS[model] == "mnist" else "cifar10-cnn")
    if settings.quick:
        base = replace(base, dataset="mnist-sample")
    network = untrained(settings, replace(base, model=model))
    options = timed_options(
        network.config, batch_size=settings.pick(8, 128), steps=settings.pick(1, 10)
    )
    contenders = {
        f"{method}, {precision}": contender(
            network, replace(options, method=method, precision=precision)
        )
        for method in METHODS
        for precision in ("float32", "bfloat16")
    }
    times = alternate(contenders, settings.pick(1, 5))
    return Comparison(
        f"Training step, {model} on {network.data.name}",
        times,
        BASELINE,
        notes=(network.description,),
    )


def contender(network: Network, options: Config) -> Contender:
    return our_epoch(network, options, first_images(network.data, options.batch_size), {})
