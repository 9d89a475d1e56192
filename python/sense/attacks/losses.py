"""What attacks read from logits, n x classes: losses to climb, one number an image, and rivals."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

MarginLoss = Literal["margin", "dlr"]
TINY = 1e-12  # of the reference code: keeps a ratio of equal logits finite


def divergence(reference: Tensor, logits: Tensor) -> Tensor:
    """KL(p || q) of p = softmax(reference), q = softmax(logits), both n x classes; shape (n,).

    In logarithms throughout: a probability that is 0 in float32 then adds 0 to the value and to
    both gradients, where p log(p / q) gives NaN.
    """
    log_p, log_q = F.log_softmax(reference, 1), F.log_softmax(logits, 1)
    return (log_p.exp() * (log_p - log_q)).sum(1)


def soft_margin(logits: Tensor, y: Tensor) -> Tensor:
    """log of the sum of exp of the other classes' logits, less the logit of class y: negative
    exactly where p_y > 1/2 (MMA's soft logit margin loss). Shape (n,)."""
    own = F.one_hot(y, logits.shape[1]).bool()
    others = logits.masked_fill(own, -torch.inf).logsumexp(1)
    return others - pick(logits, y)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """The largest of the other classes' logits less that of class y: positive exactly where another
    class is predicted. Shape (n,)."""
    own = F.one_hot(y, logits.shape[1]).bool()
    return logits.masked_fill(own, -torch.inf).amax(1) - pick(logits, y)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """The difference of logits ratio (Croce and Hein 2020, eq. 6): `margin` over the largest logit
    less the third; blind to the logits' scale. Takes 3 classes. Shape (n,)."""
    top = highest(logits, 3, "dlr")
    return margin(logits, y) / (top[:, 0] - top[:, 2] + TINY)


def targeted_margin(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """The logit of the target class less that of class y. Shape (n,)."""
    return pick(logits, target) - pick(logits, y)


def targeted_dlr(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """The targeted difference of logits ratio (Croce and Hein 2020, eq. 7): `targeted_margin` over
    the largest logit less the mean of the third and the fourth. Takes 4 classes. Shape (n,)."""
    top = highest(logits, 4, "targeted dlr")
    scale = top[:, 0] - (top[:, 2] + top[:, 3]) / 2
    return targeted_margin(logits, y, target) / (scale + TINY)


def highest(logits: Tensor, k: int, loss: str) -> Tensor:
    """The k highest logits of each image, highest first: shape (n, k)."""
    if logits.shape[1] < k:
        raise InputError(
            f"the loss {loss} needs {k} classes or more, the model has {logits.shape[1]}: "
            "take the loss margin"
        )
    return logits.topk(k, dim=1).values


def pick(logits: Tensor, classes: Tensor) -> Tensor:
    """Each image's logit of its class. Shape (n,)."""
    return logits.gather(1, classes.unsqueeze(1)).squeeze(1)


def others(logits: Tensor, y: Tensor, most: int) -> Tensor:
    """The classes other than y with the highest logits, highest first: int64, shape (n, k), k the
    smaller of `most` and the number of others."""
    rest = logits.detach().scatter(1, y.unsqueeze(1), -torch.inf)
    return rest.topk(min(most, logits.shape[1] - 1), dim=1).indices
