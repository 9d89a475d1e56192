"""Fragments of docs/reproduce.md about the stored results of experiments."""

from collections.abc import Callable, Sequence
from functools import cache

from documented_numbers import EXTDATA, Fragments, on
from paper_numbers import paper_value
from sense.reproduce import listing
from sense.reproduce.experiments import EXPERIMENTS
from sense.reproduce.results import read_result
from sense.reproduce.table import Row
from sense.reproduce.verdicts import choose

STORED = EXTDATA / "reproduce"


def is_stored(name: str) -> bool:
    return (STORED / f"{name}-cpu.json").is_file()


@cache
def stored_rows(name: str) -> tuple[Row, ...]:
    """Return the rows of a stored result at the scale cpu, those of transfer attacks apart."""
    return tuple(row for row in read_result(STORED, f"{name}-cpu").rows if row.source is None)


def mean(rows: Sequence[Row]) -> str:
    """Return the mean accuracy of the networks that did not collapse, in percent."""
    kept = [row.accuracy for row in rows if not row.collapsed]
    return f"{100 * sum(kept) / len(kept):.1f}"


def of_experiment(name: str) -> Callable[[Callable[[], Fragments]], Callable[[], Fragments]]:
    """Name the experiment whose result a function reads: without a result it yields nothing."""

    def register(function: Callable[[], Fragments]) -> Callable[[], Fragments]:
        return on("docs/reproduce.md")(lambda: function() if is_stored(name) else iter(()))

    return register


@on("docs/reproduce.md")
def outcomes_of_experiments() -> Fragments:
    for name in EXPERIMENTS:
        description = listing.stored_description(name, "cpu")
        if description is not None:
            yield listing.outcome(description)


def on_cifar_cnn_2(**columns: str) -> str:
    """Return a number of Table 7, which has the network of `cifar10`."""
    return f"{paper_value(experiment='table7', model='cifar-cnn-2', **columns)} %"


@of_experiment("cifar10")
def every_method_on_cifar10() -> Fragments:
    rows = stored_rows("cifar10")
    budgets = sorted({row.epochs for row in rows})
    usual = [row for row in rows if row.epochs == 20]

    def accuracies(found: Sequence[Row], **options: object) -> tuple[str, str]:
        chosen = choose(found, **options)
        natural, robust = (mean(choose(chosen, attack=name)) for name in ("natural", "autoattack"))
        return f"{natural} %", f"{robust} %"

    sense = {"method": "sense", "c": 0.5, "boundary": "revert"}
    natural, robust = accuracies(usual, **sense)
    yield f"SENSE-AT with c = 0.5 has {natural} natural accuracy and {robust} under AutoAttack"
    natural, robust = accuracies(usual, method="r-at")
    yield f"R-AT {natural} and {robust}"
    natural, robust = accuracies(usual, method="trades")
    yield f"TRADES {natural} and {robust}"
    collapsed = {row.seed for row in choose(usual, method="r-at") if row.collapsed}
    yield f"seed {', '.join(map(str, sorted(collapsed)))} of R-AT collapsed"
    ours, theirs = (
        [on_cifar_cnn_2(method=method, c=c, attack=attack) for attack in ("natural", "pgd")]
        for method, c in (("sense", "0.5"), ("r-at", ""))
    )
    yield f"{ours[0]} natural accuracy and {ours[1]} under PGD for SENSE-AT"
    yield f"{theirs[0]} and {theirs[1]} for R-AT"
    natural, robust = accuracies(usual, method="sense", c=0.3, boundary="bisect")
    yield f"c = 0.3 and bisection {natural} and {robust}"
    yield "With none of these numbers of epochs is SENSE-AT as robust as R-AT"
    for method, options in (("SENSE-AT (c = 0.5)", sense), ("R-AT", {"method": "r-at"})):
        few, many = (
            accuracies([row for row in rows if row.epochs == epochs and row.seed == 1], **options)
            for epochs in (budgets[0], budgets[-1])
        )
        yield f"{method} from {few[0]} and {few[1]} to {many[0]} and {many[1]}"


@of_experiment("table7")
def small_networks() -> Fragments:
    rows = stored_rows("table7")

    def accuracies(**options: object) -> str:
        found = choose(rows, model="cifar-cnn-2", lr=0.05, **options)
        return " and ".join(f"{mean(choose(found, attack=a))} %" for a in ("natural", "pgd"))

    natural = choose(rows, attack="natural")
    assert {row.method for row in natural if row.collapsed} == {"r-at"}
    yield "Only R-AT collapses: " + ", and ".join(
        f"with {model} at "
        + ("the learning rates " if len(rates) > 1 else "")
        + " and ".join(map(str, rates))
        for model in ("cifar-cnn-1", "cifar-cnn-2")
        if (rates := [row.lr for row in choose(natural, model=model) if row.collapsed])
    )
    low = choose(natural, method="r-at", model="cifar-cnn-1", lr=0.01)
    assert not any(row.collapsed for row in low)
    yield f"its natural accuracy is {mean(low)} %"
    yield f"None of {len(choose(natural, method='sense'))} trainings of SENSE-AT collapses"
    yield f"R-AT {accuracies(method='r-at')}"
    for c in (0.1, 0.5, 0.7):
        yield f"c = {c} {accuracies(method='sense', c=c)}"
    yield f"NT {accuracies(method='nt')}"
    yield f"NT has {mean(choose(natural, method='nt', model='cifar-cnn-2', lr=0.001))} %"
    (epochs,) = {row.epochs for row in rows}
    (images,) = {row.n for row in rows}
    yield f"too little for {epochs} epochs and {images:,} images"
    yield f"{epochs} epochs are too few for any method"


@of_experiment("cifar10-fast")
def an_hour_on_two_cores() -> Fragments:
    rows = stored_rows("cifar10-fast")
    assert {row.model for row in rows} == {"wrn-10-4-s2"}
    for method in ("r-at", "trades", "sense"):
        found = choose(rows, method=method)
        if not found:
            continue
        (seconds,) = {row.seconds_training for row in found}
        (epochs,) = {row.epochs for row in found}
        yield f"{epochs} epochs in {seconds / 60:.0f} minutes"
        for attack in ("natural", "pgd", "autoattack"):
            (row,) = choose(found, attack=attack)
            yield (
                f"{100 * row.accuracy:.1f} % [{100 * row.lower:.1f}, {100 * row.upper:.1f}] "
                f"({row.k} / {row.n:,})"
            )
