"""Train a network: `python -m sense.train [RECIPE] --option value ...`, or `fit(config, out)`.

    python -m sense.train                        SENSE-AT on the MNIST sample, some minutes
    python -m sense.train mnist-demo --method r-at --out runs/r-at
    python -m sense.train mnist --data-dir DIR   section 5.2.1 of the paper, 500 epochs
    python -m sense.train --resume runs/r-at     go on after Ctrl-C, or after a crash
    torchrun --nproc-per-node 2 -m sense.train   the same with two processes, see `distributed`

A run is a folder; `sense.runs` says what is in it.
"""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from .attacks.output_checks import trusted_values
from .checkpoint import WEIGHTS, has_checkpoint, load_checkpoint, pack_weights, save_checkpoint
from .config import Config, remarks
from .data import ImageData, load_data, to_float
from .data.augment import augment
from .data.loader import BatchLoader
from .devices import configure_backend, to_device
from .distributed import Processes, join
from .errors import NotFiniteError
from .methods import Batch, Method, NaturalTraining, build_method
from .methods.per_example_state import merge
from .models import build_model
from .models.custom import custom_model_name, trusted_model_name
from .monitor import Best, Monitor, training_part
from .networks import (
    CHECKED_IMAGES,
    check_finite_gradients,
    check_finite_weights,
    check_trainable,
    initialise_lazy_modules,
    saveable_state_dict,
    torch_defaults,
    uncompiled,
)
from .precision import prepare
from .process_settings import restored_settings
from .progress import Progress, Tally, epoch_line
from .resume import restore
from .run_folder import RunFolder
from .runs import CONFIG, METRICS, create_run, metrics_text, resume_run
from .schedules import learning_rate


class TrainingStopped(Exception):  # noqa: N818  nothing went wrong
    """Training was asked to stop; the run's folder holds a checkpoint to go on from."""

    def __init__(self, folder: Path, reason: int) -> None:
        super().__init__(f"stopped; go on with --resume {folder}")
        self.reason = reason


def fit(
    config: Config,
    out: Path | str | RunFolder,
    *,
    data: ImageData | None = None,
    model: nn.Module | str | None = None,
    resume: bool = False,
    on_epoch: Callable[[dict[str, Any]], object] | None = None,
    stop: Callable[[], int | None] = lambda: None,
    show: bool = False,
    command: str | None = None,
) -> nn.Module:
    """Train a network, and leave everything about it in the folder `out`.

    Parameters
    ----------
    config
        Every option.
    out
        The run's folder: new, or with `resume` one that a run was begun in with this config. It is
        made once all else is ready, and belongs to this process until the function returns.
    data
        The images, else those that `config.dataset` names.
    model
        A network of your own, which is trained itself and not a copy, instead of the one that
        `config.model` names. config.json keeps its class; who loads the run has to bring it again.
        With `resume` a name does as well; a factory that the run names is called only where it is
        named here again.
    on_epoch
        Called with each epoch's line of metrics, by the first process alone.
    stop
        Asked after each step; a value other than None stops training by raising
        `TrainingStopped`, with a checkpoint written. A resumed run gives the same weights, bit for
        bit, as one never stopped, with the same number of threads and processes.
    show
        A progress bar on a terminal, and a line an epoch.
    command
        What to note as the command that made the run; this process's unless given.

    Returns
    -------
    The trained network, in evaluation mode, with the weights that the run keeps.
    """
    with (
        restored_settings(),
        torch_defaults(),
        out if isinstance(out, RunFolder) else RunFolder(out) as run,
    ):
        return _fit(
            config,
            run,
            data=data,
            model=model,
            resume=resume,
            on_epoch=on_epoch,
            stop=stop,
            show=show,
            command=command,
        )


def _fit(
    config: Config,
    run: RunFolder,
    *,
    data: ImageData | None,
    model: nn.Module | str | None,
    resume: bool,
    on_epoch: Callable[[dict[str, Any]], object] | None,
    stop: Callable[[], int | None],
    show: bool,
    command: str | None,
) -> nn.Module:
    """`fit` in a folder, which the first process locks."""
    ranks = join()
    show = show and ranks.leads
    ranks.set_threads(config.threads)
    device = ranks.each(lambda: ranks.device(config.device))
    ranks.each(
        lambda: configure_backend(
            device, precision=config.precision, cuda_graphs=config.cuda_graphs
        )
    )
    images = ranks.each(lambda: data or load_data(config.dataset, config.data_dir))
    name = model if isinstance(model, str) else None
    if isinstance(model, nn.Module):
        model = uncompiled(model)
        config = replace(config, model=custom_model_name(model))
    elif resume:
        name = ranks.each(lambda: trusted_model_name(name, config.model, run.path / CONFIG))
    elif name is not None:
        config = replace(config, model=name)
    ranks.check_alike("images", images.sha256)
    ranks.first(lambda: resume_run(run, config, images) if resume else run.check_unused())

    torch.manual_seed(config.seed)
    if not isinstance(model, nn.Module):
        name = name or config.model
        model = ranks.each(lambda: build_model(name, images.shape, len(images.classes)))
    initialise_lazy_modules(model, to_float(images.train_x[:CHECKED_IMAGES]))
    model = to_device(model, device).train()
    kept, held = ranks.each(lambda: training_part(images, config))
    n = len(kept)
    which = kept if len(held) else slice(n)  # a part of the same memory where none are held out
    loader = BatchLoader(images.train_x[which], images.train_y[which], device)
    monitor, best = Monitor.of(images, held, config, device), Best()
    gives_logits = ranks.each(lambda: check_start(model, loader, config, n, len(images.classes)))
    ranks.start_alike(model, config.seed, device)
    called = prepare(gives_logits, config.precision, config.cuda_graphs).train()
    optimizer = build_optimizer(config, model)
    method, pretraining = build_method(config, n), NaturalTraining(config)
    progress = Progress()
    if resume and ranks.first(lambda: has_checkpoint(run.path)):  # else killed in its first epoch
        state = ranks.first(lambda: load_checkpoint(run.path))
        progress = ranks.each(
            lambda: restore(state, model, optimizer, method, ranks, run.path, best)
        )
        if ranks.leads:
            publish(
                run, model, progress, best
            )  # what a kill after the checkpoint may have left undone
    if not resume:
        ranks.first(lambda: create_run(run, config, images, command, ranks.size))

    if show:
        for remark in remarks(config, images.shape[0]):
            print(f"note: {remark}", file=sys.stderr, flush=True)

    epochs = config.pretrain + config.epochs
    while progress.epoch < epochs:
        pretrain = progress.epoch < config.pretrain
        order = batches(config, n, progress.epoch)
        bar = tqdm(
            order,
            f"epoch {progress.epoch + 1}/{epochs}",
            disable=None if show else True,
            leave=False,
            initial=progress.step,
            total=len(order),
        )
        for index in order[progress.step :]:
            began = time.perf_counter()
            position = progress.epoch + progress.step / len(order)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(config, position)
            part = ranks.part(index)
            x, y = loader.take(part.index)
            use = pretraining if pretrain else method
            with ranks.at_work(part, model), trusted_values():
                batch = Batch(augment(x, config.augment), y, part.index)
                step = use(called, batch, position - config.pretrain)
            tally = Tally.of(step, part.images, ranks.sum)
            if not math.isfinite(tally.loss):
                check_finite_weights(model, after(config, position))  # of the update before
            check_finite(tally.loss / tally.images, config, position)
            optimizer.zero_grad()
            (part.weight * step.loss).backward()
            ranks.join_gradients(model, part)
            if device.type == "cpu":
                # On an accelerator this check would make Python wait; there the next loss shows it.
                check_finite_gradients(model, after(config, position))
            optimizer.step()
            progress.add(tally, time.perf_counter() - began)
            bar.update()
            bar.set_postfix(
                loss=f"{progress.loss / progress.images:.3f}", **progress.stage_counts()
            )
            reason = ranks.agree(stop())
            if reason is not None and progress.step < len(order):
                check_finite_weights(model, after(config, position))
                save(run, model, optimizer, method, progress, ranks, best)
                raise TrainingStopped(run.path, reason)
        bar.close()
        check_finite_weights(model, after(config, progress.epoch + 1))

        line = {
            "epoch": progress.epoch + 1,
            "phase": "pretrain" if pretrain else "train",
            "lr": optimizer.param_groups[0]["lr"],
            "loss": progress.loss / progress.images,
            **monitor.look(gives_logits, config),
            **progress.stage_counts(),
            **progress.epoch_means(),
            "seconds": round(progress.seconds, 3),
            "images_per_second": round(progress.images / progress.seconds, 1),
        }
        if config.keep == "best" and not pretrain:
            best.see(line, model, config.method)
            line["kept_epoch"] = best.epoch
        progress.end_epoch(line)
        save(run, model, optimizer, method, progress, ranks, best)
        if show:
            print(epoch_line(line, epochs), flush=True)
        if on_epoch is not None and ranks.leads:
            on_epoch(line)
        if (reason := ranks.agree(stop())) is not None and progress.epoch < epochs:
            raise TrainingStopped(run.path, reason)
    if best.weights:
        model.load_state_dict(best.weights)
    return model.eval()


def check_start(
    model: nn.Module, loader: BatchLoader, config: Config, n: int, classes: int
) -> nn.Module:
    """Return the network as one that returns logits. Raises InputError if it cannot be trained to
    the end, or cannot be saved."""
    smallest = min(len(batch) for batch in batches(config, n, 0))
    x, y = loader.take(torch.arange(min(n, max(2, smallest), CHECKED_IMAGES)))
    gives_logits = check_trainable(
        model, x, y, classes=classes, smallest_batch=smallest, attacked=config.method != "nt"
    )
    saveable_state_dict(model.state_dict())
    return gives_logits


def build_optimizer(config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """SGD with momentum, plain or Nesterov's, or Adam."""
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        model.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
    )


def batches(config: Config, n: int, epoch: int) -> list[Tensor]:
    """The epoch's batches as positions in the training set: a fresh permutation, which depends on
    the seed and the epoch alone. A single image left over joins the batch before it, since batch
    norm cannot be trained on one image."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
    order = torch.randperm(n, generator=generator)
    if n > config.batch_size and n % config.batch_size == 1:
        *whole, last, single = order.split(config.batch_size)
        return [*whole, torch.cat([last, single])]
    return list(order.split(config.batch_size))


def check_finite(loss: float, config: Config, position: float) -> None:
    """Stop before a broken update: the checkpoint of the last epoch stays good."""
    if not math.isfinite(loss):
        raise NotFiniteError(f"the loss became {loss} {after(config, position)}")


def after(config: Config, position: float) -> str:
    """When it was, and what to do."""
    return (
        f"after {position:.2f} epochs, and nothing of it was saved: lower --lr (now {config.lr:g}) "
        f"or --eps (now {config.eps:g})"
    )


def save(
    run: RunFolder,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    method: Method,
    progress: Progress,
    ranks: Processes,
    best: Best,
) -> None:
    """Write the checkpoint, then the metrics and the weights."""
    method.load_state_dict(merge(ranks.gather(method.state_dict())))
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "method": method.state_dict(),
        "progress": asdict(progress),
        "best": asdict(best) if best.weights else {},
        **ranks.random_state(),
    }

    def write() -> None:
        save_checkpoint(run.path, state)
        run.remove_on_failure = False
        publish(run, model, progress, best)

    ranks.first(write)  # the others wait: if they ended now, torchrun would end this one too


def publish(run: RunFolder, model: nn.Module, progress: Progress, best: Best) -> None:
    """Write what others read: the metrics, and the weights of the last epoch or of the best."""
    weights = pack_weights(best.weights or model.state_dict())
    run.write({METRICS: metrics_text(progress.metrics), WEIGHTS: weights})


if __name__ == "__main__":
    from .cli import train_main

    train_main()
