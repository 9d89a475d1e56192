"""MART (Wang et al. 2020): the boosted cross-entropy of PGD's images, plus beta times the
divergence of the predictions, weighted by 1 - p_y of the natural image."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..attacks import pgd
from ..attacks.geometry import noisy_start
from .base import Batch, Examples, TwoPartMethod


class MART(TwoPartMethod):
    """Minimise BCE(p(x'), y) + beta KL(p(x) || p(x')) (1 - p_y(x)), where x' comes from PGD on the
    cross-entropy, started at x with a little noise."""

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        start = noisy_start(batch.x)
        x_adv = pgd(model, batch.x, batch.y, start=start, **self.attack_options(epoch))
        return Examples(batch.x, batch.y, x_adv)

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        natural, adversarial = model(examples.x), model(examples.x_adv)
        boosted, weighted = mart_losses(natural, adversarial, examples.y)
        return self.mean(boosted + self.config.beta * weighted, examples.y)


def mart_losses(natural: Tensor, adversarial: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the boosted cross-entropy and the weighted divergence of each image, shape (n,), from
    logits (n, classes).

    The small constants are those of the authors' code, where they protect the logarithms. log p(x)
    needs none here since it is computed by log-softmax; the authors' form has a NaN gradient at
    p = 0.
    """
    q, log_p = adversarial.softmax(1), F.log_softmax(natural, 1)
    true_class = F.one_hot(y, q.shape[1]).bool()
    runner_up = q.masked_fill(true_class, -1).amax(1)
    boosted = F.cross_entropy(adversarial, y, reduction="none")
    boosted = boosted - torch.log(1.0001 - runner_up + 1e-12)
    p = log_p.exp()
    kl = (p * (log_p - torch.log(q + 1e-12))).sum(1)
    p_y = p.gather(1, y.unsqueeze(1)).squeeze(1)
    return boosted, kl * (1.0000001 - p_y)
