"""A second evaluation of a run with other options goes to a folder of its own."""

from dataclasses import replace

import pytest

from sense.evaluation.outcomes import read_outcomes
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
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
    "norm": {"norm": "2", "eps": 0.08},
    "seed": {"seed": 1},
    "cascade": {"cascade": True},
    "n": {"n": 10},
    "draw": {"draw": 0},
    "an attack": {"steps": 2},
    "the curve": {"curve": (0.03,)},
    "the convergence": {"convergence": 3},
}


@pytest.mark.parametrize("which", OTHER)
def test_another_option_needs_the_next_folder(run, which):
    folder, data = run
    target = open_run(folder, data=data)
    assert with_free_folder(target, FIRST).folder == folder
    other = replace(FIRST, **OTHER[which])
    assert with_free_folder(target, other).folder == folder / "evaluation-2"


@pytest.mark.parametrize(
    "more",
    [
        {"attacks": ("fgsm",)},
        {"curve": ()},
        {"convergence": None},
        {"diagnostics": True},
        {"batch": 5},  # no outcome depends on it
    ],
)
def test_additions_and_omissions_keep_the_folder(run, more):
    target = open_run(run[0], data=run[1])
    assert with_free_folder(target, replace(FIRST, **more)).folder == run[0]


def test_each_evaluation_resumes_in_its_folder_and_the_first_is_unchanged(run):
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


def test_a_named_folder_and_another_network_are_not_redirected(run, trained, tmp_path):
    folder, data = run
    with pytest.raises(ValueError, match=r"with other options: eps \(0.08, not 0.2\)"):
        evaluate_run(folder, replace(FIRST, eps=0.2), data=data, out=folder)
    target = open_run(folder, data=data)
    next(target.model.parameters()).data += 1
    assert with_free_folder(target, replace(FIRST, eps=0.2)).folder == folder


def test_without_an_evaluation_the_targets_own_folder_is_used(trained, tmp_path):
    target = open_run(trained[0], data=trained[1], out=tmp_path / "none")
    assert with_free_folder(target, FIRST) is target
