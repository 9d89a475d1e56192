"""Train a network: `python -m sense.train [RECIPE] --option value ...`, or `fit(config, out)`.

    python -m sense.train                        SENSE-AT on the MNIST sample, a few minutes
    python -m sense.train mnist-demo --method r-at --out runs/r-at
    python -m sense.train mnist --data-dir DIR   section 5.2.1 of the paper, 500 epochs
    python -m sense.train --resume runs/r-at     resume a run that was interrupted
    torchrun --nproc-per-node 2 -m sense.train   the same with two processes, see `distributed`

A run is a folder, which `sense.runs` describes. `train` is the loop; what comes before it is in
`training_setup`.
"""

import math
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from tqdm import tqdm

from .attacks.output_checks import skip_value_checks
from .callbacks import Callback, Callbacks, OnEpoch
from .collapse import collapse_summary, new_collapse
from .config import Config, notes
from .data.augment import augment
from .distributed import Shard
from .errors import NotFiniteError, in_shell
from .extensions import is_code
from .methods import Batch, Method, NaturalTraining, Step, TwoPartMethod, check_own_step
from .model_card import write_card
from .networks import check_finite_gradients, check_finite_weights, torch_defaults
from .optimizers import set_learning_rate
from .process_settings import restored_settings
from .progress import BatchMetrics, LateMetrics, epoch_line
from .run_folder import RunFolder
from .schedules import learning_rate
from .stopping import PassStopped, StoppingPoint
from .time_budget import TIME_OVER, until
from .training import Training, advice, batches_of_epoch, save, save_finite
from .training_setup import set_up
from .weight_average import update_average
from .weight_perturbation import PerturbedWeights, perturbed_parameters, restored_weights
from .weights import weights_sha256

BY_CALLBACK = 2**31  # the reason to stop that a callback gives; others are numbers of signals


class TimeOverWarning(UserWarning):
    """The time of `minutes` was over before the last epoch. The run may be resumed."""


class TrainingStopped(Exception):  # noqa: N818  nothing went wrong
    """Training was asked to stop. The run's folder holds a checkpoint to resume from.

    `reason` is the value that `stop` returned, such as the number of a signal.
    """

    def __init__(self, folder: Path, reason: int) -> None:
        super().__init__(f"stopped; resume with --resume {in_shell(folder)}")
        self.reason = reason


def fit(
    config: Config,
    out: Path | str | RunFolder,
    *,
    data: Any = None,
    model: nn.Module | str | None = None,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
    on_note: Callable[[str], object] | None = None,
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
    on_note
        A function that is called with a sentence: before the first step of a long training about
        its time, and at the end if the time of `config.minutes` was over before the last epoch.
        Default: with `show` it is printed; otherwise the first is not measured, and the second is
        a warning, `TimeOverWarning`.
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
            for note in notes(training.config, training.monitor.x.shape[1], len(training.loader)):
                print_note(note)
        on_note = on_note or (print_note if show else None)
        if on_note and training.processes.is_first and (time_note := training.time_note(stop)):
            on_note(time_note)
        own = [*callbacks, OnEpoch(on_epoch)] if on_epoch is not None else callbacks
        calls = Callbacks(own, training, save_finite)
        minutes = training.config.minutes
        stop = until(stop, None if minutes is None else began + 60 * minutes)
        try:
            train_until_stopped(
                training, calls, stop=stop, show=show, on_note=on_note or warn_of_time
            )
        except Exception as error:
            calls("on_error", error)
            raise
        finally:
            training.loader.close()
        state = training.state
        if show and (summary := collapse_summary(state.progress.metrics)):
            print_note(summary)
        if state.best.weights or state.average is not None:
            state.model.load_state_dict(state.kept_weights())
        training.processes.on_first_process(lambda: write_card(run, weights_sha256(state.model)))
        return state.model.eval()


def print_note(note: str) -> None:
    print(f"note: {note}", file=sys.stderr, flush=True)


def time_over_note(training: Training) -> str:
    done, run = training.epoch, training.run.path
    return (
        f"the time is over after {done} of {training.epochs} epochs; "
        f"resume with --resume {in_shell(run)}"
    )


def warn_of_time(note: str) -> None:
    warnings.warn(note, TimeOverWarning, stacklevel=4)  # in the code that called fit


def train_until_stopped(
    training: Training,
    calls: Callbacks,
    *,
    stop: Callable[[], int | None],
    show: bool,
    on_note: Callable[[str], object],
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
    on_note(time_over_note(training))
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
        order = batches_of_epoch(training, progress.epoch)
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
                if replay == method.replays:
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
                print_note(note)
        calls("on_epoch_end", line)
        reason = processes.agree(BY_CALLBACK if training.stopping else stop())
        if reason == BY_CALLBACK:
            break
        if reason is not None and progress.epoch < training.epochs:
            raise TrainingStopped(training.run.path, reason)
    calls("on_train_end")


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


if __name__ == "__main__":
    from .cli import train_main

    train_main()
