"""Section attack: the sensible attack and PGD, each compared with only the passes it needs."""

from typing import Any

import torch
from torch import Tensor, nn

from sense.attacks import pgd, sensible_with_stages
from sense.config import recipe
from sense.data import to_float

from .networks import Network, small_cnn
from .passes import Pass, bare_loop, sensible_passes
from .report import Bar, Comparison, Section
from .settings import Settings
from .timing import Times, alternate, ratio, timed

LIMIT = 1.05


def run(settings: Settings) -> Section:
    network = small_cnn(settings)
    options = recipe("mnist")
    attack = {"eps": options.eps, "step_size": options.step_size, "steps": options.steps}
    x, y = batch(network, settings.pick(16, 128))
    network.model.eval()
    needed, same, stages = check_sensible(network.model, x, y, options.c, attack)
    full = [Pass(len(x), True)] * options.steps

    def attacked(function: Any, **options: Any) -> Any:
        return timed(lambda: function(network.model, x, y, **attack, **options))

    def bare(passes: list[Pass]) -> Any:
        return timed(lambda: bare_loop(network.model, x, y, passes))

    names = {
        "sensible": attacked(sensible_with_stages, c=options.c),
        "its passes": bare(needed),
        "pgd": attacked(pgd),
        "pgd's passes": bare(full),
    }
    times = alternate(names, settings.pick(2, 15))
    note = (
        f"{len(x)} images, K = {options.steps}, c = {options.c}; stages A, B, C: {stages}; "
        f"images in the passes: {[one.images for one in needed]}."
    )
    return Section(
        "attack",
        comparisons=(
            compare("Sensible attack", times, "sensible", "its passes", len(x), same, note),
            compare("R-AT's attack", times, "pgd", "pgd's passes", len(x), "", network.description),
        ),
        bars=(
            Bar(
                "1",
                "sensible attack / its passes, SmallCNN",
                LIMIT,
                ratio(times, "sensible", "its passes"),
            ),
            Bar(
                "1",
                "R-AT's attack / its passes, SmallCNN",
                LIMIT,
                ratio(times, "pgd", "pgd's passes"),
            ),
        ),
    )


def batch(network: Network, images: int) -> tuple[Tensor, Tensor]:
    """Return the first training images and their labels."""
    return to_float(network.data.train_x[:images]), network.data.train_y[:images]


def check_sensible(
    model: nn.Module, x: Tensor, y: Tensor, c: float, attack: dict[str, Any]
) -> tuple[list[Pass], str, list[int]]:
    """Return the passes needed, how many images equal those of the literal loop, and the number of
    images in each stage."""
    needed, expected = sensible_passes(model, x, y, c=c, **attack)
    found = sensible_with_stages(model, x, y, c=c, **attack)
    return (
        needed,
        compare_images(found.x_adv, expected),
        torch.bincount(found.stages.int(), minlength=3).tolist(),
    )


def compare_images(
    found: Tensor, expected: Tensor, min_share: float = 0.95, tolerance: float = 1e-5
) -> str:
    """Return how many images are equal in every pixel. Raises ArithmeticError if their share is
    below `min_share`. A few may differ: rounding can change the sign of a gradient near 0."""
    equal = int(((found - expected).abs().flatten(1).amax(1) <= tolerance).sum())
    if equal < min_share * len(found):
        raise ArithmeticError(
            f"only {equal} of {len(found)} images are the same, although both ways should give the "
            "same images: their times cannot be compared"
        )
    return f"{equal} / {len(found)} images the same"


def compare(
    title: str, times: Times, ours: str, bare: str, images: int, same: str, note: str
) -> Comparison:
    """Return the comparison of an attack with its passes, in milliseconds per image."""
    part = {name: times[name] for name in (ours, bare)}
    checked = {ours: same} if same else {}
    return Comparison(title, part, bare, 1000 / images, "ms / image", checked, (note,))
