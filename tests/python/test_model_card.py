"""MODEL_CARD.md: what it says before and after an evaluation. Names of others have no effect."""

import json
import re
import shutil
from dataclasses import replace

import pytest

import own_code
import sense
from conftest import ROOT
from sense.callbacks import Callback
from sense.config import Config
from sense.data import ImageData
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.summary import read_evaluation
from sense.model_card import CARD, card_text, code, rows, write_card
from sense.run_folder import RunFolder
from sense.runs import read_run
from sense.seal import seal_folder
from sense.statistics import Proportion, wilson
from sense.train import TrainingStopped, fit
from test_table_data import quick, table

QUICK = Settings(attacks=("pgd",), steps=2, restarts=1, n=50, diagnostics=False)


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a run, and its data."""
    folder, data = trained
    shutil.copytree(folder, tmp_path / "run")
    return tmp_path / "run", data


def front_matter(text):
    """The fields of the YAML front matter. A value is JSON, which YAML contains."""
    lines = text.split("---\n")[1].splitlines()
    return {line.partition(": ")[0]: json.loads(line.partition(": ")[2]) for line in lines}


def section(text, title):
    return text.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_after_training_the_card_says_that_nothing_was_evaluated(run):
    folder, _ = run
    text = RunFolder(folder).text(CARD)  # it is in the manifest
    accuracy = section(text, "Accuracy")
    assert "was not evaluated on test data" in accuracy
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert str(wilson(last["robust_correct"], last["monitored"])) in accuracy
    fields = front_matter(text)
    assert fields["library_name"] == "sense"
    assert fields["tags"][-1] == "nt"
    assert "model-index" not in fields
    assert "3000 for training and 600 for tests, images of 1 x 28 x 28 (channels" in section(
        text, "Training"
    )
    assert '"lr": 0.05' in text
    assert '"c"' not in text  # not an option of nt
    provenance = read_run(folder)[1]["provenance"]
    assert provenance["time"] in section(text, "Origin")
    assert 'sense.load("FOLDER")' in section(text, "Use")


def test_after_an_evaluation_the_strongest_attack_comes_first(run):
    folder, data = run
    evaluate_run(folder, replace(QUICK, attacks=("fgsm", "pgd", own_code.corner)), data=data)
    content, text = read_evaluation(folder), RunFolder(folder).text(CARD)
    table = [line for line in text.splitlines() if re.match(r"\| `", line)]
    assert [line.split(" | ")[0] for line in table[:2]] == [
        "| `worst attack per image`",
        "| `natural accuracy`",
    ]
    lowest = min(entry["k"] for entry in content["accuracy"].values())
    shown = [int(re.search(r"\((\d+) / 50\)", line)[1]) for line in table]
    assert shown[0] == lowest == content["accuracy"]["worst"]["k"]
    assert shown[2:] == sorted(shown[2:])
    for entry in content["accuracy"].values():
        assert str(Proportion(entry["k"], entry["n"], entry["lower"], entry["upper"])) in text
    assert "AutoAttack was not run" in text
    assert "Attacks of the user's own: `own_code:corner`" in text
    assert (
        "On the first 50 of 600 test images, in an l-infinity ball of radius 0.08, for pixels"
        in text
    )
    (result,) = front_matter(text)["model-index"][0]["results"]
    assert result["metrics"][0]["value"] == round(lowest / 50, 4)
    assert result["metrics"][1]["name"] == "natural accuracy"
    assert content["provenance"]["time"] in section(text, "Origin")


def test_the_card_says_if_only_pgd_was_run(run):
    folder, data = run
    evaluate_run(folder, QUICK, data=data)
    assert "**Only PGD was run: robust accuracy may be much lower" in (folder / CARD).read_text()
    evaluate_run(folder, replace(QUICK, attacks=("natural",)), data=data, overwrite=True)
    assert "No attack was run" in (folder / CARD).read_text()


def test_an_evaluation_elsewhere_leaves_the_card_as_it_is(run, tmp_path):
    folder, data = run
    before = (folder / CARD).read_bytes()
    evaluate_run(folder, QUICK, data=data, out=tmp_path / "out")
    assert (folder / CARD).read_bytes() == before
    assert not (tmp_path / "out" / CARD).exists()


def test_an_evaluation_of_other_weights_does_not_count(few, tiny, tmp_path):
    config = replace(tiny, schedule="constant")
    fit(config, tmp_path / "run", data=few)
    evaluate_run(tmp_path / "run", QUICK, data=few)
    assert "Only PGD was run" in (tmp_path / "run" / CARD).read_text()
    fit(config, tmp_path / "run", data=few, resume=True)  # nothing is left to do
    assert "Only PGD was run" in (tmp_path / "run" / CARD).read_text()
    fit(replace(config, epochs=3), tmp_path / "run", data=few, resume=True)
    assert "was not evaluated" in (tmp_path / "run" / CARD).read_text()


def test_a_run_that_was_stopped_has_no_card(few, tiny, tmp_path):
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path / "run", data=few, stop=lambda: 2)
    assert not (tmp_path / "run" / CARD).exists()
    fit(tiny, tmp_path / "run", data=few, resume=True)
    assert (tmp_path / "run" / CARD).exists()


def test_a_run_that_is_trained_further_and_stopped_has_no_card_of_the_weights_before(
    few, tiny, tmp_path
):
    config, folder = replace(tiny, schedule="constant"), tmp_path / "run"
    fit(config, folder, data=few)
    evaluate_run(folder, QUICK, data=few)
    longer = replace(config, epochs=5)
    with pytest.raises(TrainingStopped):
        fit(longer, folder, data=few, resume=True, stop=lambda: 2)
    assert not (folder / CARD).exists()
    evaluate_run(folder, QUICK, data=few, overwrite=True)
    assert "Only PGD was run" in (folder / CARD).read_text()


def test_a_card_stays_if_training_ends_before_the_weights_change(few, tiny, tmp_path):
    config, folder = replace(tiny, schedule="constant"), tmp_path / "run"
    fit(config, folder, data=few)
    before = (folder / CARD).read_bytes()

    class Fails(Callback):
        def on_train_start(self, training):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fit(replace(config, epochs=5), folder, data=few, resume=True, callbacks=[Fails()])
    assert (folder / CARD).read_bytes() == before


def test_a_card_that_was_changed_by_hand_is_kept_when_training_goes_on(few, tiny, tmp_path):
    config, folder = replace(tiny, schedule="constant"), tmp_path / "run"
    fit(config, folder, data=few)
    (folder / CARD).write_text("# Mine\n")
    with pytest.raises(TrainingStopped):
        fit(replace(config, epochs=5), folder, data=few, resume=True, stop=lambda: 2)
    assert (folder / CARD).read_text() == "# Mine\n"


EVIL = [
    "</td><script>alert(1)</script>",
    "`code` | x\n\n# Title",
    "![](http://example.org/x.png) https://example.org",
    "---\nlicense: mit",
    "```\n---",
    "\u202eright to left\x1b[31m\x00",
    '"}], "x": 3',
    "",
]


@pytest.mark.parametrize("name", EVIL)
def test_names_of_others_have_no_effect(few, tmp_path, name):
    classes = (name, *few.classes[1:]) if name else few.classes
    data = ImageData(name or "x", few.train_x, few.train_y, few.test_x, few.test_y, tuple(classes))
    config = Config(
        dataset="arrays", model="capacity-1", method="nt", pretrain=0, epochs=1, monitor_size=8
    )
    fit(config, tmp_path / "run", data=data, command=name or None)
    evaluate_run(tmp_path / "run", QUICK, data=data)
    content = json.loads((tmp_path / "run/evaluation.json").read_text())
    content["attacks"]["pgd"]["label"] = name
    (tmp_path / "run/evaluation.json").write_text(json.dumps(content))
    seal_folder(tmp_path / "run")
    with RunFolder(tmp_path / "run") as folder:
        folder.lock()
        write_card(folder, content["target"]["weights_sha256"])
    text = (tmp_path / "run" / CARD).read_text()
    assert front_matter(text)  # each line is JSON
    assert text.count("\n---\n") == 1
    body = text.split("---\n", 2)[2]
    outside = re.sub(r"`[^`\n]*`|^ {4}.*$", "", body, flags=re.M)
    for part in ("<", "![", "http", "alert", "\u202e", "\x1b", "\x00", "license"):
        assert part not in outside, part
    assert "\u202e" not in text
    titles = re.findall(r"^#+ (.*)$", body, re.M)
    assert titles[1:] == ["Accuracy", "Training", "Intended use and limits", "Use", "Origin"]
    for line in body.splitlines():
        assert line.count("`") % 2 == 0
        if line.startswith("| `"):
            assert line.count("|") == 3


def test_code_is_one_span():
    assert code("a`b|c\n d") == "`a'b/c d`"
    assert code("") == code("\n") == "`(none)`"


def test_attacks_in_another_ball_come_last(trained, tmp_path):
    folder, data = trained
    settings = replace(QUICK, attacks=("deepfool-l2", "fgsm"), l2_eps=9.0)
    content = evaluate_run(folder, settings, data=data, out=tmp_path)
    assert [name for name, _, _ in rows(content)] == ["worst", "natural", "fgsm", "deepfool-l2"]


def test_odd_files_of_others_are_survived(run):
    """A config.json without a provenance, and metrics that are not numbers."""
    folder, _ = run
    content = json.loads((folder / "config.json").read_text())
    content["provenance"] = "<b>"
    content["data"]["train"] = "<b>"
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "metrics.jsonl").write_text('{"epoch": "<b>"}\n{"epoch": 1, "monitored": 0}\n')
    (folder / "evaluation.json").write_text("{}")
    seal_folder(folder)
    with RunFolder(folder) as files:
        files.lock()
        write_card(files, "0" * 64)
    text = (folder / CARD).read_text()
    assert "<b>" not in text
    assert "was not evaluated" in text
    assert "training: unknown" in text


def test_the_card_of_a_stored_network():
    """The whole card, from files that ship."""
    folder = ROOT / "inst/extdata/mnist-demo/sense"
    config, description = read_run(folder)
    description["config"] = config.resolved().to_plain()
    text = card_text(description, [], read_evaluation(folder))
    assert "AutoAttack was run." in text
    first = next(line for line in text.splitlines() if line.startswith("| `"))
    stored = read_evaluation(folder)["accuracy"]["worst"]
    assert f"({stored['k']} / {stored['n']})" in first


def test_the_card_of_a_table(tmp_path):
    sense.fit(quick(), tmp_path / "run", data=table())
    evaluate_run(tmp_path / "run", replace(QUICK, n=40), data=table())
    text = RunFolder(tmp_path / "run").text(CARD)
    assert front_matter(text)["pipeline_tag"] == "tabular-classification"
    assert "45 for training and 45 for tests, rows of 4 features" in text
    assert "of 45 test rows" in text
    assert "pixel" not in text
    assert "scaling(x)" in text


def test_a_card_that_was_changed_by_hand_is_kept(run):
    folder, data = run
    (folder / CARD).write_text("# Mine\n")
    evaluate_run(folder, QUICK, data=data)
    assert (folder / CARD).read_text() == "# Mine\n"
    (folder / CARD).unlink()
    seal_folder(folder)
    evaluate_run(folder, QUICK, data=data, overwrite=True)
    assert "Only PGD was run" in (folder / CARD).read_text()
