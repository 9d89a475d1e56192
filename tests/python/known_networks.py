"""Networks and evaluations with a known fault, on which the thresholds of the diagnostics are
calibrated (tools/calibrate_diagnostics) and tested."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from defences import Noisy, Quantised, Rippled, Saturated, Shuffled, Softmax, Stepped
from sense.config import recipe
from sense.data import ImageData
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_target
from sense.evaluation.targets import Target
from sense.models import build_model
from sense.runs import load
from sense.train import fit

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = "mnist-sample"
DEMO = ROOT / "inst/extdata/mnist-demo"
SETTINGS = Settings(eps=0.3, norm="inf", n=300, steps=100, restarts=2)
EPOCHS = 4
TRAINED: dict[str, dict[str, Any]] = {
    "trades": {"method": "trades", "beta": 1.0},
    "mart": {"method": "mart", "beta": 5.0, "eps": 0.1, "step_size": 0.0167},
    "collapsed": {"method": "r-at", "seed": 3},  # with this seed it predicts one class
}


@dataclass(frozen=True)
class Known:
    """A network or an evaluation with a known fault.

    Attributes
    ----------
    network
        Made from the folder of trained runs.
    fault
        In words; "" for none.
    must, may
        Checks that must warn of the fault, and checks whose warning is true because of it. Any
        other warning is false.
    settings
        Of the evaluation.
    """

    network: Callable[[Path], nn.Module]
    fault: str = ""
    must: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    settings: Settings = field(default=SETTINGS)


def stored(name: str) -> Callable[[Path], nn.Module]:
    return lambda runs: load(DEMO / name)


def wrapped(defence: Callable[[nn.Module], nn.Module]) -> Callable[[Path], nn.Module]:
    return lambda runs: defence(load(DEMO / "nt"))


def untrained(runs: Path) -> nn.Module:
    torch.manual_seed(0)
    return build_model("capacity-3", (1, 28, 28), 10)


def of_run(name: str) -> Callable[[Path], nn.Module]:
    return lambda runs: load(runs / name)


def train_known(runs: Path, names: tuple[str, ...] = tuple(TRAINED)) -> None:
    """Train the runs that do not exist yet, a minute each."""
    for name in names:
        if not (runs / name).exists():
            config = replace(recipe("mnist-demo"), epochs=EPOCHS, threads=1, device="cpu")
            fit(replace(config, **TRAINED[name]), runs / name)


FLAT = ("zero-gradients", "large-eps")
ATTACK = ("large-eps", "one-step", "gradient-free", "convergence", "stronger-attack")
OVERESTIMATED = "AutoAttack breaks {} of 2000 images that PGD does not"
KNOWN: dict[str, Known] = {
    "natural training": Known(stored("nt")),
    "R-AT": Known(stored("r-at"), OVERESTIMATED.format(63), ("stronger-attack",)),
    "SENSE-AT": Known(stored("sense"), OVERESTIMATED.format(109), ("stronger-attack",)),
    "TRADES": Known(of_run("trades"), "PGD overestimates it", may=("stronger-attack",)),
    "MART, eps 0.1": Known(of_run("mart"), settings=replace(SETTINGS, eps=0.1)),
    "untrained": Known(untrained, "no better than chance", ("chance",), ("one-class",)),
    "collapsed": Known(of_run("collapsed"), "predicts one class", ("one-class",), ("chance",)),
    "softmaxed": Known(wrapped(Softmax), "probabilities instead of logits", ("probabilities",)),
    "stochastic": Known(wrapped(Noisy), "noise in each forward pass", ("randomness",)),
    "quantised": Known(wrapped(Quantised), "eight grey levels", FLAT, ATTACK),
    "stepped": Known(wrapped(Stepped), "activations in steps of 1/4", FLAT, ATTACK),
    "saturated": Known(wrapped(Saturated), "logits times 1000", FLAT, ATTACK),
    "rippled": Known(
        wrapped(Rippled), "gradients of a ripple", ("one-step", "gradient-free"), ATTACK
    ),
    "shuffled": Known(wrapped(Shuffled), "wrong gradients", ("stronger-attack",), ATTACK),
    "two steps": Known(
        stored("r-at"),
        "PGD of two steps",
        ("convergence", "stronger-attack"),
        ATTACK,
        replace(SETTINGS, steps=2, restarts=1),
    ),
    "short steps": Known(
        stored("nt"),
        "steps too short to cross the ball",
        ("convergence", "stronger-attack"),
        ATTACK,
        replace(SETTINGS, steps=10, restarts=1, step_size=0.002),
    ),
}


def evaluate_known(known: Known, runs: Path, data: ImageData, folder: Path) -> dict[str, Any]:
    """Evaluate it into the folder, and return the content of evaluation.json."""
    model = known.network(runs).eval()
    target = Target("known", "object", type(model).__name__, model, data, folder)
    return evaluate_target(target, known.settings, device="cpu")


def warned(content: dict[str, Any]) -> set[str]:
    return {c["check"] for c in content["diagnostics"]["checks"] if c["verdict"] == "warning"}


def mistakes(name: str, found: set[str]) -> tuple[list[str], list[str]]:
    """The checks that miss the fault, and those whose warning is false."""
    known = KNOWN[name]
    return (
        sorted(set(known.must) - found),
        sorted(found - set(known.must) - set(known.may)),
    )


def as_table(result: dict[str, Any]) -> str:
    """The table of docs/evaluation.md from a stored result: a row per network."""
    checks = list(next(iter(result["networks"].values()))["checks"])
    lines = [
        f"| network | fault | {' | '.join(f'`{check}`' for check in checks)} |",
        "|" + "---|" * (len(checks) + 2),
    ]
    for name, row in result["networks"].items():
        found = {check for check, verdict in row["checks"].items() if verdict == "warning"}
        missed, false = mistakes(name, found)
        cells = [
            "**missed**"
            if check in missed
            else "**false**"
            if check in false
            else {"ok": "", "warning": "warns"}.get(verdict, "-")
            for check, verdict in row["checks"].items()
        ]
        lines.append(f"| {name} | {KNOWN[name].fault or 'none'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def count_mistakes(result: dict[str, Any]) -> dict[str, int]:
    """The numbers of warnings, of checks without a reason to warn and how many of them warn, and of
    checks that must warn and how many of them do not."""
    rows = {
        name: {check for check, verdict in row["checks"].items() if verdict == "warning"}
        for name, row in result["networks"].items()
    }
    reasons = {name: {*KNOWN[name].must, *KNOWN[name].may} for name in rows}
    return {
        "warnings": sum(map(len, rows.values())),
        "groundless": sum(
            verdict in ("ok", "warning") and check not in reasons[name]
            for name in rows
            for check, verdict in result["networks"][name]["checks"].items()
        ),
        "false": sum(len(mistakes(name, found)[1]) for name, found in rows.items()),
        "expected": sum(len(KNOWN[name].must) for name in rows),
        "missed": sum(len(mistakes(name, found)[0]) for name, found in rows.items()),
    }


def as_counts(result: dict[str, Any]) -> str:
    """The same in a sentence."""
    found = count_mistakes(result)
    return (
        f"{found['warnings']} warnings. Of {found['groundless']} checks without a reason to warn, "
        f"{found['false']} warn (false warnings). Of {found['expected']} checks that must warn, "
        f"{found['missed']} do not (missed)."
    )
