"""Accuracies with their intervals, and evaluation.json, which stores them with their settings."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError, MissingFileError, in_shell
from ..run_folder import RunFolder
from ..runs import json_text, provenance
from ..statistics import LEVEL, Proportion, clopper_pearson, wilson
from .curves import (
    CONVERGENCE,
    CONVERGENCE_ACCURACY,
    CURVE,
    CURVE_OUTCOMES,
    FROM_CONVERGENCE,
    FROM_CURVE,
)
from .outcomes import OUTCOMES, CorrectMatrix, Record
from .runner import NO_ATTACK, Attack, build_attacks, choose_images
from .schema import check_schema, with_current_names
from .settings import Settings
from .targets import Target, open_source

EVALUATION = "evaluation.json"
NUMBERED_FOLDER = "evaluation-{}"
WORST = "worst"
FILES = (OUTCOMES, CURVE_OUTCOMES, CURVE, CONVERGENCE, CONVERGENCE_ACCURACY, EVALUATION)
# What must be equal when an evaluation is resumed, or compared with another.
MUST_MATCH = {
    "target": ("weights_sha256",),
    "data": ("sha256", "n", "draw"),
    "options": ("eps", "norm", "seed", "cascade"),
}
# Of the entry of an attack. The source of a transfer attack is known by the checksum of its
# weights: its folder may have been moved.
NOT_OPTIONS = ("label", "attacked", "seconds", "source")


def accuracies(
    correct: CorrectMatrix, in_ball: Sequence[str] | None = None, partial: Sequence[str] = ()
) -> dict[str, Proportion]:
    """Return the accuracy under each attack, and "worst": under all attacks together, if there is
    any. All have Wilson's 95 % interval.

    Parameters
    ----------
    in_ball
        The attacks that count for the worst: those in the evaluation's ball. Default: all.
    partial
        Attacks on a part of the images only. They count for the worst, but have no accuracy.
    """
    n = len(correct.images)
    result = {
        name: wilson(int(correct[name].sum()), n) for name in correct.attacks if name not in partial
    }
    in_ball = correct.attacks if in_ball is None else in_ball
    if len(in_ball) > 1:
        result[WORST] = wilson(int(correct.under(in_ball).sum()), n)
    return result


def plain_accuracy(accuracy: Proportion) -> dict[str, float]:
    """The entry of evaluation.json: count, Wilson's interval and the exact interval."""
    exact = clopper_pearson(accuracy.k, accuracy.n, LEVEL)
    ends = {"exact_lower": exact.lower, "exact_upper": exact.upper}
    return accuracy._asdict() | ends | {"level": LEVEL}


def attacks_in_ball(content: dict[str, Any]) -> list[str]:
    """The attacks of evaluation.json with the evaluation's eps and norm, and "natural"."""
    ball = [content["options"][name] for name in ("eps", "norm")]
    return [
        name
        for name, entry in content["attacks"].items()
        if name == NO_ATTACK.name or [entry["eps"], entry["norm"]] == ball
    ]


def is_partial(entry: dict[str, Any]) -> bool:
    """Whether an attack of evaluation.json was run on the first images only."""
    return "images" in entry


def update_accuracies(content: dict[str, Any], record: Record, settings: Settings) -> None:
    """Set the accuracies, and the number of images that each attack was run on."""
    attacks, correct = content["attacks"], record.correct()
    in_ball = [name for name in attacks_in_ball(content) if name in correct]
    partial = [name for name, entry in attacks.items() if is_partial(entry)]
    result = accuracies(correct, in_ball, partial)
    content["accuracy"] = {name: plain_accuracy(accuracy) for name, accuracy in result.items()}
    names = list(record.predictions)
    for i, name in enumerate(names):
        if name not in (FROM_CURVE, FROM_CONVERGENCE):  # set when they are added
            earlier = names[:i] if settings.cascade else names[: min(i, 1)]
            attacks[name]["attacked"] = int(correct.under(earlier).sum()) if earlier else 0


def start_or_resume(
    folder: RunFolder,
    target: Target,
    settings: Settings,
    images: Sequence[int],
    attacks: Sequence[Attack],
    *,
    overwrite: bool = False,
    command: str | None = None,
    device: torch.device | None = None,
) -> tuple[dict[str, Any], Record]:
    """Return the content of evaluation.json and the outcomes: new ones, or those in the folder. The
    folder is locked, and created if it does not exist.

    Raises ValueError if the folder holds an evaluation with other options, unless `overwrite`.
    """
    folder.lock(create=True)
    if overwrite:
        folder.remove([*FILES, *(f"{name}.gz" for name in FILES)])
    stored = read_evaluation(folder) if folder.has(EVALUATION) else None
    if is_compressed(folder):
        raise InputError(
            f"{folder.path} holds an evaluation whose outcomes are compressed ({OUTCOMES}.gz), and "
            "which cannot grow: choose another --out, or --overwrite it"
        )
    if stored is None and folder.has(OUTCOMES):
        raise InputError(f"{folder.path} has {OUTCOMES} without {EVALUATION}: --overwrite it")
    content = new_content(target, settings, len(images), attacks, command, device)
    if stored is None:
        save(folder, content)  # before the rows, which mean nothing without it
    elif different := differences(stored, content, tuple(MUST_MATCH)):
        raise InputError(
            f"{folder.path} holds an evaluation with other options: {', '.join(different)}. "
            "Choose another --out, or --overwrite it"
        )
    record = Record(images, target.data.test_y[list(images)].tolist(), folder)
    for name in record.unfinished():
        if name not in content["attacks"]:
            raise InputError(
                f"{folder.path} holds {name}, not finished ({record.done(name)} of {len(images)} "
                f"images): name it among --attacks, or --overwrite it"
            )
    if stored is not None:
        _keep_stored_results(stored, content, record)
    save(folder, content)
    return content, record


def is_compressed(folder: RunFolder) -> bool:
    """Return whether the folder holds the outcomes of an evaluation in compressed form only."""
    return folder.has(f"{OUTCOMES}.gz") and not folder.has(OUTCOMES)


def save(folder: RunFolder, content: dict[str, Any]) -> None:
    """Write evaluation.json."""
    folder.write({EVALUATION: json_text(content)})


def read_evaluation(folder: RunFolder | Path) -> dict[str, Any]:
    """Read evaluation.json. Raises FileNotFoundError if the folder has none."""
    files = folder if isinstance(folder, RunFolder) else RunFolder(folder)
    if not files.has(EVALUATION):
        raise MissingFileError(
            f"no {EVALUATION} in {files.path}: "
            f"python -m sense.evaluate {in_shell(files.path)} first"
        )
    content = with_current_names(files.read_json(EVALUATION))
    check_schema(content, files.path / EVALUATION)
    return content


def differences(stored: dict[str, Any], content: dict[str, Any], parts: Sequence[str]) -> list[str]:
    """Describe where two evaluations differ, in these parts and in the options of the attacks that
    both have."""
    found = [
        f"{name} ({stored[part].get(name)}, not {content[part].get(name)})"
        for part in parts
        for name in MUST_MATCH[part]
        if stored[part].get(name) != content[part].get(name)
    ]
    for attack in stored["attacks"].keys() & content["attacks"].keys():
        old, new = stored["attacks"][attack], content["attacks"][attack]
        found += [
            f"{name} of {attack} ({old.get(name)}, not {new.get(name)})"
            for name in sorted((old.keys() | new.keys()) - set(NOT_OPTIONS))
            if old.get(name) != new.get(name)
        ]
    return found


def new_content(
    target: Target,
    settings: Settings,
    n: int,
    attacks: Sequence[Attack],
    command: str | None,
    device: torch.device | None = None,
) -> dict[str, Any]:
    """Return the content of evaluation.json at the start of an evaluation."""
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
            for attack in (NO_ATTACK, *attacks)
        },
        "accuracy": {},
        "diagnostics": None,
        "curve": None,
        "convergence": None,
        "finished": False,
        "provenance": provenance(command, device),
    }


def _keep_stored_results(stored: dict[str, Any], content: dict[str, Any], record: Record) -> None:
    """Copy the stored results into the content. New attacks need new diagnostics."""
    entries = stored["attacks"] | content["attacks"]
    order = dict.fromkeys([*record.predictions, *content["attacks"]])
    content["attacks"] = {name: entries[name] | _stored_cost(stored, name) for name in order}
    for part in ("accuracy", "curve", "convergence"):
        content[part] = stored[part]
    if content["attacks"].keys() == stored["attacks"].keys():
        content["diagnostics"], content["finished"] = stored["diagnostics"], stored["finished"]


def _stored_cost(stored: dict[str, Any], attack: str) -> dict[str, Any]:
    """What an attack has cost so far. Seconds are None if they were not measured."""
    entry = stored["attacks"].get(attack, {})
    return {name: entry[name] for name in ("attacked", "seconds") if name in entry}


def planned_evaluation(target: Target, settings: Settings) -> tuple[dict[str, Any], list[int]]:
    """Return what evaluation.json would hold at the start of an evaluation of the target, and the
    positions of the test images that would be evaluated."""
    settings = settings.complete(target.eps, target.norm, target.data.bounds)
    images = choose_images(len(target.data.test_x), settings.n, settings.draw)
    attacks = build_attacks(
        settings,
        open_source(settings, torch.device("cpu")),
        target.data.bounds,
        len(target.data.classes),
    )
    return new_content(target, settings, len(images), attacks, None), images


def with_free_folder(target: Target, settings: Settings) -> Target:
    """Return the target with the first folder that holds no evaluation with other options: its own,
    or evaluation-2, evaluation-3 ... inside it.

    An evaluation of another network or other data in its own folder is left for `start_or_resume`
    to refuse.
    """
    if not RunFolder(target.folder).has(EVALUATION):
        return target
    content, _ = planned_evaluation(target, settings)
    own = read_evaluation(target.folder)
    made_of = (("target", "weights_sha256"), ("data", "sha256"))
    if any(own[part].get(name) != content[part][name] for part, name in made_of):
        return target
    for folder in _candidate_folders(target.folder):
        files = RunFolder(folder)
        stored = read_evaluation(files) if files.has(EVALUATION) else None
        if stored is None or not (
            is_compressed(files)
            or differences(stored, content, tuple(MUST_MATCH))
            or _other_curves(stored, settings)
        ):
            return replace(target, folder=folder)
    raise AssertionError("there is always another number")


def _candidate_folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (folder / NUMBERED_FOLDER.format(i) for i in count(2))


def _other_curves(stored: dict[str, Any], settings: Settings) -> bool:
    """Whether a curve or a convergence with other options than the requested ones is stored."""
    return any(
        requested is not None and stored[part] not in (None, requested)
        for part, requested in settings.plain_parts().items()
    )
