"""All that comes before the first step of training: data, network, checks and choices."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .attacks.geometry import bounds_on
from .config import Config
from .config.options import CODE_OPTIONS, Dataset
from .data import Data, TableData, as_data, load_data, to_float
from .data.augment import check_own_augmentation
from .data.class_weights import class_weights
from .data.loader import BatchLoader
from .data.streams import StreamedImages
from .description import ASKED
from .devices import check_cuda_options, configure_backend, to_device
from .distributed import OneProcess, join_group
from .errors import InputError
from .extensions import Code, is_code, trusted_name
from .methods import Method, TwoPartMethod, build_method
from .models import build_model
from .models.custom import custom_model_name
from .monitor import Monitor, training_part
from .networks import (
    CHECKED_IMAGES,
    LogitsModel,
    check_trainable,
    initialise_lazy_modules,
    saveable_state_dict,
    uncompiled,
)
from .optimizers import build_optimizer
from .precision import CudaGraphs, Precision, prepare
from .resumed_options import as_begun
from .run_folder import RunFolder
from .runs import CONFIG, create_run, read_run, resume_run, with_choices_of
from .timed_choices import choose_cuda_graphs, choose_precision
from .training import Training, batches, load
from .training_state import TrainingState
from .trial_steps import note_of_time, plan_epochs
from .weight_average import weight_average
from .weight_perturbation import perturbed_parameters


def set_up(
    config: Config,
    run: RunFolder,
    data: Any,
    model: nn.Module | str | None,
    resume: bool,
    command: str | None,
    began: float,
) -> Training:
    """Make all that training needs, then the folder of a new run; or restore the checkpoint of a
    run that is resumed. `began`: time.monotonic() at the start."""
    if isinstance(data, str | Path):
        config, data = replace(config, dataset="folder", data_dir=Path(data)), None
    processes = join_group()
    if config.minutes is not None and processes.size > 1:
        raise InputError(f"minutes needs a single process, got {processes.size}: leave it out")
    processes.set_threads(config.threads)
    config, device, images = processes.on_every_process(
        lambda: open_inputs(config, data, processes, run if resume else None)
    )
    processes.check_same("images", images.sha256)
    # With a data_dir the images are those of config.dataset, under the name of their folder.
    if data is not None and config.data_dir is None and images.name != config.dataset:
        own: Dataset = "table" if isinstance(images, TableData) else "arrays"
        config = replace(config, dataset=own)
    config, model = processes.on_every_process(lambda: name_model(config, model, run, resume))
    config = processes.on_every_process(lambda: with_code(config, run, resume))
    processes.on_first_process(
        lambda: resume_run(run, config, images, device) if resume else run.check_unused()
    )
    model, network, loader, monitor = processes.on_every_process(
        lambda: build(model, config, images, device)
    )
    processes.synchronize(model, config.seed, device)
    weights = class_weights(config.class_weights, loader.y, len(images.classes))
    bounds = bounds_on(images.bounds, device)

    def method_of(options: Config) -> Method:
        return build_method(options, len(loader), bounds, weights, images.shape)

    auto_precision = config.precision == "auto"
    config = choose_by_timing(config, network, loader, method_of, processes)
    noted: dict[str, Any] = {}
    if config.minutes is not None and not resume:
        noted = {ASKED: config.epochs}
        config = plan_epochs(config, network, loader, monitor, method_of, began)
    optimizer, method = build_optimizer(config, model), method_of(config)
    if config.awp:
        check_perturbable(config, method, model)
    state = TrainingState(model, optimizer, method, processes)
    if config.ema:
        state.average = weight_average(model, config.ema)
    training = Training(
        config,
        run,
        state,
        loader,
        monitor,
        LogitsModel(state.result) if isinstance(network, LogitsModel) else state.result,
        processes.attach(prepare(network, config.precision, config.cuda_graphs).train()),
    )
    if resume:
        load(training)
    else:
        if processes.size == 1 and not isinstance(loader.x, StreamedImages):
            training.time_note = partial(note_of_time, training, network, method_of, auto_precision)
        processes.on_first_process(
            lambda: create_run(run, config, images, command, processes.size, device, noted)
        )
    return training


def open_inputs(
    config: Config, data: Any, processes: OneProcess, resumed: RunFolder | None
) -> tuple[Config, torch.device, Data]:
    """Return the config, with the choices of the run that is resumed; the device; and the images.

    A run that was begun on a CUDA device may be resumed on another, where it is computed in
    float32 and without CUDA graphs.
    """
    device = processes.choose_device(config.device)
    if resumed is None:
        check_cuda_options(device, precision=config.precision, cuda_graphs=config.cuda_graphs)
    else:
        begun, description = read_run(resumed.path)
        config = as_begun(with_choices_of(begun, config), begun, description)
        if config.cuda_graphs != begun.cuda_graphs:
            check_cuda_options(device, cuda_graphs=config.cuda_graphs)
    configure_backend(device, config.precision)
    if data is None:
        return config, device, load_data(config.dataset, config.data_dir)
    return config, device, as_data(data)


def _passes(config: Config, images: int) -> float:
    """Return about the number of passes of a batch in a training: one for each step of the attack
    and one for the update. With a time limit it is not known, and infinite."""
    if config.minutes is not None:
        return math.inf
    of_step = 1 if config.method == "nt" else config.steps + 1
    steps = math.ceil(images / config.batch_size)
    return steps * (config.epochs * of_step + config.pretrain)


def choose_by_timing(
    config: Config,
    network: nn.Module,
    loader: BatchLoader,
    method_of: Callable[[Config], Method],
    processes: OneProcess,
) -> Config:
    """Return the config with a precision, and with a way to launch passes."""
    device = loader.device

    def take() -> tuple[Tensor, Tensor]:
        return loader.take(torch.arange(min(config.batch_size, len(loader))))

    def choose() -> tuple[Precision, CudaGraphs]:
        passes = _passes(config, len(loader))
        precision = choose_precision(config.precision, device, network, take, passes)
        configure_backend(device, precision)
        chosen = replace(config, precision=precision)
        return precision, choose_cuda_graphs(
            chosen, device, network, take, method_of, processes.size
        )

    precision, cuda_graphs = processes.on_first_process(choose)
    configure_backend(device, precision)
    return replace(config, precision=precision, cuda_graphs=cuda_graphs)


def name_model(
    config: Config, model: nn.Module | str | None, run: RunFolder, resume: bool
) -> tuple[Config, nn.Module | str]:
    """Return the config with the name of the model, and the model or the name to build it from."""
    if isinstance(model, nn.Module):
        model = uncompiled(model)
        return replace(config, model=custom_model_name(model)), model
    if resume:
        return config, trusted_name(model, config.model, run.path / CONFIG)
    config = replace(config, model=model or config.model)
    return config, config.model


def with_code(config: Config, run: RunFolder, resume: bool) -> Config:
    """Return the config with the code of the user's own that it names. Raises InputError for a name
    that was only read from the folder of the run."""
    found: dict[str, Any] = {}
    for option in CODE_OPTIONS:
        name = getattr(config, option)
        if is_code(name) and not isinstance(name, Code):
            if resume:
                trusted_name(None, name, run.path / CONFIG, option, option)
            found[option] = Code.named(name, option)
    return replace(config, **found)


def build(
    model: nn.Module | str, config: Config, images: Data, device: torch.device
) -> tuple[nn.Module, nn.Module, BatchLoader, Monitor]:
    """Return the model on the device, with weights drawn with the seed if it is given by name; the
    model as a network that returns logits; and the training and monitored images."""
    torch.manual_seed(config.seed)
    if isinstance(model, str):
        model = build_model(model, images.shape, len(images.classes))
    first = torch.arange(min(CHECKED_IMAGES, len(images.train_y)))
    initialise_lazy_modules(model, to_float(images.train_x[first]))
    model = to_device(model, device).train()
    kept, held_out = training_part(images, config)
    loader = BatchLoader(images.train_x, images.train_y, device, kept=kept)
    network = check_start(model, loader, config, len(images.classes))
    return model, network, loader, Monitor.of(images, kept, held_out, config, device)


def check_start(model: nn.Module, loader: BatchLoader, config: Config, classes: int) -> nn.Module:
    """Return the model as a network that returns logits. Raises InputError if it cannot be trained
    to the end, or cannot be saved."""
    order = batches(config, len(loader), 0)
    smallest = min(map(len, order))
    if config.method == "free" and len(order) < config.replays:
        raise InputError(
            f"replays must be at most the number of batches with free, {len(order)} here, got "
            f"{config.replays}: an epoch goes over 1/replays of the batches"
        )
    x, y = loader.take(torch.arange(min(len(loader), max(2, smallest), CHECKED_IMAGES)))
    check_own_augmentation(x, config.augment)
    attacked = config.method != "nt" and not is_code(config.method)
    network = check_trainable(
        model, x, y, classes=classes, smallest_batch=smallest, attacked=attacked
    )
    saveable_state_dict(model.state_dict())
    return network


def check_perturbable(config: Config, method: Method, model: nn.Module) -> None:
    """Raise InputError if AWP is not possible with this method or model."""
    if not isinstance(method, TwoPartMethod):
        raise InputError(
            f"awp must be 0 with {config.method}, whose loss cannot be computed again on the same "
            f"examples, got {config.awp:g}"
        )
    if not perturbed_parameters(model):
        raise InputError(
            f"awp must be 0 for a network without a parameter of two or more dimensions, got "
            f"{config.awp:g}"
        )
