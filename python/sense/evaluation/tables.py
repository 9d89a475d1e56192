"""An evaluation and a comparison as text."""

from typing import Any

from ..statistics import Proportion, Spread

WIDTH = 28  # of the first column
WORST_LABEL = "worst attack per image"
BALLS = {"inf": "l-infinity", "2": "l2", "1": "l1"}
NOTE = "Accuracy under an attack is an upper bound of robust accuracy."


def header(content: dict[str, Any]) -> str:
    """What is evaluated, on which images, and the header of the table."""
    target, data, options = content["target"], content["data"], content["options"]
    drawn = "the first" if data["draw"] is None else f"drawn with seed {data['draw']}:"
    title = (
        f"{target['name']} ({target['model']}) on {data['name']}, {drawn} {data['n']} of "
        f"{data['of']} test images; {ball_words(options['eps'], options['norm'])}"
    )
    return (
        f"{title}\n{'attack':<{WIDTH}} {'accuracy, 95 % Wilson, k / n':<38} exact          seconds"
    )


def ball_words(eps: float, norm: str) -> str:
    return f"{BALLS[norm]} ball of radius {eps:.4g}"


def attack_row(name: str, content: dict[str, Any]) -> str:
    """The row of an attack, or of "worst"."""
    accuracy, entry = content["accuracy"][name], content["attacks"].get(name, {})
    label = entry.get("label", WORST_LABEL)
    options = content["options"]
    if name != "natural" and entry:
        if (entry["eps"], entry["norm"]) != (options["eps"], options["norm"]):
            label += f", eps {entry['eps']:.4g}"
        if options["cascade"]:
            label += f", on {entry['attacked']} left"
    wilson = Proportion(accuracy["k"], accuracy["n"], accuracy["lower"], accuracy["upper"])
    exact = f"[{100 * accuracy['exact_lower']:.1f}, {100 * accuracy['exact_upper']:.1f}]"
    seconds = f"{entry['seconds']:8.1f}" if entry.get("seconds") is not None else ""
    return f"{label:<{WIDTH}} {wilson!s:<38} {exact:<13} {seconds}".rstrip()


def footer(content: dict[str, Any]) -> str:
    """The worst attack per image, the diagnostics, and notes."""
    lines = [attack_row("worst", content)] if "worst" in content["accuracy"] else []
    if content["options"]["cascade"]:
        lines.append(
            "Each row counts images that are correct under its attack and all above it (--cascade)."
        )
    lines += diagnostics_lines(content["diagnostics"])
    if training := content["target"].get("training_note"):
        lines.append(f"Note on the training: {training}.")
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
    return [f"Diagnostics used extra forward passes on {cost}: {counts}."] + [
        f"  WARNING {check['check']}: {check['text']}." for check in warnings
    ]


def comparison_lines(comparison: dict[str, Any]) -> list[str]:
    """The paired tests and the spread over seeds."""
    lines = [
        f"{'paired, same images':<{WIDTH}} {'attack':<14} correct: both, only 1st, only 2nd, "
        "neither    exact McNemar p, Holm"
    ]
    for pair in comparison["pairs"]:
        counts = " ".join(
            f"{pair[name]:>8}" for name in ("both", "only_first", "only_second", "neither")
        )
        lines.append(
            f"{pair['first'] + ' - ' + pair['second']:<{WIDTH}} {pair['attack']:<14} {counts}"
            f"    {pair['p']:.2g}, {pair['p_holm']:.2g}"
        )
    for row in comparison["apart"]:
        options = ", ".join(
            f"{name} ({one}, not {two})" for name, (one, two) in row["options"].items()
        )
        lines.append(
            f"{' '.join(row['second'])} is not another seed of {' '.join(row['first'])}: {options}"
        )
    for row in comparison["seeds"]:
        spread = Spread(row["mean"], row["sd"], len(row["models"]))
        lines.append(f"{row['group']:<{WIDTH}} {row['attack']:<14} {spread}")
    return lines
