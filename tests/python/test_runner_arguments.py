"""Options of commands that run cells: sense.sweep.runner_arguments."""

from pathlib import Path

import pytest

from sense.errors import InputError
from sense.reproduce.command import reproduce_main
from sense.sweep.command import sweep_main
from sense.sweep.run import SweepStopped
from sense.sweep.runner_arguments import RunnerArguments, stop_by_signal


def test_they_are_arguments_of_run_cells():
    given = RunnerArguments(workers=3, threads=2, retries=0, cifar10=Path("images"))
    assert given.run_options() == {
        "runner": "local",
        "workers": 3,
        "threads": 2,
        "retries": 0,
        "data_dirs": {"cifar10": Path("images")},
    }


def test_options_of_the_jobs_are_numbers_or_text():
    words = ("timeout_min=600", "mem_gb=1.5", "slurm_partition=gpu", "comment=a=b")
    given = RunnerArguments(runner="slurm", slurm=words, gpus=1)
    assert given.run_options()["parameters"] == {
        "timeout_min": 600,
        "mem_gb": 1.5,
        "slurm_partition": "gpu",
        "comment": "a=b",
    }
    assert given.run_options()["gpus"] == 1
    assert RunnerArguments(runner="ray", ray="head:6379").run_options()["address"] == "head:6379"


@pytest.mark.parametrize("word", ["gpu", "=gpu"])
def test_an_option_of_the_jobs_without_name_or_value_is_refused(word):
    with pytest.raises(InputError, match=rf"must be NAME=VALUE, got '{word}'"):
        RunnerArguments(runner="slurm", slurm=(word,)).run_options()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpus", "1"], "--gpus is for --runner slurm and ray, got --runner local"),
        (["--slurm", "mem_gb=8"], "--slurm is for --runner slurm, got --runner local"),
        (["--runner", "slurm", "--ray", "a:1"], "--ray is for --runner ray, got --runner slurm"),
    ],
)
def test_both_commands_refuse_options_of_another_runner(words, message, tmp_path, capsys):
    grid = tmp_path / "grid.toml"
    grid.write_text('recipe = "mnist-demo"\n')
    folders = ["--out", str(tmp_path / "out")]
    for main, own in (
        (sweep_main, [str(grid), *folders]),
        (reproduce_main, ["fig7", "--scale", "smoke", "--runs", str(tmp_path / "runs"), *folders]),
    ):
        with pytest.raises(SystemExit) as end:
            main([*own, *words])
        assert end.value.code == 2
        assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["grid.toml"]


def test_a_command_ends_with_the_status_of_the_signal(tmp_path, capsys):
    def command():
        with stop_by_signal() as stop:
            assert stop() is None
            raise SweepStopped(tmp_path, 15)

    with pytest.raises(SystemExit) as end:
        command()
    assert end.value.code == 128 + 15
    assert "run the same command to resume" in capsys.readouterr().err
