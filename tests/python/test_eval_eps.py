"""A network that is trained in one ball is evaluated in the ball that `eval_eps` names."""

import json
from dataclasses import replace

import pytest
import torch
from sklearn.datasets import load_iris
from torch import nn

import sense
from sense.attacks import pgd
from sense.bridge import adversarial_examples, train
from sense.bridge import evaluate as evaluate_from_r
from sense.config import Config, from_plain, notes, recipe
from sense.config.stored import from_stored
from sense.data import Scaling
from sense.errors import InputError
from sense.evaluation.examples import make_examples, settings_of
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.summary import EVALUATION, read_evaluation
from sense.evaluation.targets import open_run, open_target
from sense.monitor import Monitor, training_part
from sense.run_folder import RunFolder
from sense.runs import CONFIG, read_run
from sense.sweep import grid_cells
from sense.train import fit

QUICK = Settings(
    attacks=("pgd", "fgsm"), steps=3, restarts=1, n=20, diagnostics=False, curve=(0.05,)
)
BALLS = [
    {"method": "sense", "eps_ramp": 1.0},
    {"method": "r-at"},
    {"method": "nt"},
    {"method": "mma"},
    {"method": "iaat"},
    {"method": "r-at", "norm": "2", "eps": 1.5, "step_size": 0.6, "eval_eps": 1.25},
]


@pytest.fixture
def run(tmp_path, few, tiny):
    fit(replace(tiny, eps=0.2, eval_eps=0.12), tmp_path / "run", data=few)
    return tmp_path / "run"


def test_it_is_eps_until_it_is_set():
    assert Config().claimed_eps == 0.3
    assert replace(Config().resolved(), eps=0.1).claimed_eps == 0.1, "a changed eps is followed"
    assert Config(eps=0.34, eval_eps=0.3).claimed_eps == 0.3
    assert Config(method="nt", eps=0.0, eval_eps=0.3).claimed_eps == 0.3
    assert from_plain({"eval_eps": "8/255"}).claimed_eps == 8 / 255


def test_mnist_fast_claims_the_ball_of_the_paper():
    config = recipe("mnist-fast")
    assert (config.eps, config.claimed_eps) == (0.34, 0.3)


@pytest.mark.parametrize("change", BALLS, ids=str)
def test_every_part_of_an_evaluation_takes_it(tmp_path, few, tiny, change):
    config = replace(tiny, **({"eps": 0.2, "eval_eps": 0.12} | change))
    fit(config, tmp_path / "run", data=few)
    content = evaluate_run(tmp_path / "run", QUICK, data=few)
    claimed = config.eval_eps
    assert content["options"]["eps"] == claimed
    assert {a["eps"] for name, a in content["attacks"].items() if name != "natural"} == {claimed}
    card = (tmp_path / "run" / "MODEL_CARD.md").read_text()
    assert f"ball of radius {claimed:g}" in card
    assert f'"eval_eps": {claimed}' in card
    assert open_target(str(tmp_path / "run" / "model.safetensors"), data=few).eps == claimed
    target = open_run(tmp_path / "run", data=few)
    for settings in (settings_of(content), replace(QUICK, attacks=("pgd",), curve=())):
        assert make_examples(target, settings, n=2)["attack"]["eps"] == claimed


def test_the_accuracy_after_each_epoch_is_that_of_pgd_with_it(run, few, tiny):
    config = read_run(run)[0]
    network = sense.load(run)
    monitor = Monitor.of(few, *training_part(few, config), config, torch.device("cpu"))
    counts = {}
    for eps in (0.12, 0.2):
        torch.manual_seed(0)
        x_adv = pgd(network, monitor.x, monitor.y, eps=eps, step_size=0.08, steps=3)
        counts[eps] = int((network(x_adv).argmax(1) == monitor.y).sum())
    assert counts[0.12] != counts[0.2]
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["robust_correct"] == counts[0.12]
    assert "ball of radius 0.12" in (run / "MODEL_CARD.md").read_text(), "before any evaluation"


def test_eps_of_the_evaluation_itself_takes_precedence(run, few):
    assert evaluate_run(run, replace(QUICK, eps=0.05), data=few)["options"]["eps"] == 0.05


def test_a_run_without_the_option_is_evaluated_with_eps(run, few, tmp_path):
    options = json.loads((run / CONFIG).read_text())["config"]
    old = {name: value for name, value in options.items() if name != "eval_eps"}
    assert from_stored(old).claimed_eps == 0.2
    target = replace(open_run(run, data=few), config=old, folder=tmp_path / "old")
    assert target.eps == 0.2


def test_it_cannot_be_changed_when_a_run_is_resumed(run, few):
    config = replace(read_run(run)[0], eval_eps=0.2)
    with pytest.raises(InputError, match=r"other options: eval_eps \(0.12, not 0.2\)"):
        fit(config, run, data=few, resume=True)


def test_r_evaluates_with_it(run, few, tmp_path):
    images = {"x_test": few.test_x[:8, 0].numpy(), "y_test": few.test_y[:8].tolist()}
    known = ((run / CONFIG).read_text(), (run / "model.safetensors").read_bytes())
    options = {"steps": 2, "restarts": 1, "diagnostics": False}
    evaluate_from_r(*known, str(tmp_path / "out"), options, images)
    assert read_evaluation(RunFolder(tmp_path / "out"))["options"]["eps"] == 0.12
    assert (tmp_path / "out" / EVALUATION).exists()
    shown = adversarial_examples(*known, options, 2, images)
    assert shown["attack"]["eps"] == 0.12


def test_a_classifier_is_scored_with_it():
    x, y = load_iris(return_X_y=True)
    quick = {"model": "linear", "epochs": 2, "pretrain": 1, "random_state": 0}
    one = sense.SenseClassifier(eps=0.4, options={"eval_eps": 0.3, "threads": 1}, **quick).fit(x, y)
    assert one.evaluate(x, y).settings.eps == 0.3
    assert one.evaluate(x, y, eps=0.1).settings.eps == 0.1


def table(eval_eps, out, **changes):
    """A table as R passes it, whose two features have their own eps."""
    torch.manual_seed(3)
    x = torch.randn(60, 2).double() * torch.tensor([1.0, 50.0])
    images = {
        "features": x.numpy(),
        "y": (x[:, 0] > 0).long().tolist(),
        "classes": ["no", "yes"],
        "names": ["a", "b"],
        "eps": [0.5, 40.0],
    }
    options = {"dataset": "table", "epochs": 1, "eval_eps": eval_eps, "threads": 1} | changes
    train(options, None, str(out), images)
    return read_run(out)


def test_a_table_has_one_for_each_feature(tmp_path):
    config, description = table([0.25, 20.0], tmp_path / "run")
    scaling = Scaling.from_plain(description["data"]["features"])
    assert config.eps == pytest.approx(scaling.radius([0.5, 40.0]))
    assert config.claimed_eps == pytest.approx(config.eps / 2)
    with pytest.raises(InputError, match="eval_eps must be one multiple of the eps"):
        table([0.25, 40.0], tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"eval_eps": 0.35}, "eval_eps 0.35 is larger than eps 0.3"),
        ({"eval_eps": 0.14}, "eval_eps 0.14 is much smaller than eps 0.3"),
        ({"eval_eps": 0.6}, "steps x step_size is 0.5, less than eval_eps 0.6"),
    ],
)
def test_a_claim_left_from_other_options_is_noted(change, expected):
    assert any(line.startswith(expected) for line in notes(replace(Config(), **change)))
    assert notes(replace(Config(), eps=0.34, eval_eps=0.3)) == []
    assert notes(replace(Config(), method="nt", eps=0.0, eval_eps=0.3)) == []


class Cliff(nn.Module):
    """Right up to a mean change of 0.15 from grey, so under PGD with 0.1, but not with 0.2."""

    def forward(self, x):
        margin = 0.15 - (x.mean((1, 2, 3)) - 0.5).abs()
        side = (x[:, 0, 0, 0] - 0.5).sign()
        return torch.stack([-side * margin, side * margin], 1)


def test_overfitting_to_one_step_is_looked_for_in_the_ball_of_training():
    x = torch.full((64, 1, 12, 12), 0.5)
    x[:, 0, 0, 0] = torch.arange(64) % 2
    y = torch.arange(64) % 2
    config = Config(method="fgsm-rs", eps=0.2, step_size=0.05, steps=8, eval_eps=0.1)
    found = Monitor(x, y, "training").evaluate(Cliff(), config, 1000, lambda _, x, y: x)
    assert (found["robust_correct"], found["trained_eps_correct"]) == (64, 0)
    assert found["collapse"] == "catastrophic-overfitting"
    assert "of 64 monitored images 64 are correctly classified after one step, and 0 under" in (
        sense.collapse.new_collapse([found | {"epoch": 1}])
    )
    same = replace(config, eps=0.1)
    healthy = Monitor(x, y, "training").evaluate(Cliff(), same, 1000, lambda _, x, y: x)
    assert "trained_eps_correct" not in healthy
    assert "collapse" not in healthy
    larger = replace(config, eps=0.1, eval_eps=0.2)  # robust in the ball of training: no collapse
    found = Monitor(x, y, "training").evaluate(Cliff(), larger, 1000, lambda _, x, y: x)
    assert found["robust_correct"] == 0
    assert "collapse" not in found


def test_a_cell_of_a_sweep_is_evaluated_with_it():
    cell = grid_cells({"recipe": "mnist-fast", "evaluation": {"attacks": ["pgd"]}})[0]
    assert [settings.eps for settings in cell.settings()] == [0.3]
