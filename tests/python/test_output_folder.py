"""A second evaluation of a run, with other options, simply works: beside the first."""

from dataclasses import replace

import pytest

from sense.evaluation.evaluate import evaluate_run
from sense.evaluation.outcomes import read_outcomes
from sense.evaluation.settings import Settings
from sense.evaluation.summary import read_evaluation, with_free_folder
from sense.evaluation.targets import open_run

FIRST = Settings(
    n=20, steps=1, restarts=1, diagnostics=False, batch=10, curve=(0.02,), convergence=2
)


@pytest.fixture(scope="module")
def run(trained, tmp_path_factory):
    """A run of its own, evaluated once."""
    import shutil

    folder = tmp_path_factory.mktemp("place") / "run"
    shutil.copytree(trained[0], folder)
    evaluate_run(folder, FIRST, data=trained[1])
    return folder, trained[1]


OTHER = {
    "eps": {"eps": 0.2},
    "norm": {"norm": "2"},
    "seed": {"seed": 1},
    "batch": {"batch": 5},
    "cascade": {"cascade": True},
    "n": {"n": 10},
    "draw": {"draw": 0},
    "an attack": {"steps": 2},
    "the curve": {"curve": (0.03,)},
    "the course": {"convergence": 3},
}


@pytest.mark.parametrize("which", OTHER)
def test_with_another_option_it_goes_to_the_next_folder(run, which):
    folder, data = run
    target = open_run(folder, data=data)
    assert with_free_folder(target, FIRST).folder == folder
    other = replace(FIRST, **OTHER[which])
    assert with_free_folder(target, other).folder == folder / "evaluation-2"


@pytest.mark.parametrize(
    "more", [{"attacks": ("fgsm",)}, {"curve": ()}, {"convergence": None}, {"diagnostics": True}]
)
def test_what_can_be_added_or_left_out_stays_where_it_is(run, more):
    target = open_run(run[0], data=run[1])
    assert with_free_folder(target, replace(FIRST, **more)).folder == run[0]


def test_each_goes_on_where_it_lies_and_the_first_is_untouched(run):
    folder, data = run
    before = read_outcomes(folder)
    second = replace(FIRST, eps=0.2, curve=(), convergence=None)
    third = replace(second, eps=0.3)
    for settings in (second, third, second, third):
        assert evaluate_run(folder, settings, data=data)["options"]["eps"] == settings.eps
    assert sorted(path.name for path in folder.glob("evaluation-*")) == [
        "evaluation-2",
        "evaluation-3",
    ]
    assert read_evaluation(folder / "evaluation-2")["options"]["eps"] == 0.2
    assert read_evaluation(folder / "evaluation-3")["options"]["eps"] == 0.3
    assert read_outcomes(folder) == before
    assert read_evaluation(folder)["options"]["eps"] == pytest.approx(0.08)


def test_a_folder_that_is_given_and_another_network_are_refused(run, trained, tmp_path):
    folder, data = run
    with pytest.raises(ValueError, match=r"with other options: eps \(0.08, not 0.2\)"):
        evaluate_run(folder, replace(FIRST, eps=0.2), data=data, out=folder)
    target = open_run(folder, data=data)
    next(target.model.parameters()).data += 1
    assert with_free_folder(target, replace(FIRST, eps=0.2)).folder == folder


def test_without_an_evaluation_it_is_the_targets_own_folder(trained, tmp_path):
    target = open_run(trained[0], data=trained[1], out=tmp_path / "none")
    assert with_free_folder(target, FIRST) is target
