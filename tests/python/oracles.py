"""Second opinions: foolbox's attacks from our starts, with our signature (raw images, before any
rule about eps), and AutoAttack's package by itself."""

import functools
import math
import os
import warnings

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from conftest import ROOT
from sense.models import build_model


@functools.cache
def foolbox():
    """The module; skips the test where it is not installed."""
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # it imports GitPython, not to use it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("foolbox", reason="needs foolbox: pip install '.[dev]'")


def run(attack, model: nn.Module, x: Tensor, y: Tensor, eps: float | None) -> Tensor:
    """The raw images of a foolbox attack on the model in evaluation mode."""
    box = foolbox().PyTorchModel(model.eval(), bounds=(0, 1), device=x.device)
    return attack(box, x, y, epsilons=eps)[0]


def pgd(model, x, y, *, eps, step_size, steps, norm, start) -> Tensor:
    attacks = foolbox().attacks
    base = {
        math.inf: attacks.LinfProjectedGradientDescentAttack,
        2: attacks.L2ProjectedGradientDescentAttack,
    }[norm]

    class FromStart(base):
        def get_random_start(self, x0, epsilon):
            return type(x0)(start)

    return run(FromStart(abs_stepsize=step_size, steps=steps), model, x, y, eps)


def fgsm(model, x, y, *, eps, norm) -> Tensor:
    attacks = foolbox().attacks
    kind = {
        math.inf: attacks.LinfFastGradientAttack,
        2: attacks.L2FastGradientAttack,
        1: attacks.L1FastGradientAttack,
    }[norm]
    return run(kind(), model, x, y, eps)


def deepfool(model, x, y, *, norm) -> Tensor:
    attacks = foolbox().attacks
    kind = {math.inf: attacks.LinfDeepFoolAttack, 2: attacks.L2DeepFoolAttack}[norm]
    return run(kind(), model, x, y, None)


def autoattack(model, x, y, *, eps, norm, batch_size, seed=0, parts=None, targets=None) -> Tensor:
    """AutoAttack by its package alone, as its README has it; fewer parts and targets if wanted."""
    package = pytest.importorskip(
        "pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'"
    )
    name = {math.inf: "Linf", 2: "L2", 1: "L1"}[norm]
    attack = package.AutoAttack(model.eval(), eps=eps, norm=name, seed=seed, device=x.device)
    if parts is not None:
        attack.attacks_to_run = list(parts)
        attack.apgd_targeted.n_target_classes = attack.fab.n_target_classes = targets
    with torch.random.fork_rng():
        return attack.run_standard_evaluation(x, y, batch_size=batch_size)[0]


def trained(method: str, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A network of the demonstration, trained on 10,000 images of MNIST: nt, r-at or sense."""
    network = build_model("capacity-3", (1, 28, 28), 10)
    network.load_state_dict(load_file(ROOT / f"inst/extdata/mnist-demo/{method}/model.safetensors"))
    return network.to(dtype)


@torch.no_grad()
def broken(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Which images are misclassified."""
    return model.eval()(x).argmax(1) != y
