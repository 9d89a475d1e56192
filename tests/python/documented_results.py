"""Fragments of README and docs with measured numbers, computed from the stored results."""

import csv
import json
import runpy
from functools import cache
from pathlib import Path
from typing import Any

from conftest import ROOT
from documented_numbers import EXTDATA, Fragments, on
from known_networks import as_counts, as_table
from paper_numbers import paper_value
from sense.evaluation.outcomes import read_outcomes
from sense.evaluation.summary import read_evaluation
from sense.models import build_model
from sense.statistics import holm, mcnemar, wilson

DEMO = EXTDATA / "mnist-demo"
SEEDS = EXTDATA / "mnist-demo-seeds.csv"
FAST = EXTDATA / "mnist-fast"
STUDY = EXTDATA / "mnist-robustness"
METHODS = EXTDATA / "methods"
NETWORKS = sorted(path.parent.name for path in STUDY.glob("*/config.json"))
DEMO_ATTACKS = ("natural", "pgd", "autoattack")


def shown(found: dict[str, Any]) -> str:
    return str(wilson(found["k"], found["n"]))


def row(stored: dict[str, Any], attacks: tuple[str, ...]) -> str:
    return f"| {' | '.join(shown(stored[attack]) for attack in attacks)} |"


@cache
def stored_accuracy(folder: Path) -> dict[str, Any]:
    return read_evaluation(folder)["accuracy"]


@cache
def correct(folder: Path) -> dict[str, dict[int, bool]]:
    """Whether the network is correct, by attack and then by image."""
    found: dict[str, dict[int, bool]] = {}
    for outcome in read_outcomes(folder):
        found.setdefault(outcome.attack, {})[outcome.image] = outcome.correct
    return found


def overestimate(folder: Path, others: tuple[str, ...] = ()) -> tuple[int, int]:
    """Return how many images are correct under PGD and not under one of the other attacks in the
    ball, and the number of images."""
    found = correct(folder)
    names = others or [name for name in found if name not in ("pgd", "deepfool-l2")]
    broken = sum(
        still and not all(found[other].get(image, True) for other in names)
        for image, still in found["pgd"].items()
    )
    return broken, len(found["pgd"])


def points(k: int, n: int) -> str:
    return f"{100 * k / n + 1e-9:.1f}"


@on("README.md")
def demo_over_seeds() -> Fragments:
    columns = [
        ("nt", "natural"),
        *((method, attack) for method in ("r-at", "sense") for attack in DEMO_ATTACKS),
    ]
    seeds, rows = by_seed(), []
    for seed, found in seeds.items():
        cells = [
            f"{100 * one['k'] / one['n']:.1f} % ({one['k']})" for one in map(found.get, columns)
        ]
        rows.append(f"| {seed} | {' | '.join(cells)} |")
    yield "\n".join(rows)
    attacked = [found["sense", "autoattack"] for found in seeds.values()]
    robust = [100 * one["k"] / one["n"] for one in attacked]
    yield f"its accuracy under AutoAttack ranges from {min(robust):.1f} % to {max(robust):.1f} %"
    wilsons = [wilson(one["k"], one["n"]) for found in seeds.values() for one in found.values()]
    widest = max(one.upper - one.lower for one in wilsons)
    yield f"at most ± {100 * widest / 2:.1f} percentage points"


@cache
def by_seed() -> dict[int, dict[tuple[str, str], dict[str, int]]]:
    """The stored accuracies, by seed and then by method and attack."""
    seeds: dict[int, dict[tuple[str, str], dict[str, int]]] = {}
    for line in csv.DictReader(SEEDS.read_text().splitlines()):
        found = {"k": int(line["k"]), "n": int(line["n"])}
        seeds.setdefault(int(line["seed"]), {})[line["method"], line["attack"]] = found
    return dict(sorted(seeds.items()))


def collapsed_seeds(method: str) -> list[int]:
    """A network that predicts one class has the same accuracy under every attack."""
    return [
        seed
        for seed, found in by_seed().items()
        if len({found[method, attack]["k"] for attack in DEMO_ATTACKS}) == 1
    ]


@on("README.md", "docs/results.md")
def number_of_collapsed_seeds() -> Fragments:
    yield f"for {len(collapsed_seeds('r-at'))} of {len(by_seed())} seeds"


@on("docs/results.md")
def demo() -> Fragments:
    for method in ("nt", "r-at", "sense"):
        yield row(stored_accuracy(DEMO / method), ("natural", "pgd", "autoattack", "worst"))
    (sense, n), (r_at, _) = (
        overestimate(DEMO / method, ("autoattack",)) for method in ("sense", "r-at")
    )
    yield (
        f"PGD overestimates the robust accuracy of SENSE-AT by {points(sense, n)} percentage "
        f"points and that of R-AT by {points(r_at, n)}: {sense} and {r_at} of {n:,} images"
    )


def minutes_of_mnist_fast() -> float:
    lines = (FAST / "metrics.jsonl").read_text().splitlines()
    return sum(json.loads(line)["seconds"] for line in lines) / 60


@on("README.md")
def mnist_fast_in_the_readme() -> Fragments:
    natural = stored_accuracy(FAST / "all")["natural"]
    robust = stored_accuracy(FAST)["autoattack"]
    yield (
        f"{100 * natural['k'] / natural['n']:.1f} % natural accuracy and "
        f"{100 * robust['k'] / robust['n']:.1f} % under AutoAttack after "
        f"{minutes_of_mnist_fast():.0f} minutes on two cores"
    )


@on("docs/paper.md")
def mnist_fast_among_the_recipes() -> Fragments:
    yield f"SmallCNN on all of MNIST in {minutes_of_mnist_fast():.0f} minutes on two cores"


@on("docs/results.md")
def mnist_fast() -> Fragments:
    every, drawn = stored_accuracy(FAST / "all"), stored_accuracy(FAST)
    yield f"which took {minutes_of_mnist_fast():.1f} minutes on two cores"
    yield f"| all 10,000 | none | {shown(every['natural'])} |"
    yield f"| all 10,000 | PGD-100 with 5 restarts | {shown(every['pgd'])} |"
    yield f"| 2,000, drawn at random | none | {shown(drawn['natural'])} |"
    yield f"| the same 2,000 | PGD-500 with 20 restarts | {shown(drawn['pgd'])} |"
    yield f"| the same 2,000 | AutoAttack | {shown(drawn['autoattack'])} |"
    yield f"| the same 2,000 | worst of both | {shown(drawn['worst'])} |"
    wrong = drawn["autoattack"]["n"] - drawn["autoattack"]["k"]
    others = drawn["autoattack"]["n"] - 600
    yield (
        f"Even if all {wrong} misclassified images were among the other {others:,}, the accuracy "
        f"under AutoAttack on those would be {100 * (others - wrong) / others:.1f} % "
        f"({others - wrong})"
    )


@on("docs/results.md")
def robustness_study() -> Fragments:
    for method in NETWORKS:
        yield row(stored_accuracy(STUDY / method), ("natural", "pgd", "autoattack", "worst"))
    names = [name for name in NETWORKS if name != "nt"]
    by, interval = {}, {}
    for name in names:
        found = wilson(*overestimate(STUDY / name))
        by[name] = f"{100 * found.estimate:.1f}"
        interval[name] = f"[{100 * found.lower:.1f}, {100 * found.upper:.1f}]"
    yield (
        f"the robust accuracy of SENSE-AT by {by['sense']} percentage points {interval['sense']} "
        f"at c = 0.7 and by {by['sense-c-0.5']} {interval['sense-c-0.5']} at c = 0.5, that of R-AT "
        f"by {by['r-at']} {interval['r-at']} and that of TRADES by {by['trades']} "
        f"{interval['trades']}"
    )
    yield from differences_of_the_study()
    natural = {name: stored_accuracy(STUDY / name)["natural"]["k"] for name in names}
    yield (
        f"is higher than that of R-AT by {natural['sense'] - natural['r-at']} (c = 0.7) and "
        f"{natural['sense-c-0.5'] - natural['r-at']} (c = 0.5) of 1,000 images"
    )


def differences_of_the_study() -> Fragments:
    """Images that only one of two networks classifies correctly under every attack."""
    tests = [
        (attack, one, other, *only_one(STUDY / one, STUDY / other, attack))
        for attack in correct(STUDY / "nt") | {"worst": {}}
        for i, one in enumerate(NETWORKS)
        for other in NETWORKS[i + 1 :]
    ]
    adjusted = holm([mcnemar(first, second) for *_, first, second in tests])
    found = {
        (one, other): (first, second, p)
        for (attack, one, other, first, second), p in zip(tests, adjusted, strict=True)
        if attack == "worst"
    }
    first, second, p = found["r-at", "sense"]
    yield f"{first} are R-AT's and {second} are SENSE-AT's"
    yield f"adjusted by Holm over all pairs and attacks, p = {p:.0e})".replace("e-0", "e-")
    second, first, p = found["sense", "trades"]
    yield f"the numbers are {first} and {second} (p = {p:.0e})".replace("e-0", "e-")
    yield f"R-AT and TRADES ({found['r-at', 'trades'][0]} and {found['r-at', 'trades'][1]})"
    first, second, _ = found["sense", "sense-c-0.5"]
    yield f"the two values of c ({first} and {second})"


def only_one(one: Path, other: Path, attack: str) -> tuple[int, int]:
    first, second = (under(folder, attack) for folder in (one, other))
    return len(first - second), len(second - first)


@cache
def under(folder: Path, attack: str) -> set[int]:
    """The images that are correct under an attack, or under every attack in the ball."""
    found = correct(folder)
    names = [name for name in found if name != "deepfool-l2"] if attack == "worst" else [attack]
    images = found["natural"]
    return {image for image in images if all(found[name].get(image, True) for name in names)}


@on("docs/results.md")
def tables_of_methods() -> Fragments:
    for folder in (
        STUDY,
        *sorted({path.parent.parent for path in METHODS.glob("*/*/config.json")}),
    ):
        yield (folder / "table.md").read_text().strip()
    first, second = (METHODS / "mnist-demo" / name for name in ("sense-bisect", "sense"))
    higher, lower = only_one(first, second, "pgd")
    gap = 100 * (higher - lower) / stored_accuracy(first)["pgd"]["n"]
    yield (
        f"the accuracy under PGD is {gap:.0f} percentage points higher at the same natural "
        f"accuracy (of the same 1,000 images, {higher} are correct only with bisection and {lower} "
        f"only with Algorithm 1, exact McNemar p = {mcnemar(higher, lower):.1e})"
    )


@on("docs/results.md")
def regularisers() -> Fragments:
    tool = runpy.run_path(str(ROOT / "tools/compare_regularisers"))
    results = json.loads((METHODS / "regularisers.json").read_text())["results"]
    yield tool["table"](results)
    widest = 0.0
    for result in results:
        for name in ("natural", "pgd"):
            k, n = result["correct"][name], result["n"]
            found = wilson(k, n)
            widest = max(widest, found.upper - k / n, k / n - found.lower)
    yield f"at most ± {1000 * widest:.0f} images wide"
    by = {(r["method"], r["option"], r["seed"]): r for r in results}
    seeds = sorted({result["seed"] for result in results})

    def change(method: str, option: str, attack: str = "pgd") -> list[int]:
        return [
            by[method, option, seed]["correct"][attack]
            - by[method, "none", seed]["correct"][attack]
            for seed in seeds
        ]

    gains = [
        change("r-at", option, attack)[i]
        for option in tool["OPTIONS"]
        for attack in ("natural", "pgd")
        for i in (0, 1)
    ]
    yield f"no number rises by more than {max(gains)} images"
    yield "AWP lowers the accuracy under PGD by {} and {}".format(
        *(-value for value in change("r-at", "awp")[:2])
    )
    yield "for each seed, by {}, {} and {} images: do not".format(
        *(-value for value in change("sense", "label-smoothing"))
    )
    yield "for each seed, by {}, {} and {} images and by {}, {} and {}".format(
        *change("sense", "ema"), *change("sense", "awp")
    )
    smoothed, plain = (
        [by["sense", option, seed]["stages"]["A"] for seed in seeds]
        for option in ("label-smoothing", "none")
    )
    yield (
        f"{min(smoothed)} to {max(smoothed)} of the {tool['BASE'].train_size:,} images are in "
        f"stage A, without smoothing {min(plain)} to {max(plain)}"
    )


@on("docs/evaluation.md")
def known_networks() -> Fragments:
    for name in ("first", "drawn"):
        result = json.loads((EXTDATA / f"diagnostics/{name}.json").read_text())
        yield as_table(result)
        yield as_counts(result)
    networks = json.loads((EXTDATA / "diagnostics/first.json").read_text())["networks"]
    robust = max(networks[name]["seconds"] for name in ("R-AT", "SENSE-AT", "TRADES"))
    mart = networks["MART, eps 0.1"]["seconds"]
    yield (
        f"these passes took at most {robust:.0f} s for R-AT, SENSE-AT and TRADES below, and "
        f"{mart:.0f} s for MART"
    )


def printed(**columns: str) -> str:
    """The number of the paper with these columns."""
    return f"{paper_value(**columns)} %"


@on("docs/paper.md")
def errata_of_the_tables() -> Fragments:
    low, high = (printed(experiment="table5", attack="pgd", c=c) for c in ("0.1", "0.7"))
    yield f"{low} at c = 0.1, {high} at c = 0.7"
    smallest = printed(experiment="table6", attack="pgd", model="resnet20")
    trades, mart = (
        printed(experiment="table3", attack="pgd", method=method) for method in ("trades", "mart")
    )
    yield f"{smallest} is less than half of {trades} and of {mart}"
    natural, deepfool = (
        printed(experiment="table3", method="mma", attack=attack)
        for attack in ("natural", "deepfool")
    )
    yield f"{natural} natural accuracy, and {deepfool} under DeepFool"
    large, small = (
        sum(p.numel() for p in build_model(name, (3, 32, 32), 10).parameters())
        for name in ("wrn-34-10", "resnet20")
    )
    yield f"{round(large / small)} times: the authors' code"
