"""Training steps as contenders: ours by `fit`, those of peers by a plain training loop."""

import copy
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sense.attacks import pgd
from sense.attacks.divergence import divergence_pgd
from sense.attacks.geometry import noisy_start
from sense.config import Config
from sense.data import ImageData, to_float
from sense.methods.mart import mart_losses
from sense.train import fit

from .networks import Network, has_own_layers, torch_layers
from .peers import (
    PEERS,
    RETURNS_LAST_MISCLASSIFIED,
    Ball,
    Perturb,
    last_misclassified,
    torchattacks_trades,
)
from .timing import Contender

Loss = Callable[[nn.Module, Tensor, Tensor, Tensor], Tensor]  # of model, x, x_adv, y
# Memory layouts of network and images in a peer's loop; the last also keeps our own layers.
FORMS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
OUR_LAYERS = "channels_last, our layers"
LEARNING_RATE = 1e-5  # small, so that the network does not change


def first_images(data: ImageData, images: int) -> ImageData:
    """Return the first training images as a data set."""
    return ImageData(
        data.name,
        data.train_x[:images],
        data.train_y[:images],
        data.test_x[:1],
        data.test_y[:1],
        data.classes,
    )


def timed_options(options: Config, **changes: Any) -> Config:
    """Return options for one epoch of the method at full strength: no pretraining, warm-up, ramp or
    augmentation, and monitoring on one image."""
    fixed: dict[str, Any] = {
        "pretrain": 0,
        "epochs": 1,
        "warmup": 0,
        "augment": "none",
        "monitor_size": 1,
        "train_size": None,
        "optimizer": "sgd",
        "lr": LEARNING_RATE,
        "schedule": "constant",
        "milestones": (),
        "milestone_lrs": (),
        "weight_decay": 0.0,
        "nesterov": False,
        "eps_ramp": 0.0,
        "device": "cpu",
        "threads": None,
    }
    return replace(options, **{**fixed, **changes})


def our_epoch(
    network: Network, options: Config, images: ImageData, metrics: dict[str, Any]
) -> Contender:
    """Return a contender: an epoch of our training from the network's weights. Its seconds are
    those of the steps, from the epoch's metrics, which are stored in `metrics`."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            fit(
                options,
                Path(folder),
                data=images,
                model=copy.deepcopy(network.model),
                on_epoch=metrics.update,
            )
        return float(metrics["seconds"])

    return run


def plain_loop(
    network: Network,
    options: Config,
    images: ImageData,
    form: str,
    loss: Loss,
    attack: Callable[[nn.Module], Perturb] | None = None,
) -> Contender:
    """Return a contender: the same steps by a plain loop, on images that are floats already."""
    layout = FORMS["channels_last" if form == OUR_LAYERS else form]
    x = to_float(images.train_x).contiguous(memory_format=layout)
    batches = torch.arange(len(x)).split(options.batch_size)

    def run() -> float:
        copied = copy.deepcopy if form == OUR_LAYERS else torch_layers
        model = copied(network.model).to(memory_format=layout).train()  # type: ignore[call-overload]
        optimizer = torch.optim.SGD(model.parameters(), lr=options.lr, momentum=options.momentum)
        perturb = attack(model) if attack else None
        began = time.perf_counter()
        for index in batches:
            natural, y = x[index], images.train_y[index]
            x_adv = natural
            if perturb:
                x_adv = perturb(natural, y).detach()
                model.train()
            value = loss(model, natural, x_adv, y)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        return time.perf_counter() - began

    return run


def cross_entropy(model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
    """The loss of NT and R-AT."""
    return F.cross_entropy(model(x_adv), y)


def trades(beta: float) -> Loss:
    def loss(model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
        natural, adversarial = model(x), model(x_adv)
        divergence = F.kl_div(
            F.log_softmax(adversarial, 1), F.softmax(natural, 1), reduction="batchmean"
        )
        return F.cross_entropy(natural, y) + beta * divergence

    return loss


def mart(beta: float) -> Loss:
    def loss(model: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor) -> Tensor:
        boosted, unsure = mart_losses(model(x), model(x_adv), y)
        return (boosted + beta * unsure).mean()

    return loss


def peer_loops(
    network: Network, options: Config, images: ImageData, peers: list[str]
) -> dict[str, Contender]:
    """Return plain loops in both memory layouts: R-AT with each peer's PGD, MART and TRADES with
    torchattacks' attacks, and NT. R-AT also with our own layers, if there are any."""
    ball = Ball(options.eps, options.step_size, options.steps)

    def around(make: Callable[[nn.Module, Ball], Perturb]) -> Callable[[nn.Module], Perturb]:
        return lambda model: make(model, ball)

    loops: dict[str, tuple[Loss, Callable[[nn.Module], Perturb] | None]] = {
        f"r-at, {name}": (cross_entropy, around(PEERS[name])) for name in peers
    }
    loops["nt, plain loop"] = (cross_entropy, None)
    if "torchattacks" in peers:
        loops["trades, torchattacks"] = (trades(options.beta), around(torchattacks_trades))
        loops["mart, torchattacks"] = (mart(options.beta), around(PEERS["torchattacks"]))
    made = {
        f"{name}, {form}": plain_loop(network, options, images, form, loss, attack)
        for name, (loss, attack) in loops.items()
        for form in FORMS
    }
    if has_own_layers(network.model):
        for name in peers:
            loss, attack = loops[f"r-at, {name}"]
            made[f"r-at, {name}, {OUR_LAYERS}"] = plain_loop(
                network, options, images, OUR_LAYERS, loss, attack
            )
    return made


def check_peers(
    network: Network,
    options: Config,
    x: Tensor,
    y: Tensor,
    peers: list[str],
    compare_images: Callable[[Tensor, Tensor], str],
) -> Mapping[str, str]:
    """Check that each peer's attack gives our images from the same start: x, or for TRADES the same
    random point. In float64, if the package supports it, so that rounding hardly changes signs."""
    ball = Ball(options.eps, options.step_size, options.steps, random_start=False)
    found: dict[str, str] = {}
    for name in peers:
        kind = torch.float32 if name == "ART" else torch.float64
        model, images = torch_layers(network.model).to(kind).eval(), x.to(kind)
        theirs = PEERS[name](model, ball)(images, y).to(kind)
        if name in RETURNS_LAST_MISCLASSIFIED:
            found[name] = compare_images(theirs, last_misclassified(model.eval(), images, y, ball))
            found[name] += ", as the last misclassified"
            continue
        found[name] = compare_images(
            theirs,
            pgd(
                model,
                images,
                y,
                eps=ball.eps,
                step_size=ball.step_size,
                steps=ball.steps,
                random_start=False,
            ),
        )
    if "torchattacks" in peers:
        model, images = torch_layers(network.model).double().eval(), x.double()
        torch.manual_seed(0)
        theirs = torchattacks_trades(model, ball)(images, y)
        torch.manual_seed(0)
        start = noisy_start(images).clamp(
            0, 1
        )  # torchattacks clips the start, the authors of TRADES do not
        expected = divergence_pgd(
            model, images, eps=ball.eps, step_size=ball.step_size, steps=ball.steps, start=start
        )
        found["torchattacks, TRADES"] = compare_images(theirs, expected)
    return found
