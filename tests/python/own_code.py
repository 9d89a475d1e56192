"""Code of a user's own, as in docs/extending.md, and some that is wrong."""

import torch
import torch.nn.functional as F

from sense.attacks import pgd
from sense.methods import Method, Step


def paired(model, batch, config, epoch):
    """R-AT with adversarial logit pairing (Kannan et al. 2018)."""
    x_adv = pgd(
        model, batch.x, batch.y, eps=config.eps, step_size=config.step_size, steps=config.steps
    )
    natural, attacked = model(batch.x), model(x_adv)
    return F.cross_entropy(attacked, batch.y) + 0.5 * F.mse_loss(attacked, natural)


class Averaged(Method):
    """R-AT whose loss weighs images by a moving average of their losses, a state per image."""

    def __init__(self, config, n=0):
        super().__init__(config, n)
        self.average = torch.ones(n)

    def __call__(self, model, batch, epoch):
        x_adv = pgd(model, batch.x, batch.y, **self.attack_options(epoch))
        losses = F.cross_entropy(model(x_adv), batch.y, reduction="none")
        self.average[batch.indices] = 0.9 * self.average[batch.indices] + 0.1 * losses.detach()
        return Step(
            (self.average[batch.indices] * losses).mean(), means={"margin": losses.detach()}
        )

    def state_dict(self):
        return {"average": self.average.clone()}

    def load_state_dict(self, state):
        self.average = state["average"].clone()


def adamw(parameters, config):
    """AdamW: another learning rate for biases."""
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "lr": 2 * config.lr},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, weight_decay=config.weight_decay)


def halving(epoch, config):
    """Half the learning rate after each epoch."""
    return 0.5**epoch


def darker(x):
    """Each image times a random number from 0.5 to 1."""
    return x * torch.empty(len(x), 1, 1, 1).uniform_(0.5, 1).to(x.device)


def corner(model, x, y, *, eps, norm):
    """Noise at the corners of the l-infinity ball."""
    return (x + eps * torch.randn_like(x).sign()).clamp(0, 1)


# Wrong ones.


def two_losses(model, batch, config, epoch):
    return F.cross_entropy(model(batch.x), batch.y, reduction="none")


def no_gradient(model, batch, config, epoch):
    return paired(model, batch, config, epoch).detach()


class NoMethod:
    def __init__(self, config, n):
        pass


class NoStep(Method):
    def __call__(self, model, batch, epoch):
        return F.cross_entropy(model(batch.x), batch.y)


def no_optimizer(parameters, config):
    return 3


def other_parameters(parameters, config):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)


def closure(parameters, config):
    return torch.optim.LBFGS(parameters)


def negative(epoch, config):
    return -1.0


def smaller(x):
    return x[:, :, 1:, 1:]


def brighter(x):
    return 2 * x + 0.1


def too_far(model, x, y, *, eps, norm):
    return (x + 2 * eps).clamp(0, 1)


def labels(model, x, y, *, eps, norm):
    return y


def outside(model, x, y, *, eps, norm):
    return x + eps
