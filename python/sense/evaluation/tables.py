"""An evaluation as people read it."""

from typing import Any

from ..statistics import Proportion, Spread

NAME, NOTE = 28, "Accuracy under an attack is an upper bound of robust accuracy."


def head(content: dict[str, Any]) -> str:
    """What is evaluated on what, and the head of the table."""
    target, data, options = content["target"], content["data"], content["options"]
    drawn = "the first" if data["draw"] is None else f"drawn with seed {data['draw']}:"
    ball = {"inf": "l-infinity", "2": "l2", "1": "l1"}[options["norm"]]
    told = (
        f"{target['name']} ({target['model']}) on {data['name']}, {drawn} {data['n']} of "
        f"{data['of']} test images; {ball} ball of radius {options['eps']:.4g}"
    )
    return f"{told}\n{'attack':<{NAME}} {'accuracy, 95 % Wilson, k / n':<38} exact          seconds"


def attack_row(name: str, content: dict[str, Any]) -> str:
    """An attack's line; that of "worst" too."""
    found, told = content["accuracy"][name], content["attacks"].get(name, {})
    label = told.get("label", "worst of each image")
    options = content["options"]
    if (
        name != "natural"
        and told
        and (told["eps"], told["norm"]) != (options["eps"], options["norm"])
    ):
        label += f", eps {told['eps']:.4g}"
    if options["cascade"] and told and name != "natural":
        label += f", on {told['attacked']} left"
    accuracy = Proportion(found["k"], found["n"], found["lower"], found["upper"])
    exact = f"[{100 * found['exact_lower']:.1f}, {100 * found['exact_upper']:.1f}]"
    seconds = f"{told['seconds']:8.1f}" if told.get("seconds") is not None else ""
    return f"{label:<{NAME}} {accuracy!s:<38} {exact:<13} {seconds}".rstrip()


def tail(content: dict[str, Any]) -> str:
    """Beneath the table: the worst, the warnings, and what the figures do not say."""
    lines = [attack_row("worst", content)] if "worst" in content["accuracy"] else []
    if content["options"]["cascade"]:
        lines.append("A row counts what is right under its attack and all above it (--cascade).")
    lines += diagnostics_lines(content["diagnostics"])
    note = NOTE
    if "autoattack" not in content["attacks"]:
        note += " Stronger attacks exist: --attacks pgd autoattack ..."
    return "\n".join([*lines, note])


def diagnostics_lines(diagnostics: dict[str, Any] | None) -> list[str]:
    """The counts of the diagnostic checks and the warnings in words."""
    if diagnostics is None:
        return ["There are no diagnostics (--no-diagnostics)."]
    checks = diagnostics["checks"]
    warnings = [check for check in checks if check["verdict"] == "warning"]
    passed = sum(check["verdict"] == "ok" for check in checks)
    skipped = len(checks) - len(warnings) - passed
    counts = (
        f"{len(warnings)} warning{'' if len(warnings) == 1 else 's'}, "
        f"{passed} check{'' if passed == 1 else 's'} passed, {skipped} skipped"
    )
    cost = f"{diagnostics['images']} images ({diagnostics['seconds']:.1f} s)"
    return [f"Diagnostics used extra passes on {cost}: {counts}."] + [
        f"  WARNING {check['check']}: {check['text']}." for check in warnings
    ]


def comparison_lines(comparison: dict[str, Any]) -> list[str]:
    """Paired tests and the spread over seeds."""
    lines = [
        f"{'paired, same images':<{NAME}} {'attack':<14} right: both, only 1st, only 2nd, neither"
        "    exact McNemar p, Holm"
    ]
    for pair in comparison["pairs"]:
        counts = " ".join(
            f"{pair[name]:>8}" for name in ("both", "only_first", "only_second", "neither")
        )
        lines.append(
            f"{pair['first'] + ' - ' + pair['second']:<{NAME}} {pair['attack']:<14} {counts}"
            f"    {pair['p']:.2g}, {pair['p_holm']:.2g}"
        )
    for row in comparison["apart"]:
        options = ", ".join(
            f"{name} ({one}, not {two})" for name, (one, two) in row["options"].items()
        )
        lines.append(
            f"{' '.join(row['second'])}: no other seed of {' '.join(row['first'])}, for {options}"
        )
    for row in comparison["seeds"]:
        spread = Spread(row["mean"], row["sd"], len(row["models"]))
        lines.append(f"{row['group']:<{NAME}} {row['attack']:<14} {spread}")
    return lines
