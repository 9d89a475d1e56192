"""Section epoch: training steps of each method, compared with plain loops around the peers' PGD."""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from sense.config import Config, recipe
from sense.data import to_float

from .attack import compare_images
from .networks import Network, cifar_cnn, small_cnn, untrained
from .peer_process import contenders_in_new_process
from .peers import available
from .report import Bar, Comparison, Section
from .settings import Settings
from .steps import OUR_LAYERS, check_peers, first_images, our_epoch, peer_loops, timed_options
from .timing import Contender, Times, alternate, fastest, ratio

FIVE = ("r-at", "sense", "nt", "trades", "mart")
ALL = (*FIVE, "mma", "iaat", "sense-trades", "fgsm-rs", "n-fgsm")
VARIANTS: dict[str, dict[str, Any]] = {
    "sense, bisect": {"method": "sense", "boundary": "bisect"},
    "sense, noise": {"method": "sense", "boundary": "noise"},
    "iaat, warm-up": {"method": "iaat", "warmup": 1},
}
# That of the peers' loops. The section half-precision has bfloat16.
PRECISION = "float32"
PEER_FORMS = {
    "contiguous": "with torch's default layout",
    "channels_last": "in channels_last",
    OUR_LAYERS: "in channels_last and with our layers",
}


@dataclass(frozen=True)
class Plan:
    """What is timed on a network: options, our methods and variants, the peers, the number of
    batches per measurement and the number of rounds."""

    network: Network
    options: Config
    methods: tuple[str, ...]
    variants: dict[str, dict[str, Any]]
    peers: list[str]
    batches: int
    rounds: int


def run(settings: Settings) -> Section:
    peers = available()
    plans = plans_for(settings, peers)
    comparisons, bars = [], []
    for plan in plans:
        times, comparison = compare(plan)
        comparisons.append(comparison)
        bars += bars_of(plan, times)
    missing = "" if peers else "No peer is installed; `make bench` installs them."
    return Section(
        "epoch", tuple(comparisons), bars=tuple(bars), notes=(missing,) if missing else ()
    )


def plans_for(settings: Settings, peers: list[str]) -> list[Plan]:
    """Return the plans: SmallCNN on MNIST, the CNNs and ResNet-20 on CIFAR10. Quick runs without a
    CIFAR10 folder have the first only."""
    batch, rounds = settings.pick(16, 128), settings.pick(1, 5)
    mnist = timed_options(recipe("mnist"), batch_size=batch, precision=PRECISION)
    plans = [Plan(small_cnn(settings), mnist, FIVE, {}, peers, 1, rounds)]
    if settings.quick and settings.cifar10 is None:
        return plans
    cnn = timed_options(recipe("cifar10-demo"), batch_size=batch, precision=PRECISION)
    batches = settings.pick(1, 4)
    variants = VARIANTS | {"free": {"method": "free", "replays": batches}}
    plans.append(Plan(cifar_cnn(settings, 2), cnn, ALL, variants, peers, batches, rounds))
    plans.append(Plan(cifar_cnn(settings, 1), cnn, ("r-at", "sense"), {}, [], batches, 2 * rounds))
    resnet = timed_options(
        recipe("cifar10-resnet"), batch_size=settings.pick(4, 32), precision=PRECISION
    )
    network = untrained(settings, recipe("cifar10-resnet"))
    plans.append(Plan(network, resnet, FIVE, {}, peers, 1, settings.pick(1, 3)))
    return plans


def compare(plan: Plan) -> tuple[Times, Comparison]:
    """Time the contenders of a plan, after a check that the attacks give the same images."""
    network, options = plan.network, plan.options
    images = first_images(network.data, plan.batches * options.batch_size)
    x, y = to_float(images.train_x[: options.batch_size]), images.train_y[: options.batch_size]
    same = check_peers(network, options, x, y, plan.peers, compare_images)

    changes = {name: {"method": name} for name in plan.methods} | plan.variants
    metrics: dict[str, dict[str, Any]] = {name: {} for name in changes}
    contenders: dict[str, Contender] = {
        f"ours, {name}": our_epoch(network, timed_options(options, **change), images, metrics[name])
        for name, change in changes.items()
    }
    make = partial(peer_loops, network, options, images, plan.peers)
    with ExitStack() as stack:
        if plan.peers:
            contenders |= stack.enter_context(contenders_in_new_process(make))
        times = alternate(contenders, plan.rounds)
    stages = [metrics["sense"][f"stage_{name}"] for name in "abc"]
    count = len(images.train_x)
    return times, Comparison(
        f"Training steps, {network.config.model} on {network.data.name}",
        times,
        "ours, r-at",
        1000 / count,
        "ms / image",
        checked(same, times),
        (
            f"{plan.batches} batches of {options.batch_size} per measurement, K = {options.steps}, "
            f"c = {options.c}; stages A, B, C of sense: {stages}. All in {options.precision}. The "
            "peers' loops run in their own process.",
            network.description,
        ),
    )


def checked(same: Any, times: Times) -> dict[str, str]:
    """Return the result of the check of each peer's attack, by row of the table."""
    rows = {}
    for name in times:
        method, peer = name.split(", ")[:2]
        if peer in same:
            rows[name] = same[f"{peer}, TRADES" if method == "trades" else peer]
            if method == "mart":
                rows[name] += ", but starts uniformly in the ball"
    return rows


def bars_of(plan: Plan, times: Times) -> list[Bar]:
    """Return bars 2 and 3, for the networks that they are about."""
    model = plan.network.config.model
    bars = []
    if model.startswith("cifar-cnn"):
        bars.append(
            Bar(
                "2",
                f"SENSE-AT / R-AT, {model}, c = {plan.options.c}",
                0.5,
                ratio(times, "ours, sense", "ours, r-at"),
            )
        )
    if model == "small-cnn":
        why = "" if plan.network.converged else "network not converged"
        bars.append(
            Bar(
                "2",
                f"SENSE-AT / R-AT, {model}, c = {plan.options.c}",
                1.05,
                ratio(times, "ours, sense", "ours, r-at"),
                unjudged=why,
            )
        )
        for form, what in PEER_FORMS.items():
            rows = [row for row in times if row.startswith("r-at, ") and row.endswith(f", {form}")]
            if rows:
                first = fastest(times, rows)
                peer = first.removeprefix("r-at, ").removesuffix(f", {form}")
                bars.append(
                    Bar(
                        "3",
                        f"R-AT by the fastest peer, {what} ({peer}) / ours",
                        1.3,
                        ratio(times, first, "ours, r-at"),
                        at_most=False,
                    )
                )
    return bars
