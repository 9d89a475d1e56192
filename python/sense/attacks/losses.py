"""Losses of attacks, one number per image, from logits of shape (n, classes)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

MarginLoss = Literal["margin", "dlr"]
TINY = 1e-12  # as in the reference code: keeps the ratio finite if logits are equal


def divergence(reference: Tensor, logits: Tensor) -> Tensor:
    """Return KL(p || q) of p = softmax(reference), q = softmax(logits), both n x classes; shape
    (n,).

    It is computed from log-probabilities: a probability that is 0 in float32 then adds 0 to the
    value and to both gradients, whereas p log(p / q) gives NaN.
    """
    log_p, log_q = F.log_softmax(reference, 1), F.log_softmax(logits, 1)
    return F.kl_div(log_q, log_p, reduction="none", log_target=True).sum(1)


def soft_margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return the log-sum-exp of the other logits minus the logit of class y: negative if and only
    if p_y > 1/2 (the soft logit margin loss of MMA). Shape (n,)."""
    own = F.one_hot(y, logits.shape[1]).bool()
    other = logits.masked_fill(own, -torch.inf).logsumexp(1)
    return other - logit_of(logits, y)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return the largest other logit minus the logit of class y: positive if and only if another
    class is predicted. Shape (n,)."""
    own = F.one_hot(y, logits.shape[1]).bool()
    return logits.masked_fill(own, -torch.inf).amax(1) - logit_of(logits, y)


def dlr(logits: Tensor, y: Tensor) -> Tensor:
    """Return the difference of logits ratio (Croce and Hein 2020, eq. 6): `margin` divided by the
    largest minus the third logit. It does not depend on the scale of the logits. Needs at least 3
    classes. Shape (n,)."""
    top = top_logits(logits, 3, "dlr")
    return margin(logits, y) / (top[:, 0] - top[:, 2] + TINY)


def targeted_margin(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """Return the logit of the target class minus that of class y. Shape (n,)."""
    return logit_of(logits, target) - logit_of(logits, y)


def targeted_dlr(logits: Tensor, y: Tensor, target: Tensor) -> Tensor:
    """Return the targeted difference of logits ratio (Croce and Hein 2020, eq. 7):
    `targeted_margin` divided by the largest minus the mean of the third and fourth logit. Needs at
    least 4 classes. Shape (n,)."""
    top = top_logits(logits, 4, "targeted dlr")
    scale = top[:, 0] - (top[:, 2] + top[:, 3]) / 2
    return targeted_margin(logits, y, target) / (scale + TINY)


def top_logits(logits: Tensor, k: int, loss: str) -> Tensor:
    """Return the k highest logits of each image, highest first: shape (n, k)."""
    if logits.shape[1] < k:
        raise InputError(
            f"the loss {loss} needs at least {k} classes, the model has {logits.shape[1]}: "
            "use the loss margin"
        )
    return logits.topk(k, dim=1).values


def logit_of(logits: Tensor, classes: Tensor) -> Tensor:
    """Return the logit of each image's class. Shape (n,)."""
    return logits.gather(1, classes.unsqueeze(1)).squeeze(1)


def other_classes(logits: Tensor, y: Tensor, limit: int) -> Tensor:
    """Return the classes other than y with the highest logits, highest first: int64, shape (n, k)
    with k the smaller of `limit` and the number of other classes."""
    rest = logits.detach().scatter(1, y.unsqueeze(1), -torch.inf)
    return rest.topk(min(limit, logits.shape[1] - 1), dim=1).indices
