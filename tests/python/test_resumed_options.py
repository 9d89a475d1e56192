"""A run is resumed by the options that it was begun with, also those that were replaced then."""

import json
from dataclasses import replace

import pytest

import sense
from sense.description import ASKED, parse_description
from sense.errors import InputError
from sense.run_folder import RunFolder
from sense.runs import read_run
from sense.time_budget import EpochTimes
from sense.train import TrainingStopped, fit
from test_resume import after, outcome

PLANNED = {
    "all that is counted in epochs": {
        "pretrain": 1,
        "eps_ramp": 1.0,
        "schedule": "step",
        "milestones": (0.5,),
    },
    "only the epochs": {"pretrain": 0, "schedule": "constant"},
    "a schedule over all epochs": {"pretrain": 0, "schedule": "cosine"},
}


@pytest.fixture
def three_epochs(monkeypatch):
    """The time of the runs here is enough for 3 epochs."""
    times = EpochTimes(natural=0.0, method=20.0, monitor=0.0)
    monkeypatch.setattr("sense.trial_steps.measured_times", lambda *args: times)
    return {"method": "r-at", "steps": 1, "minutes": 1.3}


def stopped(config, folder, data):
    with pytest.raises(TrainingStopped):
        fit(config, folder, data=data, stop=after(2))
    return read_run(folder)


@pytest.mark.parametrize("asked", [1, 2, 40])
@pytest.mark.parametrize("change", PLANNED.values(), ids=PLANNED)
def test_a_planned_run_is_resumed_by_the_options_that_it_was_begun_with(
    tmp_path, few, tiny, three_epochs, change, asked
):
    config = replace(tiny, **three_epochs, **change, epochs=asked)
    planned, description = stopped(config, tmp_path / "run", few)
    assert planned.epochs == 3
    assert description[ASKED] == asked
    if change == PLANNED["only the epochs"] and asked > 3:
        return  # with these options epochs may be added, see the last test
    fit(config, tmp_path / "run", data=few, resume=True)
    assert read_run(tmp_path / "run")[0] == planned
    fit(replace(planned, minutes=None), tmp_path / "whole", data=few)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_so_is_one_that_does_not_store_what_was_asked_for(tmp_path, few, tiny, three_epochs):
    config = replace(tiny, **three_epochs, epochs=2)
    planned, description = stopped(config, tmp_path, few)
    del description[ASKED]
    with RunFolder(tmp_path) as run:
        run.lock()
        run.write({"config.json": json.dumps(description)})
    with pytest.raises(InputError, match="--epochs can only be increased, got 2"):
        fit(replace(planned, epochs=2), tmp_path, data=few, resume=True)
    fit(config, tmp_path, data=few, resume=True)
    assert read_run(tmp_path)[0] == planned


def test_other_options_of_a_planned_run_are_refused(tmp_path, few, tiny, three_epochs):
    config = replace(tiny, **three_epochs, epochs=2)
    planned, _ = stopped(config, tmp_path, few)
    for other in (
        replace(config, epochs=1),
        replace(config, minutes=None),
        replace(planned, epochs=2),
    ):
        with pytest.raises(
            InputError, match="started for 3 epochs: --epochs can only be increased"
        ):
            fit(other, tmp_path, data=few, resume=True)
    with pytest.raises(InputError, match="other options: c "):
        fit(replace(config, c=0.9), tmp_path, data=few, resume=True)


@pytest.mark.parametrize("pretrain", [0, 1])
def test_epochs_are_added_to_a_planned_run(tmp_path, few, tiny, three_epochs, pretrain):
    config = replace(tiny, **three_epochs, epochs=4, pretrain=pretrain)
    planned, _ = stopped(config, tmp_path, few)
    fit(replace(planned, epochs=4), tmp_path, data=few, resume=True)
    assert read_run(tmp_path)[0] == replace(planned, epochs=4)
    if pretrain:  # then they are not those of config.json with more epochs
        fit(config, tmp_path, data=few, resume=True)
        assert read_run(tmp_path)[0] == replace(planned, epochs=4)


def test_the_config_of_a_planned_run_trains_the_same_again(tmp_path, few, tiny, three_epochs):
    config = replace(tiny, **three_epochs, epochs=2)
    fit(config, tmp_path / "run", data=few)
    file = tmp_path / "run" / "config.json"
    again = sense.Config.from_file(file)
    assert again == replace(read_run(tmp_path / "run")[0], minutes=None)
    fit(again, tmp_path / "again", data=few)
    assert outcome(tmp_path / "again") == outcome(tmp_path / "run")
    assert sense.Config.from_file(file, minutes=5).minutes == 5


@pytest.mark.parametrize(
    "change",
    [
        {ASKED: 0},
        {ASKED: "3"},
        {"resumed": 3},
        {"resumed": [3]},
        {"resumed": [{"options": {"epochs": 3}}]},
        {"resumed": [{"options": {"epochs": {"before": -1}}}]},
    ],
    ids=str,
)
def test_impossible_earlier_numbers_of_epochs_are_refused(tmp_path, few, tiny, change):
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path, data=few, stop=after(1))
    content = json.loads((tmp_path / "config.json").read_text()) | change
    with pytest.raises(InputError, match=f"{next(iter(change))} must be"):
        parse_description(json.dumps(content), "config.json")
