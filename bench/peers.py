"""The PGD of other packages (peers) as a function (x, y) -> x_adv.

Each is the package's own code with the same radius, step size, number of steps and bounds. Packages
that do not set the mode get the network in evaluation mode. They are imported inside the functions,
because they are installed for the bench only.
"""

import importlib
import importlib.util
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Perturb = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Ball:
    """Options of the l-infinity attack that is compared; pixels from 0 to 1."""

    eps: float
    step_size: float
    steps: int
    random_start: bool = True
    restarts: int = 1


def foolbox(model: nn.Module, ball: Ball) -> Perturb:
    fb = import_quietly("foolbox")
    attack = fb.attacks.LinfPGD(
        abs_stepsize=ball.step_size, steps=ball.steps, random_start=ball.random_start
    )
    if ball.restarts > 1:
        attack = attack.repeat(ball.restarts)

    def perturb(x: Tensor, y: Tensor) -> Tensor:
        wrapped = fb.PyTorchModel(model.eval(), bounds=(0, 1))
        return attack(wrapped, x, y, epsilons=ball.eps)[1]

    return perturb


def torchattacks(model: nn.Module, ball: Ball) -> Perturb:
    attack = import_quietly("torchattacks").PGD(
        model, eps=ball.eps, alpha=ball.step_size, steps=ball.steps, random_start=ball.random_start
    )

    def perturb(x: Tensor, y: Tensor) -> Tensor:
        worst = attack(x, y)
        for _ in range(ball.restarts - 1):  # the package has no restarts
            with torch.no_grad():
                fooled = (model(worst).argmax(1) != y).view(-1, *[1] * (x.ndim - 1))
            worst = torch.where(fooled, worst, attack(x, y))
        return worst

    return perturb


def adv_lib(model: nn.Module, ball: Ball) -> Perturb:
    # Its attacks import both, for distances and plots that PGD does not use. A wheel of torchvision
    # fits one build of torch only, and visdom contains a web server.
    with mocked_modules("torchvision", "visdom"):
        attacks = import_quietly("adv_lib.attacks")

    def perturb(x: Tensor, y: Tensor) -> Tensor:
        return attacks.pgd_linf(
            model.eval(),
            x,
            y,
            ball.eps,
            steps=ball.steps,
            random_init=ball.random_start,
            absolute_step_size=ball.step_size,
            restarts=ball.restarts,
        )

    return perturb


def art(model: nn.Module, ball: Ball) -> Perturb:
    import_quietly("art")
    logging.getLogger("art").setLevel(logging.ERROR)
    evasion = importlib.import_module("art.attacks.evasion")
    estimators = importlib.import_module("art.estimators.classification")
    classes = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    wrapped: Any = None

    def perturb(x: Tensor, y: Tensor) -> Tensor:
        nonlocal wrapped
        if wrapped is None:
            wrapped = estimators.PyTorchClassifier(
                model,
                nn.CrossEntropyLoss(),
                tuple(x.shape[1:]),
                classes.out_features,
                clip_values=(0, 1),
                device_type="cpu",
            )
        attack = evasion.ProjectedGradientDescentPyTorch(
            wrapped,
            eps=ball.eps,
            eps_step=ball.step_size,
            max_iter=ball.steps,
            num_random_init=ball.restarts if ball.random_start else 0,
            batch_size=len(x),
            verbose=False,
        )
        return torch.from_numpy(attack.generate(x.numpy(), y.numpy()))

    return perturb


PEERS: dict[str, Callable[[nn.Module, Ball], Perturb]] = {
    "foolbox": foolbox,
    "torchattacks": torchattacks,
    "adv-lib": adv_lib,
    "ART": art,
}
# adv-lib returns the last misclassified iterate before the last step, or x if there is none. The
# others return the last iterate.
RETURNS_LAST_MISCLASSIFIED = {"adv-lib"}


def torchattacks_trades(model: nn.Module, ball: Ball) -> Perturb:
    """The attack of TRADES in torchattacks, on the KL divergence."""
    attack = import_quietly("torchattacks").TPGD(
        model, eps=ball.eps, alpha=ball.step_size, steps=ball.steps
    )
    return lambda x, y: attack(x)


def last_misclassified(model: nn.Module, x: Tensor, y: Tensor, ball: Ball) -> Tensor:
    """Return literally what adv-lib returns for a start at x."""
    found, z = x.clone(), x
    for _ in range(ball.steps):
        z = z.detach().requires_grad_()
        logits = model(z)
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), z)
        wrong = logits.argmax(1) != y
        found[wrong] = z.detach()[wrong]
        moved = z.detach() + ball.step_size * gradient.sign()
        z = torch.minimum(torch.maximum(moved, x - ball.eps), x + ball.eps).clamp(0, 1)
    return found


def import_quietly(name: str) -> ModuleType:
    """Import a package without showing its deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


@contextmanager
def mocked_modules(*names: str) -> Iterator[None]:
    """Replace missing modules by mocks while a package is imported."""
    absent = [name for name in names if not importlib.util.find_spec(name)]
    for name in absent:
        sys.modules[name] = MagicMock(name=name)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def available() -> list[str]:
    """Return the names of the installed peers."""
    modules = {
        "foolbox": "foolbox",
        "torchattacks": "torchattacks",
        "adv-lib": "adv_lib",
        "ART": "art",
    }
    return [name for name, module in modules.items() if importlib.util.find_spec(module)]
