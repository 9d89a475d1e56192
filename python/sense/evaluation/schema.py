"""What evaluation.json must hold, checked before it is used: somebody may have written it."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..description import check_runtime_options
from ..errors import InputError
from .outcomes import Outcome

Holds = Callable[[Any], bool]


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


def _or_none(holds: Holds) -> Holds:
    return lambda value: value is None or holds(value)


def _norm(value: Any) -> bool:
    return value in ("inf", "2", "1")


# For each place what its value must be; a "*" stands for any name. What else is there is not used.
BALL: dict[str, Any] = {"eps": _number, "norm": _norm}
FORM: dict[str, Any] = {
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
CONFIG: dict[str, Any] = {"method": _text, "model": _text, "seed": _count}
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


def check_form(content: dict[str, Any], where: Path) -> None:
    """Raise ValueError, naming the places, where it is not what `sense.evaluate` writes."""
    wrong = _wrong(content, FORM, "")
    if not wrong:
        balls = {name: BALL for name in content["attacks"] if name != "natural"}
        wrong = _wrong(content["attacks"], balls, "attacks.")
        wrong += (
            _wrong(content["target"], {"config": CONFIG}, "target.")
            if (content["target"]["config"] is not None)
            else []
        )
        check_runtime_options(content["target"].get("runtime_options"), where)
        wrong += _wrong_diagnostics(content.get("diagnostics"))
        wrong += [
            f"accuracy.{name}.k"
            for name, told in content["accuracy"].items()
            if not 0 <= told["k"] <= told["n"] or told["n"] == 0
        ]
    if wrong:
        raise InputError(
            f"{where} is damaged, or of another version of sense: see its {', '.join(wrong[:5])}. "
            "Evaluate anew, with --overwrite"
        )


def check_rows(outcomes: Sequence[Outcome], content: dict[str, Any], where: Path) -> None:
    """Raise ValueError where these are not the outcomes of this evaluation.json, all of them."""
    images: dict[str, list[tuple[int, int]]] = {}
    for row in outcomes:
        images.setdefault(row.attack, []).append((row.image, row.label))
    natural = set(images.get("natural", []))
    for attack, of in images.items():
        alike = len({image for image, _ in of}) == len(of) and natural == set(of)
        if attack not in content["attacks"] or not alike:
            break
    else:
        if len(natural) == content["data"]["n"]:
            return
    raise InputError(
        f"{where} has other rows than its evaluation.json says: evaluate anew, with --overwrite"
    )


def _wrong(content: Any, form: dict[str, Any], place: str) -> list[str]:
    """The places that are missing, or hold something else."""
    found = []
    names = [(name, form[name]) for name in form if name != "*"]
    names += [(name, form["*"]) for name in content] if "*" in form else []
    for name, expected in names:
        value = content.get(name)
        inner = isinstance(expected, dict)
        if name not in content or not (isinstance(value, dict) if inner else expected(value)):
            found.append(f"{place}{name}")
        elif inner:
            found += _wrong(value, expected, f"{place}{name}.")
    return found


def _wrong_diagnostics(told: Any) -> list[str]:
    if told is None:
        return []
    if not isinstance(told, dict) or not isinstance(told.get("checks"), list):
        return ["diagnostics.checks"]
    wrong = _wrong(told, {"images": _count, "seconds": _number}, "diagnostics.")
    good = all(isinstance(check, dict) and not _wrong(check, CHECK, "") for check in told["checks"])
    return wrong if good else [*wrong, "diagnostics.checks"]
