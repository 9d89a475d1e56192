"""Section attack: the sensible attack and R-AT's, against a bare loop of the passes they need."""

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

    def ours(use: Any, **more: Any) -> Any:
        return timed(lambda: use(network.model, x, y, **attack, **more))

    def bare(passes: list[Pass]) -> Any:
        return timed(lambda: bare_loop(network.model, x, y, passes))

    names = {
        "sensible": ours(sensible_with_stages, c=options.c),
        "its passes": bare(needed),
        "pgd": ours(pgd),
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
            compare("R-AT's attack", times, "pgd", "pgd's passes", len(x), "", network.about),
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
    """The first training images, which the tables say are so many."""
    return to_float(network.data.train_x[:images]), network.data.train_y[:images]


def check_sensible(
    model: nn.Module, x: Tensor, y: Tensor, c: float, attack: dict[str, Any]
) -> tuple[list[Pass], str, list[int]]:
    """The passes needed, how many images come out as in the literal loop, and of each stage."""
    needed, expected = sensible_passes(model, x, y, c=c, **attack)
    found = sensible_with_stages(model, x, y, c=c, **attack)
    return (
        needed,
        alike(found.x_adv, expected),
        torch.bincount(found.stages.int(), minlength=3).tolist(),
    )


def alike(found: Tensor, expected: Tensor, least: float = 0.95, tolerance: float = 1e-5) -> str:
    """How many images agree in every pixel. Raises ArithmeticError where fewer than the least part
    do: a gradient near 0 may have either sign by rounding, which then moves a whole image."""
    equal = int(((found - expected).abs().flatten(1).amax(1) <= tolerance).sum())
    if equal < least * len(found):
        raise ArithmeticError(
            f"two ways should give the same images, {equal} of {len(found)} are the same: the "
            "times of both would compare different things"
        )
    return f"{equal} / {len(found)} images the same"


def compare(
    title: str, times: Times, ours: str, bare: str, images: int, same: str, note: str
) -> Comparison:
    part = {name: times[name] for name in (ours, bare)}
    checked = {ours: same} if same else {}
    return Comparison(title, part, bare, 1000 / images, "ms / image", checked, (note,))
