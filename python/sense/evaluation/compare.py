"""Networks evaluated on the same images, in pairs; and those that differ by their seed only."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import from_stored
from ..config.options import runtime_options
from ..errors import InputError
from ..run_folder import RunFolder
from ..runs import json_text, provenance
from ..statistics import holm, mcnemar, over_seeds
from .found import is_part
from .outcomes import Outcome, read_outcomes
from .schema import check_rows
from .summary import WORST, differences, read_evaluation

COMPARISON = "comparison.json"


def compare(folders: Mapping[str, Path]) -> dict[str, Any]:
    """The exact McNemar test of each pair under each attack that both have, adjusted by Holm over
    all of them; and mean and sd of accuracies over seeds.

    Parameters
    ----------
    folders
        Of two finished evaluations or more, by the name that results call them.

    Raises ValueError where images, labels, radius or the options of an attack are not the same.
    """
    told = {name: read_evaluation(folder) for name, folder in folders.items()}
    for name, content in told.items():
        if not content["finished"]:
            raise InputError(f"the evaluation in {folders[name]} is not finished: let it go on")
    right = {}
    for name, folder in folders.items():
        outcomes = read_outcomes(folder)
        check_rows(outcomes, told[name], folder)
        right[name] = _right(outcomes, told[name])
    pairs = [
        row
        for first, second in itertools.combinations(folders, 2)
        for row in _pair(first, second, told, right)
    ]
    for row, p in zip(pairs, holm([row["p"] for row in pairs]), strict=True):
        row["p_holm"] = p
    groups = _trainings(told)
    return {
        "pairs": pairs,
        "seeds": _seeds(told, groups),
        "apart": _apart(told, groups),
        "provenance": provenance(),
    }


def write_comparison(folder: Path, comparison: dict[str, Any]) -> Path:
    """Write comparison.json into the folder."""
    with RunFolder(folder) as files:
        files.lock(create=True)
        files.write({COMPARISON: json_text(comparison)})
    return folder / COMPARISON


Rights = dict[str, dict[tuple[int, int], bool]]  # by attack, by image and label


def _right(outcomes: Sequence[Outcome], content: dict[str, Any]) -> Rights:
    """Which images are right under each attack, and under the worst of those in the common ball
    where there are two or more."""
    found: Rights = {}
    for row in outcomes:
        found.setdefault(row.attack, {})[row.image, row.label] = bool(row.correct)
    ball = [content["options"][name] for name in ("eps", "norm")]
    inside = [
        rows
        for name, rows in found.items()
        if name == "natural" or [content["attacks"][name][key] for key in ("eps", "norm")] == ball
    ]
    if len(inside) > 2:  # the worst of one attack is that attack, which needs no second test
        found[WORST] = {image: all(rows[image] for rows in inside) for image in inside[0]}
    return found


def _pair(
    first: str, second: str, told: dict[str, dict[str, Any]], right: dict[str, Rights]
) -> list[dict[str, Any]]:
    if right[first]["natural"].keys() != right[second]["natural"].keys():
        raise InputError(
            f"{first} and {second} were not evaluated on the same images with the same labels, so "
            "they cannot be compared in pairs: use the same --n, --draw and data"
        )
    if other := differences(told[first], told[second], ("options",)):
        raise InputError(
            f"{first} and {second} were evaluated with other options: {', '.join(other)}"
        )
    attacks = [
        name
        for name in right[first]
        if name in right[second] and not is_part(told[first]["attacks"].get(name, {}))
    ]
    if right[first].keys() != right[second].keys() and WORST in attacks:
        attacks.remove(WORST)  # the worst of other attacks
    rows = []
    for attack in attacks:
        one, two = right[first][attack], right[second][attack]
        both = sum(one[image] and two[image] for image in one)
        only_first, only_second = sum(one.values()) - both, sum(two.values()) - both
        rows.append(
            {
                "attack": attack,
                "first": first,
                "second": second,
                "n": len(one),
                "both": both,
                "only_first": only_first,
                "only_second": only_second,
                "neither": len(one) - both - only_first - only_second,
                "p": mcnemar(only_first, only_second),
            }
        )
    return rows


def _training(content: dict[str, Any]) -> dict[str, Any]:
    """All options of a network's training but the seed and those that only say where it ran.
    Options that are newer than the run have their defaults."""
    target = content["target"]
    left_out = {"seed", *(target.get("runtime_options") or ()), *runtime_options()}
    config = from_stored(target["config"]).resolved().to_plain()
    config["precision"] = target["config"].get("precision")  # float16 is read as bfloat16
    return {name: value for name, value in config.items() if name not in left_out}


def _trainings(told: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The networks whose training is known, together with those that differ by their seed only."""
    groups: dict[str, list[str]] = {}
    for name, content in told.items():
        if content["target"]["config"] is not None:
            key = json.dumps(_training(content), sort_keys=True)
            groups.setdefault(key, []).append(name)
    return list(groups.values())


def _seeds(told: dict[str, dict[str, Any]], groups: list[list[str]]) -> list[dict[str, Any]]:
    """Mean and sd under each attack of networks whose training differs by the seed only."""
    rows = []
    for names in groups:
        if len({told[name]["target"]["config"]["seed"] for name in names}) < 2:
            continue
        config = told[names[0]]["target"]["config"]
        for attack in told[names[0]]["accuracy"]:
            found = [told[name]["accuracy"].get(attack) for name in names]
            if None in found:
                continue
            spread = over_seeds([accuracy["k"] / accuracy["n"] for accuracy in found])
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


def _apart(told: dict[str, dict[str, Any]], groups: list[list[str]]) -> list[dict[str, Any]]:
    """Groups of the same method and network that are not one for other options than the seed, and
    which: else a run would be missing from the spread without a word."""
    rows = []
    for first, second in itertools.combinations(groups, 2):
        one, two = (_training(told[group[0]]) for group in (first, second))
        if (one["method"], one["model"]) != (two["method"], two["model"]):
            continue
        differ = {
            name: [one.get(name), two.get(name)]
            for name in sorted(one.keys() | two.keys())
            if one.get(name) != two.get(name)
        }
        rows.append({"first": first, "second": second, "options": differ})
    return rows
