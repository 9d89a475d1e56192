"""Counts and intervals, and evaluation.json, which keeps them with all that made them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, MissingFileError
from ..run_folder import RunFolder
from ..runs import json_text, provenance
from ..statistics import Proportion, clopper_pearson, wilson
from .convergence import CONVERGENCE, CONVERGENCE_ACCURACY
from .curve import CURVE, CURVE_OUTCOMES
from .found import FOUND, is_part
from .outcomes import OUTCOMES, Outcome, Record
from .runner import NATURAL, Attack
from .schema import check_form, with_current_names
from .settings import Settings
from .targets import Target

EVALUATION = "evaluation.json"
LEVEL = 0.95
WORST = "worst"
FILES = (OUTCOMES, CURVE_OUTCOMES, CURVE, CONVERGENCE, CONVERGENCE_ACCURACY, EVALUATION)
# What two evaluations of one target must have alike, or one that goes on.
ALIKE = {
    "target": ("weights_sha256",),
    "data": ("sha256", "n", "draw"),
    "options": ("eps", "norm", "seed", "batch", "cascade"),
}
NO_OPTION = ("label", "attacked", "seconds")


def summarise(
    outcomes: Sequence[Outcome], outside: Sequence[str] = (), part: Sequence[str] = ()
) -> dict[str, Proportion]:
    """The accuracy under each attack with its Wilson interval, and that under the worst attack of
    each image. Attacks `outside` the common ball are left out of the worst; those that saw a `part`
    of the images enter it, and have no accuracy of their own."""
    correct: dict[str, dict[int, int]] = {}
    for outcome in outcomes:
        correct.setdefault(outcome.attack, {})[outcome.image] = outcome.correct
    found = {
        name: wilson(sum(row.values()), len(row))
        for name, row in correct.items()
        if name not in part
    }
    inside = [row for name, row in correct.items() if name not in outside]
    if len(inside) > 1:
        worst = [min(row[image] for row in inside) for image in inside[0]]
        found[WORST] = wilson(sum(worst), len(worst))
    return found


def plain_accuracy(accuracy: Proportion) -> dict[str, float]:
    """What evaluation.json says of a count: Wilson's interval, and the exact one."""
    exact = clopper_pearson(accuracy.k, accuracy.n, LEVEL)
    ends = {"exact_lower": exact.lower, "exact_upper": exact.upper}
    return accuracy._asdict() | ends | {"level": LEVEL}


def begin(
    folder: RunFolder,
    target: Target,
    settings: Settings,
    images: Sequence[int],
    suite: Sequence[Attack],
    *,
    overwrite: bool = False,
    command: str | None = None,
) -> tuple[dict[str, Any], Record]:
    """evaluation.json and the outcomes of an evaluation that begins, or goes on with the one in the
    folder, which is made where it is not there, and locked.

    Raises ValueError where the one there was made of something else, unless it is overwritten.
    """
    folder.lock(create=True)
    if overwrite:
        folder.remove(FILES)
    before = read_evaluation(folder) if folder.has(EVALUATION) else None
    if before is None and folder.has(OUTCOMES):
        raise InputError(f"{folder.path} has {OUTCOMES} without {EVALUATION}: --overwrite it")
    now = describe(target, settings, len(images), suite, command)
    if before is None:
        save(folder, now)  # before the rows, which say nothing without it
    else:
        _check_same(folder.path, before, now)
    record = Record(images, target.data.test_y[list(images)].tolist(), settings.batch, folder)
    for name in record.unfinished():
        if name not in now["attacks"]:
            raise InputError(
                f"{folder.path} holds {name}, not finished ({record.done(name)} of {len(images)} "
                f"images): name it among --attacks, or --overwrite it"
            )
    if before is not None:
        _go_on(before, now, record)
    save(folder, now)
    return now, record


def save(folder: RunFolder, content: dict[str, Any]) -> None:
    """Write evaluation.json."""
    folder.write({EVALUATION: json_text(content)})


def count(content: dict[str, Any], record: Record, settings: Settings) -> None:
    """Write down the accuracies, and on how many images each attack was tried."""
    ball = (settings.radius, settings.norm)
    attacks = content["attacks"]
    outside = [
        name
        for name, told in attacks.items()
        if name != NATURAL.name and (told["eps"], told["norm"]) != ball
    ]
    whole = [row for row in record.outcomes() if record.complete(row.attack)]
    part = [name for name, told in attacks.items() if is_part(told)]
    found = summarise(whole, outside, part)
    content["accuracy"] = {name: plain_accuracy(accuracy) for name, accuracy in found.items()}
    names = list(record.predictions)
    for i, name in enumerate(names):
        if name in FOUND:
            continue  # said when it was found
        before = names[:i] if settings.cascade else names[: min(i, 1)]
        attacks[name]["attacked"] = sum(record.standing(before)) if before else 0


def read_evaluation(folder: RunFolder | Path) -> dict[str, Any]:
    """evaluation.json. Raises FileNotFoundError where the folder has none."""
    files = folder if isinstance(folder, RunFolder) else RunFolder(folder)
    if not files.has(EVALUATION):
        raise MissingFileError(
            f"no {EVALUATION} in {files.path}: python -m sense.evaluate {files.path} first"
        )
    content = with_current_names(files.read_json(EVALUATION))
    check_form(content, files.path / EVALUATION)
    return content


def differences(before: dict[str, Any], now: dict[str, Any], parts: Sequence[str]) -> list[str]:
    """In words, what two evaluations do not have alike: these parts, and the options of the attacks
    that both have."""
    found = [
        f"{name} ({before[part].get(name)}, not {now[part].get(name)})"
        for part in parts
        for name in ALIKE[part]
        if before[part].get(name) != now[part].get(name)
    ]
    for attack in before["attacks"].keys() & now["attacks"].keys():
        old, new = before["attacks"][attack], now["attacks"][attack]
        found += [
            f"{name} of {attack} ({old.get(name)}, not {new.get(name)})"
            for name in sorted((old.keys() | new.keys()) - set(NO_OPTION))
            if old.get(name) != new.get(name)
        ]
    return found


def describe(
    target: Target, settings: Settings, n: int, suite: Sequence[Attack], command: str | None
) -> dict[str, Any]:
    """evaluation.json before anything is known."""
    data = target.data
    return {
        "target": target.plain(),
        "data": {
            "name": data.name,
            "sha256": data.sha256,
            "n": n,
            "of": len(data.test_x),
            "draw": settings.draw,
        },
        "options": settings.plain(),
        "attacks": {
            attack.name: {**attack.plain(), "attacked": 0, "seconds": 0.0}
            for attack in (NATURAL, *suite)
        },
        "accuracy": {},
        "diagnostics": None,
        "curve": None,
        "convergence": None,
        "finished": False,
        "provenance": provenance(command),
    }


def _check_same(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    if other := differences(before, now, tuple(ALIKE)):
        raise InputError(
            f"{folder} holds an evaluation with other options: {', '.join(other)}. Choose another "
            "--out, or --overwrite it"
        )


def _go_on(before: dict[str, Any], now: dict[str, Any], record: Record) -> None:
    """Take over what was found before. New attacks need new diagnostics."""
    told = before["attacks"] | now["attacks"]
    order = dict.fromkeys([*record.predictions, *now["attacks"]])
    now["attacks"] = {name: told[name] | _costs(before, name) for name in order}
    now["accuracy"], now["curve"] = before["accuracy"], before["curve"]
    now["convergence"] = before["convergence"]
    if now["attacks"].keys() == before["attacks"].keys():
        now["diagnostics"], now["finished"] = before["diagnostics"], before["finished"]


def _costs(before: dict[str, Any], attack: str) -> dict[str, Any]:
    """What an attack has cost so far; seconds that nobody measured stay unknown."""
    told = before["attacks"].get(attack, {})
    return {name: told[name] for name in ("attacked", "seconds") if name in told}
