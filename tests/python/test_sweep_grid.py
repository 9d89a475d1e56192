"""Grids: which cells a file has, what they are called, and what is refused before anything runs."""

import re
from pathlib import Path

import pytest

from conftest import ROOT
from sense.cli import train_options
from sense.config import RECIPES, from_plain
from sense.config.options import option_types, runtime_options, used_by
from sense.errors import InputError
from sense.sweep import Cell, State, grid_cells, read_grid
from sense.sweep.cells import MAX_NAME
from sense.sweep.commands import arguments, evaluate_command, resume_command, train_command

GRID = """
recipe = "cifar10-cnn"
[options]
epochs = 20
schedule = "one-cycle"
[grid]
method = ["r-at", "sense"]
c = [0.3, 0.5]
seed = [1, 2, 3]
[evaluation]
attacks = ["pgd"]
n = 1000
[[also]]
options = {boundary = "bisect", method = "sense"}
grid = {c = [0.3, 0.5], seed = [1]}
"""
BASE = "cifar10-cnn_{}_epochs-20_schedule-one-cycle_seed-{}"


def written(tmp_path, text):
    path = tmp_path / "grid.toml"
    path.write_text(text)
    return path


def test_a_grid_has_every_combination_and_unused_options_make_no_cell(tmp_path):
    cells = read_grid(written(tmp_path, GRID))
    expected = [BASE.format("r-at", seed) for seed in (1, 2, 3)]
    expected += [BASE.format(f"sense_c-{c}", seed) for c in (0.3, 0.5) for seed in (1, 2, 3)]
    expected += [BASE.format(f"sense_c-{c}_boundary-bisect", 1) for c in (0.3, 0.5)]
    assert [cell.name for cell in cells] == expected
    assert all(cell.evaluations == ({"attacks": ["pgd"], "n": 1000},) for cell in cells)
    assert cells[0].config == from_plain(
        {"method": "r-at", "epochs": 20, "schedule": "one-cycle"}, RECIPES["cifar10-cnn"]
    )


def test_blocks_have_their_own_recipe_grid_and_evaluation():
    cells = grid_cells(
        {
            "options": {"epochs": 2},
            "evaluation": {"n": 10},
            "also": [
                {"recipe": "mnist-demo", "grid": {"method": ["nt", "r-at"]}},
                {"recipe": "mnist", "options": {"epochs": 3}, "evaluation": [{}, {"n": 20}]},
                {"recipe": "cifar10-cnn", "evaluation": [], "options": {"schedule": "constant"}},
            ],
        }
    )
    assert [(cell.name, list(cell.evaluations)) for cell in cells] == [
        ("mnist-demo_nt_epochs-2_seed-1", [{"n": 10}]),
        ("mnist-demo_r-at_epochs-2_seed-1", [{"n": 10}]),
        ("mnist_sense_epochs-3_seed-1", [{}, {"n": 20}]),
        ("cifar10-cnn_sense_epochs-2_schedule-constant_seed-1", []),
    ]


def test_equal_trainings_are_one_cell_with_all_evaluations():
    cells = grid_cells(
        {
            "recipe": "mnist-demo",
            "evaluation": {"n": 10},
            "options": {"threads": 1},
            "grid": {"method": ["nt"], "seed": [1, 1]},
            "also": [
                {"options": {"method": "nt", "c": 0.1, "threads": 2}},
                {"options": {"method": "nt"}, "evaluation": {"n": 20}},
                # Natural weight 0 is the default of r-at.
                {"options": {"method": "r-at", "natural_weight": 0}},
                {"options": {"method": "r-at", "random_start": True}},
                {"options": {"method": "sense"}},
            ],
        }
    )
    assert [(cell.name, list(cell.evaluations)) for cell in cells] == [
        ("mnist-demo_nt_seed-1", [{"n": 10}, {"n": 20}]),
        ("mnist-demo_r-at_seed-1", [{"n": 10}]),
        ("mnist-demo_sense_seed-1", [{"n": 10}]),
    ]


def test_equal_trainings_on_data_in_different_folders_are_refused(tmp_path):
    blocks = [{"options": {"data_dir": str(tmp_path / name)}} for name in "ab"]
    with pytest.raises(
        InputError, match=r"differ only in data_dir \(.*a and .*b\).* another --out"
    ):
        grid_cells({"also": blocks})
    with pytest.raises(InputError, match="differ only in data_dir"):
        grid_cells({"also": [blocks[0], {"options": {"seed": 1}}]})
    assert len(grid_cells({"also": [blocks[0], blocks[0]]})) == 1
    blocks[1]["options"]["seed"] = 2
    assert len(grid_cells({"also": blocks})) == 2


def test_minus_zero_is_zero():
    (cell,) = grid_cells({"grid": {"c": [-0.0, 0.0]}})
    assert "_c-0_" in cell.name
    assert Cell("mnist", {"schedule": "step", "milestones": [-0.0]}).training["milestones"] == [0]


def test_relative_paths_are_taken_from_the_folder_of_the_grid(tmp_path, monkeypatch):
    place = tmp_path / "grids"
    place.mkdir()
    grid = "[options]\ndata-dir = 'data'\n[evaluation]\nattacks = ['transfer']\nsource = 'runs/a'"
    path = written(place, grid)
    for name in (path, Path("grids/grid.toml")):
        monkeypatch.chdir(tmp_path)
        (cell,) = read_grid(name)
        assert cell.config.data_dir == place / "data"
        assert cell.evaluations[0]["source"] == str(place / "runs/a")
    made = Cell("mnist", evaluations=[{"attacks": ["transfer"], "source": "runs/a"}])
    assert made.evaluations[0]["source"] == str(tmp_path / "runs/a")


def test_runtime_options_are_no_part_of_the_name_and_kept():
    plain, elsewhere = Cell("mnist"), Cell("mnist", {"threads": 2, "device": "cpu"})
    assert plain.name == elsewhere.name
    assert plain.training == elsewhere.training
    assert elsewhere.options == {"device": "cpu", "threads": 2}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"eps": 8 / 255, "step_size": "3/255"}, "eps-8-255ths_step-size-3-255ths"),
        ({"eps": 0.1 + 0.2}, "eps-0.30000000000000004"),
        ({"lr": 1e-5, "nesterov": True}, "lr-1e-05_nesterov"),
        ({"random_start": True}, "random-start"),
        ({"schedule": "step", "milestones": [0.5, 8]}, "schedule-step_milestones-0.5+8"),
        ({"precision": "None"}, "precision-none"),
        ({"model": "mine.nets:Wide_Net"}, "model-mine.nets-Wide-Net"),
        ({"norm": 2}, "norm-2"),
    ],
)
def test_values_in_names(options, name):
    assert Cell("mnist-demo", options).name == f"mnist-demo_sense_{name}_seed-1"


def test_a_long_name_ends_with_a_checksum():
    options = {"schedule": "step", "milestones": [i / 1000 for i in range(1, 60)]}
    first, second = (Cell("mnist", {**options, "lr_decay": decay}) for decay in (0.2, 0.3))
    assert len(first.name) == len(second.name) == MAX_NAME
    assert first.name != second.name
    assert first.name[:-8] == second.name[:-8]


def test_without_a_recipe_a_cell_has_that_of_the_data():
    assert Cell(None, {"dataset": "mnist"}).name == "mnist-demo_sense_dataset-mnist_seed-1"
    cifar10 = Cell(None, {"dataset": "cifar10"})
    assert cifar10.name == "cifar10-demo_sense_train-size-none_seed-1"
    assert cifar10.config.train_size is None


VALUES = {  # another value of each option than that of the recipe mnist-demo
    "dataset": "mnist", "data_dir": "somewhere", "train_size": 100, "augment": "shift",
    "model": "capacity-1", "method": "trades", "eps": "8/255", "eval_eps": 0.2, "step_size": 0.01,
    "steps": 3, "norm": "2", "eps_ramp": 1, "eps_start": 0.1, "random_start": True,
    "attack_mode": "training", "c": 0.2, "stage_test": "start", "boundary": "noise",
    "l2_form": "published", "bisections": 3,
    "warmup": 1, "natural_weight": 0.5, "beta": 2, "d_max": 0.2, "eps_min": 0.05, "gamma": 0.01,
    "radius_rate": 0.2, "radius_max": 0.5, "fgsm_step": 0.1, "noise_scale": 1.5, "replays": 2,
    "class_weights": [1, 2], "pretrain": 0, "epochs": 4, "batch_size": 7, "optimizer": "adam",
    "lr": 1e-4, "momentum": 0.5, "nesterov": True, "weight_decay": 1e-4, "label_smoothing": 0.1,
    "ema": 0.99, "awp": 0.01, "awp_warmup": 1, "schedule": "step", "milestones": [0.5, 0.75],
    "lr_decay": 0.3, "milestone_lrs": [0.1, 0.05], "seed": 5, "device": "cpu", "threads": 1,
    "precision": None, "cuda_graphs": "off", "validation_size": 100, "keep": "best",
    "monitor_size": 16,
}  # fmt: skip
NEEDS = {
    "eps_start": ["eps_ramp"],
    "norm": [],
    "awp_warmup": ["awp"],
    "schedule": ["milestones"],
    "milestones": ["schedule"],
    "lr_decay": ["schedule", "milestones"],
    "milestone_lrs": ["schedule", "milestones"],
    "keep": ["validation_size"],
}


@pytest.mark.parametrize("option", sorted(set(option_types()) - {"minutes"}))
def test_the_command_of_a_cell_trains_with_its_options(option):
    names = [option, *NEEDS.get(option, [])]
    options = {name: VALUES[name] for name in names}
    methods = used_by(option)
    if methods and "sense" not in methods:
        options["method"] = methods[0]
    cell = Cell("mnist-demo", options)
    module, name, *words = train_command(cell, Path("run"), {})
    assert (module, name) == ("-m", "sense.train")
    plain, folder, resume, named, code = train_options(words)
    assert from_plain(plain) == cell.config
    assert (folder, resume, named, code) == ("run", False, True, {})
    assert option in cell.options
    assert (option.replace("_", "-") in cell.name) or option in (*runtime_options(), "method")


def test_options_of_where_it_runs_replace_those_of_the_cell():
    cell = Cell("mnist", {"threads": 2})
    words = train_command(cell, Path("run"), {"threads": 1, "data_dir": "there"})
    assert words[2:] == ["mnist", "--threads", "1", "--data-dir", "there", "--out", "run"]


def test_names_of_code_are_given_again_when_a_run_is_resumed_or_evaluated():
    cell = Cell("mnist", {"model": "a:b", "method": "c:d"}, [{"attacks": ["pgd", "e:f"]}])
    resumed = resume_command(cell, Path("run"), {"threads": 1})
    assert resumed[2:] == ["--resume", "run", "--model", "a:b", "--method", "c:d", "--threads", "1"]
    evaluated = evaluate_command(cell, cell.evaluations[0], Path("run"), {"threads": 1})
    assert evaluated[2:] == ["run", "--attacks", "pgd", "e:f", "--model", "a:b", "--threads", "1"]


def test_an_evaluation_has_the_radius_for_which_robustness_is_claimed():
    cell = Cell("mnist", {"eps": 0.34, "eval_eps": 0.3}, [{}, {"eps": 0.1}])
    assert [settings.eps for settings in cell.settings()] == [0.3, 0.1]


def test_flags_of_an_evaluation():
    assert arguments({"cascade": True, "diagnostics": False}, {}) == [
        "--cascade",
        "--no-diagnostics",
    ]


REFUSED = {
    'recipe = "cifar-cnn"': "recipe must be one of .* got 'cifar-cnn'",
    "epochs = 3": "unknown entry epochs: .* options of training belong under",
    "[options]\nepoch = 3": "unknown option epoch: epochs\\?",
    "[options]\nepochs = 0": "epochs must be .* got 0",
    "[grid]\nsed = [1]": "unknown option sed in the grid: seed\\?",
    "[grid]\nseed = 1": r"seed in the grid must be a list of values, such as \[1, 2\], got 1",
    "[grid]\nseed = []": r"seed in the grid must be a list of values, .* got \[\]",
    "[grid]\nseed = ['x']": "seed must be a whole number, got 'x'",
    "[grid]\nthreads = [1, 2]": r"threads cannot be in the grid, .*options\], got \[1, 2\]",
    "[options]\nseed = 1\n[grid]\nseed = [1]": r"seed is both in the options \(1\) and in the grid",
    "[grid]\nmethod = ['nt', 'r-at']\nc = [0.1]": r"no method there uses it \(nt, r-at\): leave it",
    "[options]\nmethod = 'nt'\nc = 0.5": r"c is in the options, but no method there uses it \(nt\)",
    "[options]\nc = 0.5\n[[also]]\noptions = {method = 'nt'}": "c is in the options, but no",
    "[[also]]\noptions = {method = 'nt', c = 0.5}\n[[also]]\noptions = {method = 'r-at'}": (
        r"c is in the options, but no method there uses it \(nt, r-at\)"
    ),
    "[options]\nbatch-size = 5\nbatch_size = 6": "options has batch_size twice, with - and with _",
    "[grid]\nbatch-size = [5]\nbatch_size = [6]": "grid has batch_size twice",
    "[grid]\nseed = [1]\n[evaluation]\nstep-size = 0.1\nstep_size = 0.2": "step_size twice",
    "[options]\nminutes = 3": "minutes must be left out of a sweep: .* got 3. Set epochs",
    "[options]\ndataset = 'arrays'": "dataset must be one .* in a sweep, got arrays",
    "[grid]\nseed = [1]\n[evaluation]\nattack = ['pgd']": "unknown option attack",
    "[grid]\nseed = [1]\n[evaluation]\nattacks = ['deepfool-l2']": "deepfool-l2 needs the radius",
    "[grid]\nseed = [1]\n[evaluation]\nattacks = ['pdg']": "attacks must be one of .* got 'pdg'",
    "[grid]\nseed = [1]\n[evaluation]\neps = 8": "eps must be at most 1 for norm inf",
    "[[also]]\nrecipes = 'mnist'": r"\[\[also\]\] 1: unknown entry recipes",
    "also = 3": r"also must be tables, \[\[also\]\], got 3",
    "options = 3": "options must be a table of options by name, got 3",
    "evaluation = 3\n[options]\nseed = 1": "evaluation must be a table of options by name, got 3",
    "": "there is no cell: give options or a grid",
    "recipe = ": "is not TOML",
    "[grid]\nseed = [%s]\nlr = [%s]" % ((",".join(["1"] * 400),) * 2): "160,000 combinations",
    "[options]\nmodel = 'os:getcwd'": "it names os:getcwd, code .* --code os:getcwd",
    "[options]\nmethod = 'os:getcwd'": "it names os:getcwd, code .* --code os:getcwd",
    "[options]\nseed = 1\n[evaluation]\nattacks = ['os:getcwd']": "it names os:getcwd, code",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40].replace("\n", " "))
def test_a_grid_that_cannot_be_run_is_refused(tmp_path, text):
    path = written(tmp_path, text)
    with pytest.raises(InputError, match=REFUSED[text]) as raised:
        read_grid(path)
    assert str(path) in str(raised.value)


def test_code_that_the_user_names_is_allowed(tmp_path):
    (cell,) = read_grid(written(tmp_path, "[options]\nmodel = 'os:getcwd'"), ["os:getcwd"])
    assert cell.config.model == "os:getcwd"


def test_a_missing_grid_is_an_error_of_the_input(tmp_path):
    with pytest.raises(InputError, match=r"cannot read .*grid\.toml"):
        read_grid(tmp_path / "grid.toml")


PAGE = (ROOT / "docs/sweeps.md").read_text()


def test_the_grids_of_the_page_have_the_cells_that_it_says(tmp_path):
    first, also = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S)
    assert len(read_grid(written(tmp_path, first))) == 9
    assert "This grid has nine cells" in PAGE
    cells = read_grid(written(tmp_path, first + also))
    assert len(cells) == 11
    assert cells[6].name in PAGE


def test_the_page_names_every_state():
    states = re.findall(r"^\| (not begun|[a-z]+|in use) \|", PAGE.split("--list` shows")[1], re.M)
    assert [state for state in states if state != "state"] == [state.value for state in State]
