"""The optimizer of a run: SGD, Adam, or one of the user's own."""

import inspect
import math

import torch
from torch import nn

from .config import Config
from .errors import InputError
from .extensions import Code

SHIPPED = (torch.optim.SGD, torch.optim.Adam)
INITIAL = "initial_lr"  # of a group of parameters, as in torch's schedulers


def build_optimizer(config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """Return SGD with momentum (of Nesterov on request), Adam, or what a function of the user's
    own, `optimizer(parameters, config)`, returns."""
    if isinstance(config.optimizer, Code):
        return build_own_optimizer(config.optimizer, config, model)
    if config.optimizer == "adam":
        return torch.optim.Adam(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        model.parameters(),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov,
    )


def build_own_optimizer(code: Code, config: Config, model: nn.Module) -> torch.optim.Optimizer:
    """Raises InputError unless the result is an optimizer of parameters of the model, whose `step`
    needs no closure. The learning rate of each group of parameters is kept as its initial one."""
    optimizer = code.code(model.parameters(), config)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise InputError(
            f"optimizer {code} must return a torch.optim.Optimizer, got {type(optimizer).__name__}"
        )
    step = inspect.signature(type(optimizer).step).parameters.values()
    if any(argument.default is argument.empty for argument in list(step)[1:]):
        raise InputError(f"optimizer {code} needs a closure in each step, which is not supported")
    known = {id(parameter) for parameter in model.parameters()}
    for group in optimizer.param_groups:
        if not {id(parameter) for parameter in group["params"]} <= known:
            raise InputError(f"optimizer {code} has parameters that the network does not have")
        rate = float(group.get("lr", math.nan))
        if not 0 <= rate < math.inf:
            raise InputError(f"optimizer {code} must have a learning rate of 0 or more, got {rate}")
        group[INITIAL] = rate
    return optimizer


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float, config: Config) -> None:
    """Set the learning rate of all groups of parameters. Those of an optimizer of the user's own
    are their initial ones, times the present rate as a part of `config.lr`."""
    for group in optimizer.param_groups:
        group["lr"] = rate * (group[INITIAL] / config.lr) if INITIAL in group else rate
