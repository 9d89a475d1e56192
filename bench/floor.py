"""Section floor: PGD, only its forward and backward passes, and the time that their arithmetic
would take at the speed of a matrix product on this machine."""

import torch

from sense.attacks import pgd
from sense.config import Config, recipe

from .attack import batch
from .networks import (
    Network,
    cifar_cnn,
    has_own_layers,
    small_cnn,
    torch_layers,
    untrained,
)
from .passes import MatrixProduct, Pass, bare_loop, flops
from .report import Comparison, Figure, Section
from .settings import Settings
from .timing import alternate, timed


def run(settings: Settings) -> Section:
    mnist = recipe("mnist")
    cases: list[tuple[Network, Config, int]] = [(small_cnn(settings), mnist, 128)]
    if not settings.quick or settings.cifar10:
        cnn, resnet = recipe("cifar10-demo"), recipe("cifar10-resnet")
        cases += [(cifar_cnn(settings, 2), cnn, 128), (untrained(settings, resnet), resnet, 32)]
    product = MatrixProduct(repeats=settings.pick(1, 5))
    comparisons = [
        compare(network, options, settings.pick(8, images), settings.pick(2, 7), product)
        for network, options, images in cases
    ]
    rate = product.flops / min(product.seconds() for _ in range(settings.pick(2, 20)))
    found = Figure(
        f"matrix product of {product.size} x {product.size}, float32", rate / 1e9, "Gflop/s"
    )
    return Section("floor", tuple(comparisons), figures=(found,))


def compare(
    network: Network, options: Config, images: int, rounds: int, product: MatrixProduct
) -> Comparison:
    model = network.model.eval()
    x, y = batch(network, images)
    x = x.contiguous(memory_format=torch.channels_last)
    passes = [Pass(images, True)] * options.steps
    work = options.steps * flops(model, x, y, passes[:1])
    contenders = {
        "R-AT's attack": timed(
            lambda: pgd(
                model, x, y, eps=options.eps, step_size=options.step_size, steps=options.steps
            )
        ),
        "bare loop of its passes": timed(lambda: bare_loop(model, x, y, passes)),
        "their multiply-adds": product.contender(work),
    }
    if has_own_layers(model):
        plain = torch_layers(model)
        contenders["bare loop, torch's layers"] = timed(lambda: bare_loop(plain, x, y, passes))
    times = alternate(contenders, rounds)
    return Comparison(
        f"{network.config.model}, {images} images, K = {options.steps}",
        times,
        "bare loop of its passes",
        1000 / images,
        "ms / image",
        notes=(f"{work / 2e6 / images:.1f} million multiply-adds per image.",),
    )
