"""Train a network: `python -m sense.train [RECIPE] --option value ...`, or `fit(config, out)`.

    python -m sense.train                        SENSE-AT on the MNIST sample, a few minutes
    python -m sense.train mnist-demo --method r-at --out runs/r-at
    python -m sense.train mnist --data-dir DIR   section 5.2.1 of the paper, 500 epochs
    python -m sense.train --resume runs/r-at     resume a run that was interrupted
    torchrun --nproc-per-node 2 -m sense.train   the same with two processes, see `distributed`

A run is a folder, which `sense.runs` describes. `train` is the loop, `set_up` all that comes
before it.
"""

import copy
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from .attacks.geometry import bounds_on
from .attacks.output_checks import skip_value_checks
from .callbacks import Callback, Callbacks, OnEpoch
from .checkpoint import WEIGHTS, has_checkpoint, load_checkpoint, pack_weights, save_checkpoint
from .collapse import collapse_summary, new_collapse
from .config import Config, notes
from .config.options import CODE_OPTIONS, Dataset
from .data import Data, TableData, as_data, load_data, to_float
from .data.augment import augment, check_own_augmentation
from .data.class_weights import class_weights
from .data.loader import BatchLoader
from .devices import check_cuda_options, configure_backend, to_device
from .distributed import ComputeStep, OneProcess, Shard, join_group
from .errors import InputError, NotFiniteError
from .extensions import Code, is_code, trusted_name
from .methods import (
    Batch,
    Method,
    NaturalTraining,
    Step,
    TwoPartMethod,
    build_method,
    check_own_step,
)
from .model_card import write_card
from .models import build_model
from .models.custom import custom_model_name
from .monitor import Monitor, training_part
from .networks import (
    CHECKED_IMAGES,
    LogitsModel,
    check_finite_gradients,
    check_finite_weights,
    check_trainable,
    initialise_lazy_modules,
    saveable_state_dict,
    torch_defaults,
    uncompiled,
)
from .optimizers import build_optimizer, set_learning_rate
from .precision import CudaGraphs, Precision, prepare
from .process_settings import restored_settings
from .progress import BatchMetrics, LateMetrics, epoch_line
from .random_numbers import preserved_random_state
from .run_folder import RunFolder
from .runs import (
    CONFIG,
    METRICS,
    create_run,
    metrics_text,
    read_run,
    resume_run,
    with_choices_of,
)
from .schedules import learning_rate
from .stopping import PassStopped, StoppingPoint
from .time_budget import TIME_OVER, fit_into, measured_times, until
from .timed_choices import choose_cuda_graphs, choose_precision
from .training_state import TrainingState
from .weight_average import update_average, weight_average
from .weight_perturbation import PerturbedWeights, perturbed_parameters, restored_weights
from .weights import weights_sha256

BY_CALLBACK = 2**31  # the reason to stop that a callback gives; others are numbers of signals


class TrainingStopped(Exception):  # noqa: N818  nothing went wrong
    """Training was asked to stop. The run's folder holds a checkpoint to resume from.

    `reason` is the value that `stop` returned, such as the number of a signal.
    """

    def __init__(self, folder: Path, reason: int) -> None:
        super().__init__(f"stopped; resume with --resume {folder}")
        self.reason = reason


@dataclass
class Training:
    """A network in training.

    Attributes
    ----------
    config, run
        The options and the folder of the run.
    state
        All that changes in training: model, optimizer, method and progress.
    loader, monitor
        The training images, and those that each epoch's accuracies are measured on.
    network
        The model that is evaluated (`state.result`), with logits as its output.
    compute_step
        Computes the training step (loss and stages) of a method on a batch.
    stopping
        Whether a callback has called `stop`.
    """

    config: Config
    run: RunFolder
    state: TrainingState
    loader: BatchLoader
    monitor: Monitor
    network: nn.Module
    compute_step: ComputeStep
    stopping: bool = False

    # What callbacks use, see `Callback`.

    @property
    def folder(self) -> Path:
        return self.run.path

    @property
    def model(self) -> nn.Module:
        return self.state.model

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        return self.state.optimizer

    @property
    def epoch(self) -> int:
        return self.state.progress.epoch

    @property
    def step(self) -> int:
        return self.state.progress.step

    @property
    def metrics(self) -> list[dict[str, Any]]:
        return self.state.progress.metrics

    def stop(self) -> None:
        self.stopping = True

    @property
    def processes(self) -> OneProcess:
        return self.state.processes

    @property
    def epochs(self) -> int:
        return self.config.pretrain + self.config.epochs

    @property
    def is_pretraining(self) -> bool:
        return self.state.progress.epoch < self.config.pretrain


def fit(
    config: Config,
    out: Path | str | RunFolder,
    *,
    data: Any = None,
    model: nn.Module | str | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
    stop: Callable[[], int | None] = lambda: None,
    show: bool = False,
    command: str | None = None,
) -> nn.Module:
    """Train a network and write the run to the folder `out`.

    Parameters
    ----------
    config
        The options of training.
    out
        Folder of the run: a new folder, or with `resume` the folder of a run with this config. A
        new folder is created after all checks. The folder is locked until the function returns.
    data
        The images, in any form of `as_data`: `ImageData`, numpy arrays or tensors, a dataset of
        torch or Hugging Face, a DataLoader, or a folder of PNG and JPEG files. config.json then
        has the dataset "arrays", "table" or "folder".
        Default: those of `config.dataset`.
    model
        A network of your own, which is trained in place, or the name of a network. Default: that of
        `config.model`. config.json stores only the name of the class of a network that is passed
        here: to load the run, pass the network again. To resume a run with a factory, pass the name
        of the factory again.
    resume
        Resume the run in `out`. With the same number of threads and processes the weights are,
        bit for bit, those of a run that was never interrupted.
    callbacks
        See `Callback`.
    on_epoch
        A callback that is one function: called with the metrics of each epoch, in the first process
        only.
    stop
        Called after each step, and in the passes of slow steps on a CPU, where the step is then
        lost. A value other than None stops training: a checkpoint is written and `TrainingStopped`
        is raised.
    show
        Print a line per epoch, and show a progress bar on a terminal.
    command
        Command to store in config.json. Default: that of this process.

    Returns
    -------
    The trained network in evaluation mode, with the weights that the run keeps. If the time of
    `config.minutes` is over before the last epoch, the run is saved as it is, to be resumed.
    """
    began = time.monotonic()
    with (
        restored_settings(),
        torch_defaults(),
        out if isinstance(out, RunFolder) else RunFolder(out) as run,
    ):
        training = set_up(config, run, data, model, resume, command, began)
        show = show and training.processes.is_first
        if show:
            for note in notes(training.config, training.monitor.x.shape[1]):
                print(f"note: {note}", file=sys.stderr, flush=True)
        own = [*callbacks, OnEpoch(on_epoch)] if on_epoch is not None else callbacks
        calls = Callbacks(own, training, save_finite)
        minutes = training.config.minutes
        stop = until(stop, None if minutes is None else began + 60 * minutes)
        try:
            train_until_stopped(training, calls, stop=stop, show=show)
        except Exception as error:
            calls("on_error", error)
            raise
        finally:
            training.loader.close()
        state = training.state
        if show and (summary := collapse_summary(state.progress.metrics)):
            print(f"note: {summary}", file=sys.stderr, flush=True)
        if state.best.weights or state.average is not None:
            state.model.load_state_dict(state.kept_weights())
        training.processes.on_first_process(lambda: write_card(run, weights_sha256(state.model)))
        return state.model.eval()


def train_until_stopped(
    training: Training, calls: Callbacks, *, stop: Callable[[], int | None], show: bool
) -> None:
    """`train`, where a slow step may be stopped in its midst, and which ends without an error when
    the time is over."""
    point = StoppingPoint(training.state, training.loader.device, stop)
    try:
        with point:
            train(training, calls, stop=stop, show=show, point=point)
        return
    except PassStopped as error:
        reason = error.reason
        point.restore()
        save(training)
    except TrainingStopped as error:
        reason = error.reason
    if reason != TIME_OVER:
        raise TrainingStopped(training.run.path, reason)
    if show:
        done, run = training.state.progress.epoch, training.run.path
        print(
            f"note: the time is over after {done} of {training.epochs} epochs; resume with "
            f"--resume {run}",
            file=sys.stderr,
            flush=True,
        )
    calls("on_train_end")


def train(
    training: Training,
    calls: Callbacks,
    *,
    stop: Callable[[], int | None],
    show: bool,
    point: StoppingPoint,
) -> None:
    """Train until the last epoch is complete: load, attack, loss, update, save."""
    config, processes, state = training.config, training.processes, training.state
    model, optimizer, progress = state.model, state.optimizer, state.progress
    positions = 0  # in the batch, divided among the processes; 0: exchange the state
    late = LateMetrics(processes)
    latest: BatchMetrics | None = None

    def take_metrics(wait: bool = False) -> None:
        nonlocal latest
        for metrics, when, counts in late.take(wait):
            check_finite_loss(metrics, model, config, when)
            if counts:
                progress.add(metrics)
                latest = metrics

    def record_step(step: Step, images: int, *, epoch: float, counts: bool) -> None:
        late.add(step, images, epoch, counts=counts)
        # From a CPU, and for callbacks, those of this step, before its update.
        take_metrics(wait=calls.follow_steps)

    calls("on_train_start")
    while progress.epoch < training.epochs:
        method = state.method
        if training.is_pretraining:
            method = NaturalTraining(config)
            method.class_weights = state.method.class_weights
        order = batches_of_epoch(training, method)
        rest = [processes.own_part(index) for index in order[progress.step :]]
        training.loader.plan(rest, config.seed * 1_000_003 + progress.epoch)
        bar = progress_bar(training, len(order), show)
        calls("on_epoch_start")
        for index in order[progress.step :]:
            began = time.perf_counter()
            point.set()
            epoch = progress.epoch + progress.step / len(order)
            set_learning_rate(optimizer, learning_rate(config, epoch), config)

            batch = load_batch(training, index)
            if method.state_by_position and len(index) != positions:
                state.share_method_state()
                positions = len(index)
            for replay in range(1, method.replays + 1):
                optimizer.zero_grad()
                record = partial(record_step, epoch=epoch, counts=replay == method.replays)
                compute_gradients(training, method, batch, index, epoch, record)
                point.clear()
                optimizer.step()
                if state.average is not None:
                    update_average(state.average, model, copy_only=training.is_pretraining)

            progress.end_step(time.perf_counter() - began)
            bar.update()
            if progress.images:
                bar.set_postfix(loss=f"{progress.mean_loss():.3f}", **progress.stage_counts())
            if calls.follow_steps and latest is not None:
                calls("on_step", latest.loss / latest.images)
            reason = processes.agree(BY_CALLBACK if training.stopping else stop())
            if reason is not None and progress.step < len(order):
                take_metrics(wait=True)
                check_finite_weights(model, advice(config, epoch))
                save(training)
                if reason != BY_CALLBACK:
                    raise TrainingStopped(training.run.path, reason)
                break
        bar.close()
        if progress.step < len(order):
            break
        began = time.perf_counter()
        take_metrics(wait=True)
        progress.seconds += time.perf_counter() - began
        point.set()
        check_finite_weights(model, advice(config, progress.epoch + 1))
        line = epoch_metrics(training)
        point.clear()
        progress.end_epoch(line)
        save(training)
        if show:
            print(epoch_line(progress.metrics, training.epochs), flush=True)
            if note := new_collapse(progress.metrics):
                print(f"note: {note}", file=sys.stderr, flush=True)
        calls("on_epoch_end", line)
        reason = processes.agree(BY_CALLBACK if training.stopping else stop())
        if reason == BY_CALLBACK:
            break
        if reason is not None and progress.epoch < training.epochs:
            raise TrainingStopped(training.run.path, reason)
    calls("on_train_end")


def batches_of_epoch(training: Training, method: Method) -> list[Tensor]:
    """Return the batches of the present epoch. A method that uses each batch m times goes over all
    images in m epochs, so an epoch has as many updates of the weights as with another method."""
    config, n, epoch = training.config, len(training.loader), training.epoch
    completed, part = divmod(epoch - config.pretrain, method.replays)
    return batches(config, n, config.pretrain + completed)[part :: method.replays]


def load_batch(training: Training, index: Tensor) -> Batch:
    """Return this process's shard of the batch at these positions of the training set."""
    with training.processes.whole_batch(index, training.model) as shard:
        x, y = training.loader.take(shard.index)
        return Batch(augment(x, training.config.augment), y, shard.index)


def shard_scale(method: Method, y: Tensor, index: Tensor, shard: Shard) -> Tensor | float:
    """Return the factor that gives the loss of this process's shard its share by class weights: a
    method divides by the weights of the shard, the mean of the batch by those of all its images."""
    if method.class_weights is None or shard.images == len(index) or not shard.images:
        return 1.0
    own, whole = (method.total_weight(y[part.to(y.device)]) for part in (shard.index, index))
    return own / whole / shard.weight


def compute_gradients(
    training: Training,
    method: Method,
    batch: Batch,
    index: Tensor,
    epoch: float,
    record: Callable[[Step, int], None],
) -> None:
    """Compute the gradients of the loss for the batch at these positions of the training set, of
    which `batch` is this process's shard. With AWP they are those at moved weights. `record` takes
    the step and the number of its images before the backward pass."""
    config, processes, model = training.config, training.processes, training.state.model
    awp = config.awp > 0 and epoch >= config.pretrain + config.awp_warmup
    with restored_weights(perturbed_parameters(model) if awp else ()):
        with processes.whole_batch(index, model) as shard, skip_value_checks():
            scale = shard_scale(method, training.loader.y, index, shard)
            if awp:
                assert isinstance(method, TwoPartMethod)
                weight = scale * shard.weight
                method = PerturbedWeights(method, config.awp, weight, processes.sum_tensors)
            step = training.compute_step(method, batch, epoch - config.pretrain)
        if is_code(config.method):
            check_own_step(config.method, step)
        step = replace(step, loss=scale * step.loss)
        record(step, shard.images)
        processes.backward(step.loss, shard)
    if training.loader.device.type == "cpu":
        # Elsewhere Python would have to wait for the device; there the next loss shows it.
        check_finite_gradients(model, advice(config, epoch))


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

    config = choose_by_timing(config, network, loader, method_of, processes)
    if config.minutes is not None and not resume:
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
        processes.on_first_process(
            lambda: create_run(run, config, images, command, processes.size, device)
        )
    return training


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


def trial_steps(
    config: Config, network: nn.Module, loader: BatchLoader, method: Method
) -> Iterator[float]:
    """Take steps of training on a copy of the network; yield the seconds of each."""
    model, epoch = copy.deepcopy(network).train(), float(config.epochs)
    compute_step = OneProcess().attach(prepare(model, config.precision, config.cuda_graphs).train())
    optimizer = build_optimizer(config, model)
    if config.awp and isinstance(method, TwoPartMethod):
        method = PerturbedWeights(method, config.awp)
    for index in itertools.cycle(batches(config, len(loader), 0)):
        began = time.perf_counter()
        optimizer.zero_grad()
        with restored_weights(perturbed_parameters(model) if config.awp else ()):
            with skip_value_checks():
                x, y = loader.take(index)
                step = compute_step(method, Batch(augment(x, config.augment), y, index), epoch)
            step.loss.backward()
        optimizer.step()
        float(step.loss.detach())  # waits for the device
        yield time.perf_counter() - began


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
        begun, _ = read_run(resumed.path)
        config = with_choices_of(begun, config)
        if config.cuda_graphs != begun.cuda_graphs:
            check_cuda_options(device, cuda_graphs=config.cuda_graphs)
    configure_backend(device, config.precision)
    if data is None:
        return config, device, load_data(config.dataset, config.data_dir)
    return config, device, as_data(data)


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
        precision = choose_precision(config.precision, device, network, take)
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
    return model, network, loader, Monitor.of(images, held_out, config, device)


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


def batches(config: Config, n: int, epoch: int) -> list[Tensor]:
    """Return the batches of an epoch, as positions in the training set of n images: a permutation
    that depends on the seed and the epoch only. A last batch of one image is joined to the one
    before it, since batch norm cannot be trained on one image."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
    order = torch.randperm(n, generator=generator)
    if n > config.batch_size and n % config.batch_size == 1:
        *whole, last, single = order.split(config.batch_size)
        return [*whole, torch.cat([last, single])]
    return list(order.split(config.batch_size))


def progress_bar(training: Training, steps: int, show: bool) -> tqdm:
    epoch, step = training.state.progress.epoch, training.state.progress.step
    return tqdm(
        desc=f"epoch {epoch + 1}/{training.epochs}",
        disable=None if show else True,  # None: only on a terminal
        leave=False,
        initial=step,
        total=steps,
    )


def epoch_metrics(training: Training) -> dict[str, Any]:
    """Return the metrics of the epoch that has just ended, and keep its weights if they are the
    best."""
    config, state, progress = training.config, training.state, training.state.progress
    full_strength = progress.epoch >= config.pretrain + config.eps_ramp
    one_step = state.method.after_one_step if full_strength else None
    updates = progress.step * state.method.replays * (progress.epoch + 1)
    if training.is_pretraining:
        updates = 0  # nothing is concluded: the network may not have begun to learn
    metrics = {
        "epoch": progress.epoch + 1,
        "phase": "pretrain" if training.is_pretraining else "train",
        "lr": state.optimizer.param_groups[0]["lr"],
        "loss": progress.mean_loss(),
        **training.monitor.evaluate(training.network, config, updates, one_step),
        **progress.stage_counts(),
        **progress.epoch_means(),
        "seconds": round(progress.seconds, 3),
        "images_per_second": round(progress.images / progress.seconds, 1),
    }
    if config.keep == "best" and not training.is_pretraining:
        state.best.update(metrics, state.result, config.method)
        metrics["kept_epoch"] = state.best.epoch
    return metrics


def check_finite_loss(
    metrics: BatchMetrics, model: nn.Module, config: Config, epoch: float
) -> None:
    """Raise NotFiniteError before an update by a loss that is NaN or infinite, so that the last
    checkpoint stays valid."""
    if math.isfinite(metrics.loss):
        return
    check_finite_weights(model, advice(config, epoch))  # of the update before
    loss = metrics.loss / metrics.images
    raise NotFiniteError(f"the loss became {loss} {advice(config, epoch)}")


def advice(config: Config, epoch: float) -> str:
    """Return the end of an error message: when it happened and what to do."""
    return (
        f"after {epoch:.2f} epochs, which was not saved: lower --lr (now {config.lr:g}) or --eps "
        f"(now {config.eps:g})"
    )


def save(training: Training) -> None:
    """Write the checkpoint, then the metrics and the weights."""
    state, run = training.state.state_dict(), training.run

    def write() -> None:
        save_checkpoint(run.path, state)
        run.remove_on_failure = False
        publish(training)

    # The other processes wait: if they ended now, torchrun would end the first one too.
    training.processes.on_first_process(write)


def save_finite(training: Training) -> None:
    """Write a checkpoint, unless the weights are not finite."""
    with suppress(NotFiniteError):
        check_finite_weights(training.model, "after an update")
        save(training)


def load(training: Training) -> None:
    """Restore the checkpoint. A run that was interrupted in its first epoch has none."""
    processes, path = training.processes, training.run.path
    if not processes.on_first_process(lambda: has_checkpoint(path)):
        return
    state = processes.on_first_process(lambda: load_checkpoint(path))
    processes.on_every_process(lambda: training.state.load_state_dict(state, path))
    if processes.is_first:
        publish(training)  # an interruption after the checkpoint may have left this undone


def publish(training: Training) -> None:
    """Write the files that others read: the metrics, and the weights of the last or best epoch."""
    state = training.state
    weights = pack_weights(state.kept_weights())
    training.run.write({METRICS: metrics_text(state.progress.metrics), WEIGHTS: weights})


if __name__ == "__main__":
    from .cli import train_main

    train_main()
