"""The summary of tools/gpu: what its parts have written, the goals, and both as a table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

NETWORKS = ("wrn-16-4", "resnet20", "small-cnn", "wrn-34-10", "capacity-4")
GOALS = {
    "sense/r-at": "SENSE step over R-AT step, at most 1",
    "mnist-fast seconds": "mnist-fast in at most 60 s",
    "mnist-fast accuracy": "mnist-fast under AutoAttack: 94.4 % not above the 95 % interval",
    "share wrn-16-4": "R-AT's share of the bfloat16 rate, at least 0.25",
    "share wrn-34-10": "R-AT's share of the bfloat16 rate, at least 0.45",
    "resnet20 ms": "R-AT step of ResNet-20 below 15 ms",
    "autoattack/bare": "AutoAttack over its bare passes, at most 1.5",
}


def read(path: Path) -> Any:
    """The content of a JSON file, None if there is none yet."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def results(work: Path) -> dict[str, Any]:
    """What the parts have written: None for what is not there."""
    found: dict[str, Any] = {"steps": read(work / "steps.json")}
    found["autoattack"] = read(work / "attack.json")
    found["group"] = read(work / "group.json")
    for name in ("mnist-fast", "trained", "evaluation"):
        found[name] = describe_run(work / name)
    return found


def describe_run(folder: Path) -> dict[str, Any] | None:
    """Epochs, seconds and accuracies of a run or an evaluation."""
    config, evaluation = read(folder / "config.json"), read(folder / "evaluation.json")
    found: dict[str, Any] = {}
    if config is not None:
        metrics = folder / "metrics.jsonl"
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        epochs = [json.loads(line) for line in lines]
        options = config["config"]
        found = {
            "epochs": [len(epochs), options["pretrain"] + options["epochs"]],
            "step_seconds": round(sum(epoch["seconds"] for epoch in epochs), 2),
            "last": epochs[-1] if epochs else None,
        }
    if evaluation is not None:
        found["finished"] = evaluation["finished"]
        found["accuracy"] = evaluation["accuracy"]
        found["seconds"] = {name: entry["seconds"] for name, entry in evaluation["attacks"].items()}
    return found or None


def goals(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Each goal with the measured value and whether it is met; None if it was not measured."""
    found, steps = summary["results"], summary["results"]["steps"] or {}
    networks = {
        name: entry
        for name, entry in steps.get("networks", {}).items()
        if entry.get("ms") is not None
    }
    rows: list[dict[str, Any]] = []

    def add(name: str, value: float | None, met: Callable[[float], bool], what: str = "") -> None:
        on_gpu = "gpu" in summary["provenance"]
        rows.append(
            {
                "goal": f"{GOALS[name]}{what}",
                "value": None if value is None else round(value, 4),
                "met": bool(met(value)) if value is not None and on_gpu else None,
            }
        )

    for name in NETWORKS if not summary["smoke"] else networks:
        entry = networks.get(name)
        value = best(entry, "sense") / best(entry, "r-at") if entry else None
        add("sense/r-at", value, lambda value: value <= 1, f": {name}")
    fast, parts_done = found["mnist-fast"], summary["parts"]
    complete = fast is not None and fast.get("epochs", [0, 1])[0] == fast["epochs"][1]
    seconds = parts_done.get("mnist-fast", {}).get("seconds") if complete else None
    add("mnist-fast seconds", seconds, lambda value: value <= 60)
    accuracy = (fast or {}).get("accuracy", {}).get("autoattack")
    upper = accuracy["upper"] if accuracy and fast.get("finished") else 0.0
    share = accuracy["k"] / accuracy["n"] if accuracy and fast.get("finished") else None
    add("mnist-fast accuracy", share, lambda value: upper >= 0.944)
    for name, least in (("wrn-16-4", 0.25), ("wrn-34-10", 0.45)):
        entry = networks.get(name)
        value = None
        if entry:
            value = entry["flops"] / (best(entry, "r-at") / 1000) / steps["matrix_rate"]
        add(f"share {name}", value, lambda value, least=least: value >= least)  # type: ignore[misc]
    entry = networks.get("resnet20")
    add("resnet20 ms", best(entry, "r-at") if entry else None, lambda value: value < 15)
    attack = found["autoattack"]
    whole = attack is not None and attack["attack"] == "autoattack"
    what = f": {attack['n']} images" if whole else ""
    add("autoattack/bare", attack["ratio"] if whole else None, lambda value: value <= 1.5, what)
    return rows


def best(entry: dict[str, Any], method: str) -> float:
    """Milliseconds of the fastest variant of a method."""
    return float(min(ms[0] for key, ms in entry["ms"].items() if key.startswith(f"{method},")))


def ratios(summary: dict[str, Any]) -> list[str]:
    """Rows of the table of variants: bfloat16 and graphs."""
    steps = summary["results"]["steps"] or {"networks": {}}
    rows = []
    for name, entry in steps["networks"].items():
        for method in ("r-at", "sense"):
            ms = {
                key.partition(", ")[2]: values[0]
                for key, values in entry.get("ms", {}).items()
                if key.startswith(f"{method},")
            }
            shown = ", ".join(f"{label} {value:g}" for label, value in ms.items())
            if shown:
                rows.append(f"| {name} | {method} | {shown} |")
    return rows


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    machine = summary["provenance"]
    verdicts = {None: "not measured on a GPU", True: "met", False: "not met"}
    lines = [
        f"# {machine.get('gpu', machine['machine'])}, torch {machine['torch']}",
        "",
        f"Commit {summary['commit']}, {machine['time']}.",
        "",
        "| goal | value | |",
        "|---|---|---|",
        *(
            f"| {row['goal']} | {'' if row['value'] is None else row['value']} | "
            f"{verdicts[row['met']]} |"
            for row in summary["goals"]
        ),
        "",
        "| part | status | seconds |",
        "|---|---|---|",
        *(
            f"| {name} | {entry['status']} | {entry['seconds']} |"
            for name, entry in summary["parts"].items()
        ),
        "",
        "| network | method | ms a step |",
        "|---|---|---|",
        *ratios(summary),
        "",
    ]
    return "\n".join(lines)
