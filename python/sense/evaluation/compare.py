"""Comparison of evaluations: paired tests on the same images, and the spread over seeds."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from ..config import from_stored
from ..config.options import runtime_options
from ..errors import InputError
from ..run_folder import RunFolder
from ..runs import json_text, provenance
from ..statistics import holm, mcnemar, over_seeds
from .outcomes import CorrectMatrix, read_outcomes
from .present_weights import check_present_weights
from .schema import check_rows
from .settings import Settings
from .summary import (
    WORST,
    attacks_in_ball,
    differences,
    is_partial,
    planned_evaluation,
    read_evaluation,
)
from .targets import Target

COMPARISON = "comparison.json"


def compare(folders: Mapping[str, Path]) -> dict[str, Any]:
    """Compare networks evaluated on the same images: the exact McNemar test of each pair under each
    attack that both have, adjusted by Holm over all tests; and mean and sd of the accuracies of
    networks that differ by their seed only.

    Parameters
    ----------
    folders
        Of at least two finished evaluations, by the name used in the results.

    Raises ValueError if images, labels, radius or the options of an attack differ, or if a run was
    trained further since its evaluation.
    """
    contents = {name: read_evaluation(folder) for name, folder in folders.items()}
    for name, content in contents.items():
        if not content["finished"]:
            raise InputError(f"the evaluation in {folders[name]} is not finished: resume it")
        check_present_weights(folders[name], content)
    correct = {name: _read_correct(folders[name], contents[name]) for name in folders}
    _check_same(contents, {name: (one.images, one.labels) for name, one in correct.items()})
    pairs = [
        row
        for first, second in itertools.combinations(folders, 2)
        for row in _compare_pair(first, second, contents, correct)
    ]
    for row, p in zip(pairs, holm([row["p"] for row in pairs]), strict=True):
        row["p_holm"] = p
    groups = _groups_by_training(contents)
    return {
        "pairs": pairs,
        "seeds": _over_seeds(contents, groups),
        "apart": _different_trainings(contents, groups),
        "provenance": provenance(),
    }


def write_comparison(folder: Path, comparison: dict[str, Any]) -> Path:
    """Write comparison.json into the folder."""
    with RunFolder(folder) as files:
        files.lock(create=True)
        files.write({COMPARISON: json_text(comparison)})
    return folder / COMPARISON


def _read_correct(folder: Path, content: dict[str, Any]) -> CorrectMatrix:
    """The matrix of an evaluation, with a column for the worst attack per image in its ball if
    there are at least two attacks: with one, the worst is that attack."""
    outcomes = read_outcomes(folder)
    check_rows(outcomes, content, folder)
    correct = CorrectMatrix.from_outcomes(outcomes)
    in_ball = [name for name in attacks_in_ball(content) if name in correct]
    if len(in_ball) > 2:  # natural is one
        correct.columns[WORST] = correct.under(in_ball)
    return correct


def check_comparable(targets: Sequence[Target], settings: Settings) -> None:
    """Raise InputError, before time is spent, if evaluations of these targets, which have distinct
    names, with these settings could not be compared in pairs."""
    contents, rows = {}, {}
    for target in targets:
        contents[target.name], images = planned_evaluation(target, settings)
        rows[target.name] = (images, target.data.test_y[images].tolist())
    _check_same(contents, rows)


def _check_same(
    contents: Mapping[str, dict[str, Any]], rows: Mapping[str, tuple[list[int], list[int]]]
) -> None:
    """Raise InputError for the first pair of evaluations with other options, or with other images
    or labels (`rows`)."""
    for first, second in itertools.combinations(contents, 2):
        if rows[first] != rows[second]:
            raise InputError(
                f"{first} and {second} do not have the same test images with the same labels, so "
                "they cannot be compared in pairs: evaluate them with the same --n, --draw and "
                "data, or one by one"
            )
        if different := differences(contents[first], contents[second], ("options",)):
            raise InputError(
                f"{first} and {second} cannot be compared in pairs with other options: "
                f"{', '.join(different)}. Evaluate them with the same options, or one by one"
            )


def _compare_pair(
    first: str,
    second: str,
    contents: dict[str, dict[str, Any]],
    correct: dict[str, CorrectMatrix],
) -> list[dict[str, Any]]:
    one, two = correct[first], correct[second]
    attacks = [
        name
        for name in one.attacks
        if name in two and not is_partial(contents[first]["attacks"].get(name, {}))
    ]
    if set(one.attacks) != set(two.attacks) and WORST in attacks:
        attacks.remove(WORST)  # the worst of other attacks
    return [
        {"attack": name, "first": first, "second": second, **_paired_test(one[name], two[name])}
        for name in attacks
    ]


def _paired_test(one: Tensor, two: Tensor) -> dict[str, Any]:
    """The four counts of images and McNemar's p."""
    only_first, only_second = int((one & ~two).sum()), int((two & ~one).sum())
    return {
        "n": len(one),
        "both": int((one & two).sum()),
        "only_first": only_first,
        "only_second": only_second,
        "neither": int((~one & ~two).sum()),
        "p": mcnemar(only_first, only_second),
    }


def _training_options(content: dict[str, Any]) -> dict[str, Any]:
    """The options of a network's training, without the seed and options that cannot change the
    result. Options that are newer than the run have their defaults."""
    target = content["target"]
    left_out = {"seed", *(target.get("runtime_options") or ()), *runtime_options()}
    config = from_stored(target["config"]).resolved().to_plain()
    # As it was stored: float16 is read as bfloat16. Earlier versions stored None for the default.
    default = "tf32" if config["device"].startswith("cuda") else "float32"
    config["precision"] = target["config"].get("precision") or default
    return {name: value for name, value in config.items() if name not in left_out}


def _groups_by_training(contents: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The names of networks of known training, in groups that differ by their seed only."""
    groups: dict[str, list[str]] = {}
    for name, content in contents.items():
        if content["target"]["config"] is not None:
            key = json.dumps(_training_options(content), sort_keys=True)
            groups.setdefault(key, []).append(name)
    return list(groups.values())


def _over_seeds(
    contents: dict[str, dict[str, Any]], groups: list[list[str]]
) -> list[dict[str, Any]]:
    """Mean and sd of the accuracies of each group of at least two seeds, under each attack."""
    rows = []
    for names in groups:
        if len({contents[name]["target"]["config"]["seed"] for name in names}) < 2:
            continue
        config = contents[names[0]]["target"]["config"]
        for attack in contents[names[0]]["accuracy"]:
            entries = [contents[name]["accuracy"].get(attack) for name in names]
            if None in entries:
                continue
            spread = over_seeds([entry["k"] / entry["n"] for entry in entries])
            rows.append(
                {
                    "group": f"{config['method']}, {config['model']}",
                    "attack": attack,
                    "models": names,
                    "mean": spread.mean,
                    "sd": spread.sd,
                }
            )
    return rows


def _different_trainings(
    contents: dict[str, dict[str, Any]], groups: list[list[str]]
) -> list[dict[str, Any]]:
    """Pairs of groups of the same method and network, with the options that differ: they explain
    why a run is missing from the spread over seeds."""
    rows = []
    for first, second in itertools.combinations(groups, 2):
        one, two = (_training_options(contents[group[0]]) for group in (first, second))
        if (one["method"], one["model"]) != (two["method"], two["model"]):
            continue
        different = {
            name: [one.get(name), two.get(name)]
            for name in sorted(one.keys() | two.keys())
            if one.get(name) != two.get(name)
        }
        rows.append({"first": first, "second": second, "options": different})
    return rows
