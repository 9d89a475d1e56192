"""Losses that attacks climb, one number an image."""

import torch
import torch.nn.functional as F
from torch import Tensor


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
    return others - logits.gather(1, y.unsqueeze(1)).squeeze(1)
