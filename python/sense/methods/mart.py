"""MART (Wang et al. 2020): boosted cross-entropy of PGD's images, and the divergence of the
predictions, weighted by how unsure the network is of the natural image."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attacks import pgd
from ..attacks.geometry import near_point
from ..attacks.modes import Mode
from .base import Batch, Step


class MART:
    """Minimises BCE(p(x'), y) + beta KL(p(x) || p(x')) (1 - p_y(x)), with PGD on the cross-entropy
    from x with a little noise."""

    def __init__(
        self, *, beta: float, eps: float, step_size: float, steps: int, norm: float, mode: Mode
    ) -> None:
        self.beta = beta
        self.attack = partial(pgd, eps=eps, step_size=step_size, steps=steps, norm=norm, mode=mode)

    def __call__(self, model: nn.Module, batch: Batch, epoch: float) -> Step:
        x_adv = self.attack(model, batch.x, batch.y, start=near_point(batch.x))
        natural, adversarial = model(batch.x), model(x_adv)
        boosted, unsure = mart_losses(natural, adversarial, batch.y)
        return Step((boosted + self.beta * unsure).mean())


def mart_losses(natural: Tensor, adversarial: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms of each image, shape (n,), from logits n x classes; the small numbers are the
    authors', who guard their logarithms by them. (That of p(x) needs none here: it is computed in
    logarithms, where the authors' form has a NaN gradient at p = 0.)"""
    q, log_p = adversarial.softmax(1), F.log_softmax(natural, 1)
    own = F.one_hot(y, q.shape[1]).bool()
    runner_up = q.masked_fill(own, -1).amax(1)
    boosted = F.cross_entropy(adversarial, y, reduction="none")
    boosted = boosted - torch.log(1.0001 - runner_up + 1e-12)
    p = log_p.exp()
    kl = (p * (log_p - torch.log(q + 1e-12))).sum(1)
    p_y = p.gather(1, y.unsqueeze(1)).squeeze(1)
    return boosted, kl * (1.0000001 - p_y)
