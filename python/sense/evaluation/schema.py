"""The schema of evaluation.json, checked before use, because the file may come from anybody."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..description import check_runtime_options
from ..errors import InputError
from .outcomes import Outcome

Test = Callable[[Any], bool]


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _number(value: Any) -> bool:
    return (type(value) is int and abs(value) < 2**63) or (
        type(value) is float and math.isfinite(value)
    )


def _truth(value: Any) -> bool:
    return isinstance(value, bool)


def _or_none(test: Test) -> Test:
    return lambda value: value is None or test(value)


def _norm(value: Any) -> bool:
    return value in ("inf", "2", "1")


# For each field a test of its value; "*" stands for any name. Other fields are not used.
BALL: dict[str, Any] = {"eps": _number, "norm": _norm}
SCHEMA: dict[str, Any] = {
    "target": {
        "name": _text,
        "kind": _text,
        "model": _text,
        "weights_sha256": _or_none(_text),
        "config": _or_none(lambda value: isinstance(value, dict)),
    },
    "data": {"name": _text, "sha256": _text, "n": _count, "of": _count, "draw": _or_none(_count)},
    "options": {**BALL, "seed": _count, "batch": _count, "cascade": _truth},
    "attacks": {"*": {"label": _text, "attacked": _count, "seconds": _or_none(_number)}},
    "accuracy": {
        "*": {
            "k": _count,
            "n": _count,
            "level": _number,
            "lower": _number,
            "upper": _number,
            "exact_lower": _number,
            "exact_upper": _number,
        }
    },
    "curve": _or_none(lambda value: isinstance(value, dict)),
    "convergence": _or_none(lambda value: isinstance(value, dict)),
    "finished": _truth,
}
CONFIG_SCHEMA: dict[str, Any] = {"method": _text, "model": _text, "seed": _count}
CHECK: dict[str, Any] = {"check": _text, "verdict": _text, "text": _text}


def with_current_names(content: dict[str, Any]) -> dict[str, Any]:
    """The content of an older evaluation.json: `judgement` becomes `diagnostics`, and the verdict
    "not judged" becomes "skipped"."""
    if "judgement" not in content:
        return content
    content = dict(content)
    diagnostics = content["diagnostics"] = content.pop("judgement")
    checks = diagnostics.get("checks") if isinstance(diagnostics, dict) else None
    for check in checks if isinstance(checks, list) else []:
        if isinstance(check, dict) and check.get("verdict") == "not judged":
            check["verdict"] = "skipped"
    return content


def check_schema(content: dict[str, Any], path: Path) -> None:
    """Raise ValueError, with the names of wrong fields, if `sense.evaluate` did not write it."""
    wrong = _wrong(content, SCHEMA, "")
    if not wrong:
        balls = {name: BALL for name in content["attacks"] if name != "natural"}
        wrong = _wrong(content["attacks"], balls, "attacks.")
        wrong += (
            _wrong(content["target"], {"config": CONFIG_SCHEMA}, "target.")
            if (content["target"]["config"] is not None)
            else []
        )
        if not _or_none(_text)(content["target"].get("weights_file_sha256")):
            wrong.append("target.weights_file_sha256")
        check_runtime_options(content["target"].get("runtime_options"), path)
        wrong += _wrong_diagnostics(content.get("diagnostics"))
        wrong += [
            f"accuracy.{name}.k"
            for name, entry in content["accuracy"].items()
            if not 0 <= entry["k"] <= entry["n"] or entry["n"] == 0
        ]
    if wrong:
        raise InputError(
            f"{path} is damaged or was made by another version of sense: see its "
            f"{', '.join(wrong[:5])}. "
            "Evaluate again with --overwrite"
        )


def check_rows(outcomes: Sequence[Outcome], content: dict[str, Any], path: Path) -> None:
    """Raise ValueError unless these are all outcomes of this evaluation.json: of every attack the
    same images with the same labels, each once."""
    rows: dict[str, list[tuple[int, int]]] = {}
    for row in outcomes:
        rows.setdefault(row.attack, []).append((row.image, row.label))
    natural = set(rows.get("natural", []))
    complete = len(natural) == content["data"]["n"]
    if not complete or any(
        attack not in content["attacks"]
        or len({image for image, _ in of}) != len(of)
        or set(of) != natural
        for attack, of in rows.items()
    ):
        raise InputError(
            f"{path} has other rows than its evaluation.json: evaluate again with --overwrite"
        )


def _wrong(content: Any, schema: dict[str, Any], prefix: str) -> list[str]:
    """The names of the fields that are missing or have a wrong value."""
    found = []
    names = [(name, schema[name]) for name in schema if name != "*"]
    names += [(name, schema["*"]) for name in content] if "*" in schema else []
    for name, expected in names:
        value = content.get(name)
        inner = isinstance(expected, dict)
        if name not in content or not (isinstance(value, dict) if inner else expected(value)):
            found.append(f"{prefix}{name}")
        elif inner:
            found += _wrong(value, expected, f"{prefix}{name}.")
    return found


def _wrong_diagnostics(entry: Any) -> list[str]:
    if entry is None:
        return []
    if not isinstance(entry, dict) or not isinstance(entry.get("checks"), list):
        return ["diagnostics.checks"]
    wrong = _wrong(entry, {"images": _count, "seconds": _number}, "diagnostics.")
    valid = all(
        isinstance(check, dict) and not _wrong(check, CHECK, "") for check in entry["checks"]
    )
    return wrong if valid else [*wrong, "diagnostics.checks"]
