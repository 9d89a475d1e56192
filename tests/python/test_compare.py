import csv
import itertools
import json
from dataclasses import fields

import pytest

from sense.config import Config
from sense.config.options import runtime_options
from sense.evaluation.compare import COMPARISON, compare, write_comparison
from sense.evaluation.outcomes import OUTCOMES, CorrectMatrix, Outcome
from sense.evaluation.summary import EVALUATION, accuracies, plain_accuracy
from sense.evaluation.tables import comparison_lines
from sense.seal import seal_folder
from sense.statistics import holm, mcnemar

# Right under natural, pgd and fgsm: of six images.
FIRST = {"natural": [1, 1, 1, 1, 1, 0], "pgd": [1, 1, 1, 1, 0, 0], "fgsm": [1, 1, 1, 0, 1, 0]}
SECOND = {"natural": [1, 1, 1, 1, 0, 0], "pgd": [0, 0, 0, 1, 0, 0], "fgsm": [0, 1, 1, 1, 0, 0]}
CONFIG = {
    "method": "sense",
    "model": "capacity-1",
    "seed": 1,
    "threads": 1,
    "device": "cpu",
    "data_dir": None,
    "c": 0.7,
}


@pytest.fixture
def stored(tmp_path):
    """Store an evaluation of these images as the command would."""

    def stored(
        name, right, *, steps=10, eps=0.3, labels=None, finished=True, changes=None, **config
    ):
        folder = tmp_path / name
        folder.mkdir()
        labels = labels or [3] * 6
        rows = [
            Outcome(i, label, attack, label if ok else 0, ok)
            for attack, found in right.items()
            for i, (label, ok) in enumerate(zip(labels, found, strict=True))
        ]
        with (folder / OUTCOMES).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([Outcome._fields, *rows])
        content = {
            "target": {
                "name": name,
                "kind": "run",
                "model": "capacity-1",
                "weights_sha256": "",
                "config": CONFIG | config | (changes or {}),
            },
            "data": {"name": "few", "sha256": "", "n": len(labels), "of": 9, "draw": None},
            "options": {"eps": eps, "norm": "inf", "seed": 0, "batch": 250, "cascade": False},
            "attacks": {
                attack: {"label": attack, "seconds": len(name), "attacked": 5}
                | ({"eps": eps, "norm": "inf", "steps": steps} if attack != "natural" else {})
                for attack in right
            },
            "accuracy": {
                key: plain_accuracy(p)
                for key, p in accuracies(CorrectMatrix.from_outcomes(rows)).items()
            },
            "diagnostics": None,
            "curve": None,
            "convergence": None,
            "finished": finished,
        }
        (folder / EVALUATION).write_text(json.dumps(content))
        seal_folder(folder)
        return folder

    return stored


def test_pairs_are_counted_by_image_and_adjusted_together(stored):
    folders = {"one": stored("one", FIRST), "two": stored("two", SECOND, c=0.5)}
    found = compare(folders)
    rows = {row["attack"]: row for row in found["pairs"]}
    assert list(rows) == ["natural", "pgd", "fgsm", "worst"]
    worst = {
        name: [min(column) for column in zip(*rights.values(), strict=True)]
        for name, rights in (("one", FIRST), ("two", SECOND))
    }
    for attack, row in rows.items():
        one = FIRST.get(attack, worst["one"])
        two = SECOND.get(attack, worst["two"])
        cells = [(a, b) for a, b in zip(one, two, strict=True)]
        names = {"both": (1, 1), "only_first": (1, 0), "only_second": (0, 1), "neither": (0, 0)}
        assert {name: row[name] for name in names} == {n: cells.count(c) for n, c in names.items()}
        assert row["n"] == 6
        assert row["p"] == mcnemar(row["only_first"], row["only_second"])
    assert rows["pgd"]["p"] == 0.25  # 3 to none: 2 / 2^3
    adjusted = holm([row["p"] for row in rows.values()])
    assert [row["p_holm"] for row in rows.values()] == adjusted
    assert found["seeds"] == []


def test_three_networks_make_three_pairs(stored):
    folders = {
        name: stored(name, right, c=c)
        for name, right, c in (("a", FIRST, 0.1), ("b", SECOND, 0.2), ("c", FIRST, 0.3))
    }
    found = compare(folders)["pairs"]
    pairs = list(dict.fromkeys((row["first"], row["second"]) for row in found))
    assert pairs == list(itertools.combinations("abc", 2))
    assert all(row["p"] == 1 for row in found if (row["first"], row["second"]) == ("a", "c"))


def test_only_attacks_of_both_networks_are_compared(stored):
    two = {name: SECOND[name] for name in ("natural", "pgd")}
    found = compare({"one": stored("one", FIRST), "two": stored("two", two)})["pairs"]
    assert [row["attack"] for row in found] == ["natural", "pgd"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [3, 3, 3, 3, 3, 4]}, "not have the same test images with the same labels"),
        ({"eps": 0.2}, r"with other options: eps \(0.3, not 0.2\)"),
        ({"steps": 20}, r"with other options: steps of (pgd|fgsm) \(10, not 20\)"),
        ({"finished": False}, "is not finished"),
    ],
)
def test_evaluations_that_do_not_match_are_refused(stored, change, message):
    folders = {"one": stored("one", FIRST), "two": stored("two", SECOND, **change)}
    with pytest.raises(ValueError, match=message):
        compare(folders)


def test_seeds_have_a_mean_and_sd_of_their_own(stored):
    folders = {
        "s1": stored("s1", FIRST),
        "s2": stored("s2", SECOND, seed=2, threads=2),
        "other": stored("other", FIRST, c=0.9),
    }
    rows = {row["attack"]: row for row in compare(folders)["seeds"]}
    assert rows["pgd"]["models"] == ["s1", "s2"]
    assert rows["pgd"]["mean"] == pytest.approx((4 / 6 + 1 / 6) / 2)
    assert rows["pgd"]["sd"] == pytest.approx(0.5 / 2**0.5)
    assert rows["pgd"]["group"] == "sense, capacity-1"
    assert set(rows) == {"natural", "pgd", "fgsm", "worst"}


# Another value of each option than its default.
OTHERS = {
    "dataset": "mnist",
    "data_dir": "elsewhere",
    "train_size": 9,
    "augment": "shift",
    "model": "capacity-2",
    "method": "sense-trades",
    "eps": 0.1,
    "eval_eps": 0.1,
    "step_size": 0.02,
    "steps": 3,
    "norm": "2",
    "eps_ramp": 1.0,
    "eps_start": 0.05,
    "random_start": True,
    "attack_mode": "training",
    "c": 0.3,
    "stage_test": "start",
    "boundary": "bisect",
    "l2_form": "published",
    "bisections": 2,
    "warmup": 1,
    "natural_weight": 0.5,
    "beta": 2.0,
    "d_max": 0.4,
    "eps_min": 0.1,
    "gamma": 0.1,
    "radius_rate": 0.2,
    "radius_max": 0.2,
    "fgsm_step": 0.2,
    "noise_scale": 1.5,
    "replays": 3,
    "pretrain": 3,
    "epochs": 4,
    "batch_size": 7,
    "optimizer": "adam",
    "lr": 0.3,
    "momentum": 0.5,
    "nesterov": True,
    "weight_decay": 0.1,
    "label_smoothing": 0.1,
    "class_weights": "balanced",
    "ema": 0.9,
    "awp": 0.01,
    "awp_warmup": 2,
    "schedule": "cosine",
    "milestones": [3],
    "lr_decay": 0.5,
    "milestone_lrs": [0.1],
    "device": "cpu",
    "threads": 1,
    "precision": "bfloat16",
    "cuda_graphs": "on",
    "minutes": 5.0,
    "validation_size": 5,
    "keep": "best",
    "monitor_size": 9,
}
NEEDED = {
    "milestone_lrs": {"milestones": [3]},
    "keep": {"validation_size": 9},
    "eps_ramp": {"eps_start": 0.1},
}


@pytest.mark.parametrize("option", OTHERS)
def test_options_that_change_the_result_separate_seeds(stored, option):
    both = NEEDED.get(option, {})
    folders = {
        "one": stored("one", FIRST, **both),
        "two": stored("two", SECOND, seed=2, **both, changes={option: OTHERS[option]}),
    }
    found = compare(folders)
    assert bool(found["seeds"]) == (option in runtime_options())
    if option in runtime_options() or option in ("method", "model"):
        assert found["apart"] == []
        return
    (row,) = found["apart"]
    assert (row["first"], row["second"], list(row["options"])) == (["one"], ["two"], [option])
    text = "\n".join(comparison_lines(found))
    assert f"two is not another seed of one: {option} (" in text


@pytest.mark.parametrize("names", [3, [["eps"]], ["eps"], {"eps": 1}])
def test_stored_runtime_options_are_checked(stored, names):
    folder = stored("one", FIRST)
    content = json.loads((folder / EVALUATION).read_text())
    content["target"]["runtime_options"] = names
    (folder / EVALUATION).write_text(json.dumps(content))
    seal_folder(folder)
    with pytest.raises(ValueError, match="runtime_options must be some of data_dir, minutes"):
        compare({"one": folder, "two": stored("two", SECOND)})


def test_every_option_is_in_the_table():
    assert OTHERS.keys() | {"seed"} == {option.name for option in fields(Config)}
    assert set(runtime_options()) == {
        "data_dir",
        "device",
        "threads",
        "cuda_graphs",
        "minutes",
        "monitor_size",
    }


def test_other_precisions_are_other_trainings(stored):
    """One that is no longer supported included."""
    half = [stored(name, FIRST, precision=name) for name in ("float16", "bfloat16")]
    found = compare({folder.name: folder for folder in half})
    assert found["apart"][0]["options"] == {"precision": ["float16", "bfloat16"]}


@pytest.mark.parametrize(("device", "precision"), [("auto", "float32"), ("cuda:1", "tf32")])
def test_a_precision_that_was_not_stored_is_the_default_of_the_device(stored, device, precision):
    old = stored("old", FIRST, precision=None, device=device)
    found = compare({"old": old, "new": stored("new", SECOND, seed=2, precision=precision)})
    assert found["seeds"]
    other = stored("other", SECOND, seed=2, precision="bfloat16")
    found = compare({"old": old, "other": other})
    assert found["apart"][0]["options"] == {"precision": [precision, "bfloat16"]}


def test_removed_and_newer_runtime_options_do_not_separate_seeds(stored):
    old = stored("old", FIRST, compile="default", cudnn_benchmark=True)
    content = json.loads((old / EVALUATION).read_text())
    content["target"]["runtime_options"] = ["threads", "compile", "cudnn_benchmark"]
    (old / EVALUATION).write_text(json.dumps(content))
    seal_folder(old)
    found = compare({"old": old, "new": stored("new", SECOND, seed=2, cuda_graphs="off")})
    assert found["seeds"]
    assert found["apart"] == []


def test_a_run_from_before_an_option_has_its_default(stored):
    folders = {"old": stored("old", FIRST), "new": stored("new", SECOND, seed=2, keep="last")}
    assert compare(folders)["seeds"]


def test_a_default_that_was_stored_as_null_is_the_same_training(stored):
    resolved = {"random_start": False, "warmup": 0, "natural_weight": 0.0}
    folders = {
        "old": stored("old", FIRST, **dict.fromkeys(resolved)),
        "new": stored("new", SECOND, seed=2, **resolved),
    }
    assert compare(folders)["seeds"]


def test_the_comparison_is_written_as_json(stored, tmp_path):
    found = compare({"one": stored("one", FIRST), "two": stored("two", SECOND)})
    path = write_comparison(tmp_path / "new", found)
    assert path == tmp_path / "new" / COMPARISON
    assert json.loads(path.read_text()) == found
    assert "commit" in found["provenance"]
