"""The peers' attacks as a training loop or an evaluation would call them: (x, y) -> x_adv.

Each is its package's own code with the same radius, step, number of steps and bounds; those that
do not see to it themselves get the network in evaluation mode. Imports are inside, since a peer is
installed for the bench alone.
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
    """The l-infinity attack that is compared: pixels from 0 to 1."""

    eps: float
    step_size: float
    steps: int
    random_start: bool = True
    restarts: int = 1


def foolbox(model: nn.Module, ball: Ball) -> Perturb:
    fb = quietly("foolbox")
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
    attack = quietly("torchattacks").PGD(
        model, eps=ball.eps, alpha=ball.step_size, steps=ball.steps, random_start=ball.random_start
    )

    def perturb(x: Tensor, y: Tensor) -> Tensor:
        worst = attack(x, y)
        for _ in range(ball.restarts - 1):  # the package leaves restarts to its user
            with torch.no_grad():
                fooled = (model(worst).argmax(1) != y).view(-1, *[1] * (x.ndim - 1))
            worst = torch.where(fooled, worst, attack(x, y))
        return worst

    return perturb


def adv_lib(model: nn.Module, ball: Ball) -> Perturb:
    # Its attacks import both, for distances and plots that PGD has no use for. torchvision's wheel
    # goes with one build of torch only, and visdom brings a web server.
    with stand_ins("torchvision", "visdom"):
        attacks = quietly("adv_lib.attacks")

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
    quietly("art")
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
# adv-lib gives the last iterate that fools the network, of those before the last step, and x where
# none does; the others give the last iterate.
GIVES_BEST = {"adv-lib"}


def torchattacks_trades(model: nn.Module, ball: Ball) -> Perturb:
    """The attack of TRADES in torchattacks, on the divergence."""
    attack = quietly("torchattacks").TPGD(
        model, eps=ball.eps, alpha=ball.step_size, steps=ball.steps
    )
    return lambda x, y: attack(x)


def last_fooling(model: nn.Module, x: Tensor, y: Tensor, ball: Ball) -> Tensor:
    """What adv-lib gives for a start at x, step by step."""
    given, z = x.clone(), x
    for _ in range(ball.steps):
        z = z.detach().requires_grad_()
        logits = model(z)
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), z)
        fools = logits.argmax(1) != y
        given[fools] = z.detach()[fools]
        moved = z.detach() + ball.step_size * gradient.sign()
        z = torch.minimum(torch.maximum(moved, x - ball.eps), x + ball.eps).clamp(0, 1)
    return given


def quietly(name: str) -> ModuleType:
    """Import a package without the deprecation warnings that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


@contextmanager
def stand_ins(*names: str) -> Iterator[None]:
    """Empty modules in the place of absent ones, while a package is imported."""
    absent = [name for name in names if not importlib.util.find_spec(name)]
    for name in absent:
        sys.modules[name] = MagicMock(name=name)
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def available() -> list[str]:
    """The peers that are installed."""
    modules = {
        "foolbox": "foolbox",
        "torchattacks": "torchattacks",
        "adv-lib": "adv_lib",
        "ART": "art",
    }
    return [name for name, module in modules.items() if importlib.util.find_spec(module)]
