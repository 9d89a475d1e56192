"""Callbacks: the user's own code at certain moments of training.

    class Show(sense.Callback):
        def on_epoch_end(self, training, metrics):
            print(training.epoch, metrics["loss"])

    sense.fit(config, "runs/mine", callbacks=[Show()])

Callbacks run in the first process only. They must not draw from torch's global generator, or the
random numbers of training change.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import InputError, MissingPackageError

if TYPE_CHECKING:
    from .training import Training


class Callback:
    """Base class. Each method is called at the moment of its name; by default it does nothing.

    `training` has `config`; `folder`, that of the run; `model`; `optimizer`; `epoch`, the number of
    completed epochs; `epochs`, that of all; `step`, the number of completed steps of the present
    epoch; `metrics`, a list with those of each completed epoch; and `stop()`, which ends training
    after the present step as if it were the last one: a checkpoint is written and `fit` returns.

    If a method raises an exception, a checkpoint is written first (with several processes the last
    one is kept).
    """

    def on_train_start(self, training: "Training") -> None:
        """Before the first step; in a resumed run, before the first step after the checkpoint."""

    def on_epoch_start(self, training: "Training") -> None:
        """Before the first step of an epoch, or of its rest in a resumed run."""

    def on_step(self, training: "Training", loss: float) -> None:
        """After each update of the weights; `loss` is the mean loss of the batch."""

    def on_epoch_end(self, training: "Training", metrics: dict[str, Any]) -> None:
        """After an epoch and its checkpoint; `metrics` is its line of metrics.jsonl."""

    def on_train_end(self, training: "Training") -> None:
        """After the last epoch, or after `training.stop()`."""

    def on_error(self, training: "Training", error: Exception) -> None:
        """Training ends by an exception, such as `TrainingStopped` after Ctrl-C."""


class Callbacks:
    """Calls the same method of several callbacks. False if there are none in this process."""

    def __init__(
        self,
        callbacks: Sequence[Callback],
        training: "Training",
        save: Callable[["Training"], None],
    ) -> None:
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise InputError(f"callbacks must be sense.Callback objects, got {callback!r}")
        self.callbacks = list(callbacks) if training.processes.is_first else []
        self.training, self.save = training, save

    def __bool__(self) -> bool:
        return bool(self.callbacks)

    @property
    def follow_steps(self) -> bool:
        """Whether a callback has a method `on_step`, for which the loss of each step is read."""
        return any(type(callback).on_step is not Callback.on_step for callback in self.callbacks)

    def __call__(self, event: str, *arguments: Any) -> None:
        """Call the method `event` of each callback. An exception is raised after a checkpoint."""
        for callback in self.callbacks:
            try:
                getattr(callback, event)(self.training, *arguments)
            except Exception:
                if event != "on_error" and self.training.processes.size == 1:
                    self.save(self.training)
                raise


class OnEpoch(Callback):
    """Calls a function with the metrics of each epoch."""

    def __init__(self, function: Callable[[dict[str, Any]], object]) -> None:
        self.function = function

    def on_epoch_end(self, training: "Training", metrics: dict[str, Any]) -> None:
        self.function(metrics)


class EarlyStopping(Callback):
    """Stops training if a metric has not increased for some epochs of the method.

    Parameters
    ----------
    patience
        Number of epochs without a new maximum, 1 or more.
    metric
        A name in metrics.jsonl, of which more is better.
    """

    def __init__(self, patience: int, metric: str = "robust_correct") -> None:
        if patience < 1:
            raise InputError(f"patience must be 1 or more, got {patience}")
        self.patience, self.metric = patience, metric

    def on_epoch_end(self, training: "Training", metrics: dict[str, Any]) -> None:
        if self.metric not in metrics:
            raise InputError(f"there is no metric {self.metric!r}: {', '.join(metrics)}")
        values = [line[self.metric] for line in training.metrics if line["phase"] == "train"]
        if values and len(values) - 1 - values.index(max(values)) >= self.patience:
            training.stop()


class TensorBoard(Callback):
    """Writes the metrics of each epoch for TensorBoard. A resumed run continues its curves.

    Parameters
    ----------
    folder
        Default: `tensorboard` in the folder of the run.

    Raises ImportError if the package tensorboard is not installed.
    """

    def __init__(self, folder: Path | str | None = None) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingPackageError(
                "TensorBoard needs the package tensorboard: pip install 'sense-at[tensorboard]'"
            ) from None
        self.folder = folder
        self.writer_class: Any = SummaryWriter
        self.writer: Any = None

    def on_train_start(self, training: "Training") -> None:
        folder = self.folder or training.folder / "tensorboard"
        # What an earlier process wrote is replaced: the run may have had no TensorBoard until now.
        self.writer = self.writer_class(str(folder), purge_step=0)
        for line in training.metrics:
            self.write(line)

    def on_epoch_end(self, training: "Training", metrics: dict[str, Any]) -> None:
        self.write(metrics)

    def on_train_end(self, training: "Training") -> None:
        self.close()

    def on_error(self, training: "Training", error: Exception) -> None:
        self.close()

    def write(self, metrics: dict[str, Any]) -> None:
        """Write the numbers of an epoch, and its accuracies as shares."""
        shares = {
            f"{name}_accuracy": metrics[f"{name}_correct"] / metrics["monitored"]
            for name in ("natural", "robust")
        }
        for name, value in {**metrics, **shares}.items():
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if number and name != "epoch" and math.isfinite(value):
                self.writer.add_scalar(name, value, metrics["epoch"])
        self.writer.flush()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None
