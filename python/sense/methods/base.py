"""The base class of training methods: a batch goes in, a loss comes out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from ..attacks.geometry import Bounds
from ..attacks.modes import Mode
from ..config import Config
from ..schedules import attack_size


class Batch(NamedTuple):
    """Images (float, n x channels x height x width), labels (int64, shape (n,)) and positions in
    the training set (int64, shape (n,))."""

    x: Tensor
    y: Tensor
    indices: Tensor


@dataclass(frozen=True)
class Examples:
    """What the loss of a batch is computed on. All but `natural_logits` are constants in its
    gradient.

    Parameters
    ----------
    x, y
        The natural images and their labels.
    x_adv
        The images after the attack; x itself for a method without an attack. With `free` it is a
        function of the perturbation, whose gradient comes from the loss.
    natural_logits
        The logits of x in training mode, where the attack depended on them: the loss then needs no
        other pass of x. None: the loss computes them if it needs them.
    counted
        Which images count in a loss that leaves out some (boolean). None: all.
    stages, means
        As in `Step`.
    """

    x: Tensor
    y: Tensor
    x_adv: Tensor
    natural_logits: Tensor | None = None
    counted: Tensor | None = None
    stages: Tensor | None = None
    means: Mapping[str, Tensor] = field(default_factory=dict)

    def natural_logits_by(self, model: nn.Module) -> Tensor:
        """Return the logits of x, by a forward pass if there are none."""
        return model(self.x) if self.natural_logits is None else self.natural_logits


@dataclass(frozen=True)
class Step:
    """The result of a method for one batch.

    Parameters
    ----------
    loss
        The loss to minimise, a mean over the batch.
    stages
        The `Stage` of each image, for methods that have stages.
    means
        Values per image, by name, to be averaged over the epoch; NaN where an image has none.
    """

    loss: Tensor
    stages: Tensor | None = None
    means: Mapping[str, Tensor] = field(default_factory=dict)


class Method(ABC):
    """A training method. It knows no files, no devices and no other processes.

    Parameters
    ----------
    config
        The options; those that are None get the default of the method.
    n
        Number of training images. Only methods with a state per image use it.
    """

    # Set by `build_method` from the data: bounds of the attacked inputs, their shape, and the
    # weight of each class in the loss, shape (classes,).
    bounds: Bounds = (0, 1)
    shape: tuple[int, ...] = ()
    class_weights: Tensor | None = None
    # Number of times that each batch is used in succession, with an update of the weights each.
    replays: int = 1
    # For methods with one step per update: a function (model, x, y) that returns images after one
    # step of training at full strength, which is compared with PGD.
    after_one_step: Callable[[nn.Module, Tensor, Tensor], Tensor] | None = None
    # Whether there is a state by the position in the batch. Several processes exchange it when the
    # positions that each of them computes change.
    state_by_position: ClassVar[bool] = False
    # Mode of the network in the attack, as in the authors' code (`--attack-mode published`).
    published_mode: ClassVar[Mode] = "evaluation"

    def __init__(self, config: Config, n: int = 0) -> None:
        self.config = config.resolved()
        mode = config.attack_mode
        self.attack_mode: Mode = self.published_mode if mode == "published" else mode

    @abstractmethod
    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        """Return the loss of a batch; the model is in training mode.

        `epoch` is the number of epochs since the start of the method: 2.5 is halfway through its
        third epoch.
        """

    def attack_options(self, epoch: float) -> dict[str, Any]:
        """Return the arguments of the attack that most methods share, at `epoch`."""
        eps, step_size = attack_size(self.config, epoch)
        return {
            "eps": eps,
            "step_size": step_size,
            "steps": self.config.steps,
            "norm": self.config.lp,
            "mode": self.attack_mode,
            "bounds": self.bounds,
        }

    def cross_entropy(self, logits: Tensor, y: Tensor, reduction: str = "mean") -> Tensor:
        """Return the cross-entropy of the loss, whose labels may be smoothed, with the weights of
        the classes as in torch: the mean is the sum of w_y CE over the sum of w_y."""
        smoothing, weight = self.config.label_smoothing, self.class_weights
        return F.cross_entropy(logits, y, weight, reduction=reduction, label_smoothing=smoothing)

    def adversarial_cross_entropy(self, model: nn.Module, examples: "Examples") -> Tensor:
        """Return CE(f(x'), y) plus `natural_weight` times CE(f(x), y)."""
        loss = self.cross_entropy(model(examples.x_adv), examples.y)
        if self.config.natural_weight:
            natural = self.cross_entropy(model(examples.x), examples.y)
            loss = loss + self.config.natural_weight * natural
        return loss

    def mean(self, losses: Tensor, y: Tensor) -> Tensor:
        """Return the mean of one loss per image, with the same weights."""
        if self.class_weights is None:
            return losses.mean()
        return (self.class_weights[y] * losses).sum() / self.total_weight(y)

    def total_weight(self, y: Tensor) -> Tensor | int:
        """Return the sum of the weights of a batch: without weights, the number of images."""
        return len(y) if self.class_weights is None else self.class_weights[y].sum()

    def state_dict(self) -> dict[str, Tensor]:
        """Return the state that belongs in a checkpoint."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027  no state
        """Restore a state. Raises InputError for the state of another number of images."""


class TwoPartMethod(Method):
    """A training method that first makes examples, such as adversarial images, and then computes
    a loss on them. The loss can be computed again on the same examples at other weights."""

    @abstractmethod
    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        """Return the examples of a batch. Arguments as in `__call__`."""

    @abstractmethod
    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        """Return the loss to minimise, a mean over the batch."""

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        examples = self.examples(model, batch, epoch)
        return Step(self.loss(model, examples), examples.stages, examples.means)
