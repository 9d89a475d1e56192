"""Options in a file: TOML, or the config.json of a run."""

import json
from dataclasses import replace

import pytest

import sense
from sense.cli import train_main
from sense.config import recipe
from sense.errors import InputError, MissingFileError
from sense.runs import read_run
from sense.train import TrainingStopped, fit
from test_resume import same_weights


def toml(tmp_path, text):
    path = tmp_path / "run.toml"
    path.write_text(text)
    return path


def test_a_toml_file_changes_a_recipe(tmp_path):
    path = toml(
        tmp_path,
        'recipe = "cifar10-resnet"\nmethod = "r-at"\neps = "4/255"\nstep-size = 0.01\n'
        "batch_size = 64\nmilestones = [3, 5]\nnorm = 2\nnesterov = true\n",
    )
    expected = replace(
        recipe("cifar10-resnet"),
        method="r-at",
        eps=4 / 255,
        step_size=0.01,
        batch_size=64,
        milestones=(3, 5),
        norm="2",
        nesterov=True,
    )
    assert sense.Config.from_file(path) == expected
    assert sense.Config.from_file(str(path), eps=0.5, seed=3) == replace(expected, eps=0.5, seed=3)


def test_none_is_none_where_that_is_allowed(tmp_path):
    path = toml(tmp_path, 'recipe = "cifar10-demo"\ntrain_size = "None"\nwarmup = "None"\n')
    expected = replace(recipe("cifar10-demo"), train_size=None, warmup=None)
    assert sense.Config.from_file(path) == expected
    with pytest.raises(InputError, match="epochs must be a whole number, got 'None'"):
        sense.Config.from_file(toml(tmp_path, 'epochs = "None"'))


def test_without_a_recipe_the_default_follows_the_data(tmp_path):
    assert sense.Config.from_file(toml(tmp_path, "seed = 4")) == replace(
        recipe("mnist-demo"), seed=4
    )
    assert sense.Config.from_file(toml(tmp_path, 'dataset = "cifar10"')).model == "cifar-cnn-2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("leraning_rate = 1", "unknown option leraning_rate: "),
        ("epoch = 3", r"unknown option epoch: epochs\?"),
        ("step-sise = 3", r"unknown option step_sise: step_size\?"),
        ("qqqqqq = 3", "unknown option qqqqqq: there are dataset, "),
        ('recipe = "mnst"', "recipe must be one of mnist-demo, "),
        ("c = true", "c must be a number, got True"),
        ("epochs = 2.5", r"epochs must be a whole number, got 2\.5"),
        ("[c]\nvalue = 1", "c must be a number, got {'value': 1}"),
        ('method = ["nt"]', "method must be one of nt, "),
        ("c = ", "is not TOML: "),
        ("c = 1\nc = 2", "is not TOML: "),
    ],
)
def test_an_unknown_option_or_value_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as refused:
        sense.Config.from_file(toml(tmp_path, text))
    if "recipe" not in text:
        assert "run.toml" in str(refused.value)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "run.yaml").write_text("c: 1")
    with pytest.raises(InputError, match=r"must be a \.toml file, or the config\.json of a run"):
        sense.Config.from_file(tmp_path / "run.yaml")
    with pytest.raises(MissingFileError):
        sense.Config.from_file(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not TOML"):
        sense.Config.from_file(tmp_path / "binary.toml")


def test_the_config_of_a_run_trains_the_same_again(few, tiny, tmp_path):
    first = fit(tiny, tmp_path / "first", data=few)
    config = sense.Config.from_file(tmp_path / "first/config.json")
    assert config == tiny.resolved()
    fit(config, tmp_path / "again", data=few)
    assert same_weights(tmp_path / "first", tmp_path / "again")
    assert first is not None
    changed = (tmp_path / "first/config.json").read_text().replace("0.2", "0.3")
    (tmp_path / "first/config.json").write_text(changed)
    with pytest.raises(InputError, match="is damaged, or was changed"):
        sense.Config.from_file(tmp_path / "first/config.json")
    (tmp_path / "copy.json").write_text(changed)
    assert sense.Config.from_file(tmp_path / "copy.json").eps == 0.3


OURS = {
    "method": "nt",
    "optimizer": "adam",
    "schedule": "cosine",
    "augment": "shift",
    "model": "capacity-1",
}


@pytest.mark.parametrize("option", OURS)
def test_code_that_a_file_names_must_be_named_again(tmp_path, few, tiny, option):
    path = toml(tmp_path, f'{option} = "absent_module:thing"')
    with pytest.raises(InputError, match=f'{option} = "absent_module:thing"'):
        sense.Config.from_file(path)
    named = sense.Config.from_file(path, **{option: "absent_module:thing"})
    assert getattr(named, option) == "absent_module:thing"
    assert getattr(sense.Config.from_file(path, **{option: OURS[option]}), option) == OURS[option]
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path / "run", data=few, stop=lambda: 2)
    content = json.loads((tmp_path / "run/config.json").read_text())
    content["config"][option] = "absent_module:thing"
    (tmp_path / "copy.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f'{option} = "absent_module:thing"'):
        sense.Config.from_file(tmp_path / "copy.json")


QUICK = 'model = "capacity-1"\nmethod = "nt"\npretrain = 0\nepochs = 1\ntrain_size = 100\n'
QUICK += "monitor_size = 8\nthreads = 1\n"


def test_the_command_line_takes_precedence(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    toml(tmp_path, QUICK + "seed = 5\nlr = 0.02\n")
    train_main(["--config", "run.toml", "--lr", "0.04", "--out", "one"])
    config = read_run("one")[0]
    assert (config.model, config.seed, config.lr) == ("capacity-1", 5, 0.04)
    train_main(["--config=one/config.json", "--seed", "6", "--out", "two"])
    assert read_run("two")[0] == replace(config, seed=6)
    for words in (["mnist", "--config", "run.toml"], ["--config", "run.toml", "--resume", "one"]):
        with pytest.raises(SystemExit):
            train_main(words)
        assert "--config has all options: leave out" in capsys.readouterr().err
    toml(tmp_path, QUICK + 'schedule = "absent:thing"')
    with pytest.raises(SystemExit):
        train_main(["--config", "run.toml", "--out", "three"])
    assert "--schedule absent:thing" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train_main(["--config", "run.toml", "--schedule", "absent:thing", "--out", "three"])
    assert "schedule absent:thing: cannot import absent" in capsys.readouterr().err
