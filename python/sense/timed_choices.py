"""Choices that depend on the machine, by a short timing of the very network before training: the
precision, and whether passes are CUDA graphs.

Timing changes neither the network nor the random state.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .attacks.modes import attack_mode, kept_modes
from .attacks.output_checks import skip_value_checks
from .config import Config
from .extensions import is_code
from .methods import Batch, Method
from .precision import CudaGraphs, MixedPrecision, Precision, prepare
from .random_numbers import preserved_random_state

ROUNDS = 3  # of each candidate at least, of which the fastest counts
# While other programs use the machine, a run may take many times as long. So there are more rounds
# until a second run of each candidate is nearly as fast as its fastest one.
MOST_ROUNDS = 30
NEARLY = 1.1
LONGEST = 10.0  # seconds, after which no further round begins
# A candidate that rounds more, or that is more complicated, must take at most this share of the
# time of the plain one.
PAYS = 0.9
# Seconds that bfloat16 must save in a whole training. A shorter one stays in float32, so that it is
# the same on every machine.
WORTH_ROUNDING = 60.0

Name = TypeVar("Name", bound=str)
Take = Callable[[], tuple[Tensor, Tensor]]
Timing = Callable[[Mapping[Name, Callable[[], Tensor]]], dict[Name, float]]


def seconds_of(candidates: Mapping[Name, Callable[[], Tensor]]) -> dict[Name, float]:
    """Return the seconds of each candidate, which returns a tensor of one number: the least of
    `ROUNDS` runs or more, in turns, after `ROUNDS` that are not counted. A slow network has fewer,
    of which the least counts."""
    seconds: dict[Name, list[float]] = {name: [] for name in candidates}
    counted = seconds
    began = time.monotonic()
    for done in range(1, ROUNDS + MOST_ROUNDS + 1):
        for name, run in candidates.items():
            seconds[name].append(_seconds(run))
        if done > ROUNDS:
            counted = {name: taken[ROUNDS:] for name, taken in seconds.items()}
        enough = done >= 2 * ROUNDS and all(map(_is_confirmed, counted.values()))
        if enough or time.monotonic() - began > LONGEST:
            break
    return {name: min(taken) for name, taken in counted.items()}


def _is_confirmed(taken: list[float]) -> bool:
    """Whether the second least time is nearly the least one."""
    least, second = sorted(taken)[:2]
    return second <= NEARLY * least


def _seconds(run: Callable[[], Tensor]) -> float:
    began = time.perf_counter()
    float(run())  # waits for the device of the result
    return time.perf_counter() - began


def bfloat16_is_native(device: torch.device) -> bool:
    """Return whether the device multiplies matrices in bfloat16: a processor with AMX or
    avx512_bf16, or an NVIDIA GPU since Ampere."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and bool(
        torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    )


def choose_precision(
    precision: Precision | None,
    device: torch.device,
    network: nn.Module,
    take: Take,
    passes: float = math.inf,
    *,
    is_native: Callable[[torch.device], bool] = bfloat16_is_native,
    timing: Timing[Precision] = seconds_of,
) -> Precision:
    """Return the precision to train with.

    Parameters
    ----------
    precision
        None: tf32 on a CUDA device, float32 elsewhere. "auto": bfloat16 instead where the device is
        made for it, where a forward pass with the gradient of the images takes at most `PAYS` of
        the time, and where this saves `WORTH_ROUNDING` seconds. Others are returned as they are.
    device, network, take
        The device, the network on it, and what returns a batch of images and labels of the size of
        training.
    passes
        Number of such passes in the whole training.
    is_native, timing
        What tells the capabilities of the device, and the seconds of each candidate.
    """
    if precision not in (None, "auto"):
        return precision
    plain: Precision = "tf32" if device.type == "cuda" else "float32"
    if precision is None or not is_native(device):
        return plain
    networks: dict[Precision, nn.Module] = {plain: network, "bfloat16": MixedPrecision(network)}

    def gradient(one: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        z = x.clone().requires_grad_()
        return torch.autograd.grad(F.cross_entropy(one(z), y), z)[0].sum()

    with _unchanged(network), attack_mode(network, "evaluation"):
        batch = take()
        seconds = timing({name: partial(gradient, one, *batch) for name, one in networks.items()})
    pays = seconds["bfloat16"] <= PAYS * seconds[plain]
    saved = passes * (seconds[plain] - seconds["bfloat16"])
    return "bfloat16" if pays and saved >= WORTH_ROUNDING else plain


def choose_cuda_graphs(
    config: Config,
    device: torch.device,
    network: nn.Module,
    take: Take,
    make_method: Callable[[Config], Method],
    processes: int,
    *,
    build: Callable[[nn.Module, Precision | None, CudaGraphs], nn.Module] = prepare,
    timing: Timing[CudaGraphs] = seconds_of,
) -> CudaGraphs:
    """Return how passes are launched; `config` has the precision of training.

    It is "off" without a CUDA device and with several processes. For "auto" whole training steps
    are timed (attack, loss and gradient), with a batch for which every image takes all steps: the
    labels are the predictions of the network, and c is 0. "compact" saves passes as training
    progresses, which cannot be timed before: it is chosen if it costs little where it saves none.
    A method of the user's own is not timed, since it may have a state.

    Parameters
    ----------
    device, network, take, timing
        As in `choose_precision`.
    make_method
        Makes the method of a config.
    processes
        Number of processes that train the network.
    build
        Makes the network of each candidate.
    """
    if device.type != "cuda" or processes > 1:
        return "off"
    if config.cuda_graphs != "auto":
        return config.cuda_graphs
    if is_code(config.method):
        return "off"
    names: list[CudaGraphs] = ["off", "on"]
    if config.method in ("sense", "sense-trades"):
        config = replace(config, c=0.0)
        names.append("compact")
    with _unchanged(network):
        x, _ = take()
        with attack_mode(network, "evaluation"), torch.no_grad():
            batch = Batch(x, network(x).argmax(1), torch.arange(len(x)))
        seconds = timing(
            {
                name: _training_step(
                    build(network, config.precision, name).train(),
                    make_method(config),
                    batch,
                    config.epochs,
                )
                for name in names
            }
        )
    if min(seconds[name] for name in names[1:]) > PAYS * seconds["off"]:
        return "off"
    if "compact" in seconds and PAYS * seconds["compact"] <= seconds["on"]:
        return "compact"
    return "on"


def _training_step(
    network: nn.Module, method: Method, batch: Batch, epoch: float
) -> Callable[[], Tensor]:
    """Return a training step without the update, which returns its loss."""

    def step() -> Tensor:
        with skip_value_checks():
            loss = method(network, batch, epoch).loss
        loss.backward()
        network.zero_grad()
        return loss.detach()

    return step


@contextmanager
def _unchanged(network: nn.Module) -> Iterator[None]:
    """Restore modes, buffers, gradients and random state afterwards."""
    saved = [(buffer, buffer.clone()) for buffer in network.buffers()]
    try:
        with preserved_random_state(), kept_modes(network):
            yield
    finally:
        network.zero_grad()
        with torch.no_grad():
            for buffer, value in saved:
                buffer.copy_(value)
