"""Steps of training on copies of the network before the first one: for the number of epochs that a
time allows, and for the time that a number of epochs takes."""

import copy
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress

import torch
from torch import nn

from .attacks.output_checks import skip_value_checks
from .config import Config
from .data.augment import augment
from .data.loader import BatchLoader
from .distributed import OneProcess
from .methods import Batch, Method, TwoPartMethod
from .monitor import Monitor
from .optimizers import build_optimizer
from .precision import prepare
from .random_numbers import preserved_random_state
from .stopping import Stop, stoppable
from .time_budget import fit_into, measured_times
from .time_estimate import time_note
from .training import Training, batches
from .weight_perturbation import PerturbedWeights, perturbed_parameters, restored_weights


def plan_epochs(
    config: Config,
    network: nn.Module,
    loader: BatchLoader,
    monitor: Monitor,
    method_of: Callable[[Config], Method],
    began: float,
) -> Config:
    """Return the options with the number of epochs that ends in time, from steps of training on
    copies of the network. Random numbers are those of a training without this trial."""
    assert config.minutes is not None
    with preserved_random_state():
        times = measured_times(
            config,
            len(batches(config, len(loader), 0)),
            lambda options: trial_steps(options, network, loader, method_of(options)),
            lambda: monitor.evaluate(copy.deepcopy(network), config),
        )
    return fit_into(config, began + 60 * config.minutes - time.monotonic(), times)


def note_of_time(
    training: Training,
    network: nn.Module,
    method_of: Callable[[Config], Method],
    auto_precision: bool,
    stop: Stop,
) -> str | None:
    """Return `time_note`, from steps on copies of the network. Random numbers are those of a
    training without them. A training whose network cannot be copied, or of which the device's
    memory holds no copy, has no such sentence."""
    loader = training.loader
    try:
        copy.deepcopy(network)
    except Exception:  # of the user's own network
        return None

    def take_steps(options: Config, images: int, ended: Stop) -> Iterator[float]:
        return trial_steps(options, network, loader, method_of(options), images, ended)

    with preserved_random_state(), suppress(torch.OutOfMemoryError):
        return time_note(
            training.config,
            len(loader),
            len(training.monitor.x),
            loader.device,
            take_steps,
            auto_precision=auto_precision,
            stop=stop,
        )
    return None


def trial_steps(
    config: Config,
    network: nn.Module,
    loader: BatchLoader,
    method: Method,
    images: int | None = None,
    stop: Stop = lambda: None,
) -> Iterator[float]:
    """Take steps of training on a copy of the network; yield the seconds of each. With `images`
    each batch has only so many. On a CPU the network is `stoppable`."""
    model, epoch = copy.deepcopy(network).train(), float(config.epochs)
    on_cpu = loader.device.type == "cpu"
    compute_step = OneProcess().attach(prepare(model, config.precision, config.cuda_graphs).train())
    optimizer = build_optimizer(config, model)
    if config.awp and isinstance(method, TwoPartMethod):
        method = PerturbedWeights(method, config.awp)
    for index in itertools.cycle(batches(config, len(loader), 0)):
        index = index[:images]
        began = time.perf_counter()
        optimizer.zero_grad()
        perturbed = restored_weights(perturbed_parameters(model) if config.awp else ())
        with stoppable(model, stop) if on_cpu else nullcontext(), perturbed:
            with skip_value_checks():
                x, y = loader.take(index)
                step = compute_step(method, Batch(augment(x, config.augment), y, index), epoch)
            step.loss.backward()
        optimizer.step()
        float(step.loss.detach())  # waits for the device
        yield time.perf_counter() - began
