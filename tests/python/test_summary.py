import json
from dataclasses import replace

import pytest
import torch

from sense.evaluation.outcomes import OUTCOMES, CorrectMatrix, Outcome
from sense.evaluation.runner import build_attacks
from sense.evaluation.settings import Settings
from sense.evaluation.summary import (
    EVALUATION,
    accuracies,
    new_content,
    plain_accuracy,
    read_evaluation,
    save,
    start_or_resume,
    update_accuracies,
)
from sense.evaluation.targets import open_run
from sense.run_folder import RunFolder
from sense.statistics import clopper_pearson, wilson


def matrix(**rows):
    outcomes = [
        Outcome(i, 1, attack.replace("_", "-"), correct, correct)
        for attack, row in rows.items()
        for i, correct in enumerate(row)
    ]
    return CorrectMatrix.from_outcomes(outcomes)


def test_the_worst_is_taken_per_image():
    correct = matrix(natural=[1, 1, 1, 0], pgd=[1, 0, 1, 0], square=[0, 1, 1, 0])
    assert accuracies(correct) == {
        "natural": wilson(3, 4),
        "pgd": wilson(2, 4),
        "square": wilson(2, 4),
        "worst": wilson(1, 4),
    }


def test_an_attack_in_another_ball_does_not_count_for_the_worst():
    correct = matrix(natural=[1, 1], pgd=[1, 0], deepfool_l2=[0, 0])
    assert accuracies(correct, ["natural", "pgd"])["worst"] == wilson(1, 2)
    assert "worst" not in accuracies(matrix(natural=[1, 1]))


def test_an_attack_on_some_images_counts_for_the_worst_alone():
    result = accuracies(matrix(natural=[1, 1], convergence=[0, 1]), partial=["convergence"])
    assert result == {"natural": wilson(2, 2), "worst": wilson(1, 2)}


def test_both_intervals_are_stored():
    entry = plain_accuracy(wilson(7, 9))
    assert (entry["k"], entry["n"], entry["level"]) == (7, 9, 0.95)
    assert (entry["lower"], entry["upper"]) == wilson(7, 9)[2:]
    assert (entry["exact_lower"], entry["exact_upper"]) == clopper_pearson(7, 9)[2:]


@pytest.fixture
def start_in(trained, tmp_path):
    folder, data = trained
    target, opened = open_run(folder, data=data, out=tmp_path / "out"), []

    def start_in(images=range(6), overwrite=False, target=target, **options):
        settings = Settings(**{"steps": 3, "restarts": 2, "batch": 3, "n": len(images), **options})
        settings = settings.complete(target.eps, target.norm)
        suite = build_attacks(settings)
        opened.append(RunFolder(tmp_path / "out"))
        for folder in opened[-2:]:
            folder.close()
        content, record = start_or_resume(
            opened[-1], target, settings, list(images), suite, overwrite=overwrite, command="mine"
        )
        return content, record, settings, opened[-1]

    yield start_in
    opened[-1].close()


def test_evaluation_json_is_written_before_the_first_attack(start_in, trained):
    content, record, _, folder = start_in()
    assert json.loads((folder.path / EVALUATION).read_text()) == content == read_evaluation(folder)
    assert content["target"]["model"] == "capacity-1"
    assert content["target"]["config"]["method"] == "nt"
    data = trained[1]
    assert content["data"] == {
        "name": "some",
        "sha256": data.sha256,
        "n": 6,
        "of": 600,
        "draw": None,
    }
    assert content["options"] == {
        "eps": 0.08,
        "norm": "inf",
        "seed": 0,
        "batch": 3,
        "cascade": False,
    }
    assert list(content["attacks"]) == ["natural", "pgd"]
    assert not content["finished"]
    assert content["provenance"]["command"] == "mine"
    assert record.outcomes() == []


def fill(record, *names):
    for name in names:
        while not record.complete(name):
            record.add(name, record.labels[record.done(name) :][:3])


def test_attacks_can_be_added_and_earlier_results_are_kept(start_in):
    content, record, settings, folder = start_in()
    fill(record, "natural", "pgd")
    content["attacks"]["pgd"]["seconds"] = 5.5
    diagnostics = {"images": 6, "seconds": 0.1, "checks": []}
    content["diagnostics"], content["finished"] = diagnostics, True
    update_accuracies(content, record, settings)
    save(folder, content)
    assert content["attacks"]["pgd"]["attacked"] == 6
    again, record, _, _ = start_in()
    assert again["diagnostics"] == diagnostics
    assert again["finished"]
    assert record.complete("pgd")
    more, record, _, _ = start_in(attacks=("fgsm",))
    assert list(more["attacks"]) == ["natural", "pgd", "fgsm"]
    assert more["attacks"]["pgd"] == content["attacks"]["pgd"]
    assert more["accuracy"] == content["accuracy"]
    assert (more["diagnostics"], more["finished"]) == (None, False)


def test_seconds_that_were_not_recorded_stay_unknown(start_in):
    content, record, settings, folder = start_in()
    fill(record, "natural", "pgd")
    content["attacks"]["pgd"]["seconds"] = None
    update_accuracies(content, record, settings)
    save(folder, content)
    more, _, _, _ = start_in(attacks=("fgsm",))
    assert more["attacks"]["pgd"]["seconds"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 4}, r"steps of pgd \(3, not 4\)"),
        ({"eps": 0.1}, r"eps \(0.08, not 0.1\)"),
        ({"seed": 1}, r"seed \(0, not 1\)"),
        ({"images": range(3)}, r"n \(6, not 3\)"),
        ({"draw": 3}, r"draw \(None, not 3\)"),
        ({"cascade": True}, r"cascade \(False, not True\)"),
    ],
)
def test_other_options_need_overwrite(start_in, change, message):
    _, record, _, folder = start_in()
    fill(record, "natural")
    with pytest.raises(ValueError, match=f"with other options: .*{message}.*--overwrite"):
        start_in(**change)
    _, record, _, _ = start_in(**change, overwrite=True)
    assert record.outcomes() == []
    assert (folder.path / OUTCOMES).read_text().count("\n") == 1


def test_other_weights_are_refused(start_in, trained):
    start_in()
    target = open_run(trained[0], data=trained[1])
    first = next(target.model.parameters())
    first.data += 1
    with pytest.raises(ValueError, match="weights_sha256"):
        start_in(target=replace(target, folder=start_in()[3]))


def test_an_unfinished_attack_must_be_finished(start_in):
    _, record, _, _ = start_in(attacks=("fgsm", "pgd"))
    fill(record, "natural", "fgsm")
    record.add("pgd", [1, 1, 1])
    with pytest.raises(ValueError, match=r"holds pgd, not finished \(3 of 6 images\): name it"):
        start_in(attacks=("fgsm",))
    assert start_in(attacks=("pgd",))[1].done("pgd") == 3


def test_a_cascade_counts_the_images_of_each_attack(start_in):
    content, record, settings, _ = start_in(cascade=True, attacks=("fgsm", "pgd"))
    labels = record.labels
    for name, broken in (("natural", {0}), ("fgsm", {0, 1, 2}), ("pgd", {0, 1, 2, 3})):
        found = [label + 1 if i in broken else label for i, label in enumerate(labels)]
        record.add(name, found[:3])
        record.add(name, found[3:])
    update_accuracies(content, record, settings)
    assert [content["attacks"][name]["attacked"] for name in ("natural", "fgsm", "pgd")] == [
        0,
        5,
        3,
    ]
    assert content["accuracy"]["worst"]["k"] == 2


def test_outcomes_without_evaluation_json_are_refused(start_in):
    folder = start_in()[3]
    folder.remove([EVALUATION])
    with pytest.raises(ValueError, match=r"outcomes.csv without evaluation.json"):
        start_in()
    with pytest.raises(FileNotFoundError, match=r"python -m sense\.evaluate"):
        read_evaluation(folder)


def test_an_evaluation_names_the_gpu_that_was_used(monkeypatch, trained, tmp_path):
    monkeypatch.setattr(
        torch.cuda, "get_device_name", lambda device: {1: "second"}[torch.device(device).index]
    )
    folder, data = trained
    target = open_run(folder, data=data, out=tmp_path)
    settings = Settings().complete(target.eps, target.norm)
    content = new_content(target, settings, 9, [], None, torch.device("cuda:1"))
    assert content["provenance"]["gpu"] == "second"
