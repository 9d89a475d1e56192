"""The plans of the experiments: the paper's settings at the scale paper, less at the others."""

from pathlib import Path

import pytest

from sense.config import recipe
from sense.errors import InputError
from sense.reproduce.experiment import SCALES
from sense.reproduce.experiments import EXPERIMENTS, get_plan, plan_cells, transfer_cells
from sense.reproduce.shortened import _text, shortened

TRAINED = [experiment for experiment in EXPERIMENTS.values() if experiment.plans]
# As printed: hyperparameter, WideResNet-34-10, ResNet-20, 32, 44, 56, CNN.
TABLE_1 = """
SGD initial learning rate	0.1	0.1	0.01
Learning rate annealing	Step decay	Step decay	Step decay
Learning rate decay steps	[70,90,100]	[80,140,170]	[80,140,170]
Learning rate decay factor	0.2	0.1	0.1
Weight decay	0.0005	0.0002	0.0002
Training number of epochs	300	200	150
Warmup period	10 epochs	5 epochs	5 epochs
K	10	10	10
eps	8/255	8/255	8/255
a	2/255	2/255	2/255
"""
COLUMNS = ("cifar10-wrn-34-10", "cifar10-resnet", "cifar10-cnn")


def as_printed(config):
    """The options of a recipe in the words of Table 1, in its order."""
    steps = [int(epoch) for epoch in config.milestones]
    return [
        f"{config.lr:g}",
        f"{config.schedule.capitalize()} decay",
        str(steps).replace(" ", ""),
        f"{config.lr_decay:g}",
        f"{config.weight_decay:g}",
        str(config.epochs),
        f"{config.warmup} epochs",
        str(config.steps),
        f"{255 * config.eps:g}/255",
        f"{255 * config.step_size:g}/255",
    ]


@pytest.mark.parametrize(("number", "name"), list(enumerate(COLUMNS, 1)))
def test_recipes_are_those_of_table_1(number, name):
    printed = [line.split("\t")[number] for line in TABLE_1.strip().splitlines()]
    found = recipe(name)
    assert as_printed(found) == printed
    assert (found.optimizer, found.method, found.dataset) == ("sgd", "sense", "cifar10")


# Per experiment at the scale paper: the recipe, and options that the text changes.
CHANGED = {
    "fig9": {("cifar10-wrn-34-10", "sense"): set()},
    "table5": {("cifar10-wrn-34-10", "sense"): {"c", "epochs"}},
    "table6": {("cifar10-resnet", "sense"): {"model"}},
    "table7": {
        ("cifar10-cnn", "sense"): {"c", "model"},
        ("cifar10-cnn", "r-at"): {"model", "lr"},
        ("cifar10-cnn", "nt"): {"model"},
    },
    "table3": {
        ("cifar10-wrn-34-10", "sense"): set(),
        ("mart-cifar10", "mart"): set(),
        ("trades-cifar10", "trades"): set(),
        ("mma-cifar10", "mma"): set(),
        ("iaat-cifar10", "iaat"): set(),
    },
    "fig7": {
        ("mnist", "sense"): {"c", "model"},
        ("mnist", "r-at"): {"model"},
        ("mnist", "nt"): {"model"},
    },
    "mnist": {
        ("mnist", "sense"): set(),
        ("mnist", "r-at"): set(),
        ("mnist", "nt"): set(),
        ("trades-mnist", "trades"): set(),
    },
}


@pytest.mark.parametrize("name", CHANGED)
def test_the_scale_paper_changes_only_what_the_text_changes(name):
    cells = plan_cells(EXPERIMENTS[name].plans["paper"])
    found = {}
    for cell in cells:
        key = (cell.recipe, cell.config.method)
        found.setdefault(key, set()).update(set(cell.options) - {"method", "seed"})
    assert found == CHANGED[name]


def test_values_of_the_paper_are_in_the_plans():
    """Section 5.3.2: the epochs for each c; 5.3.4: the learning rates; figure 7: c and capacity."""
    table5 = plan_cells(EXPERIMENTS["table5"].plans["paper"])
    epochs = {cell.config.c: cell.config.epochs for cell in table5}
    assert epochs == {0.1: 200, 0.3: 200, 0.5: 300, 0.7: 254}
    table7 = plan_cells(EXPERIMENTS["table7"].plans["paper"])
    small = [cell.config for cell in table7 if cell.config.model == "cifar-cnn-1"]
    assert {config.lr for config in small if config.method == "r-at"} == {0.01, 0.05, 0.001}
    figure7 = [cell.config for cell in plan_cells(EXPERIMENTS["fig7"].plans["paper"])]
    values = {(config.c, config.model) for config in figure7 if config.method == "sense"}
    assert values == {(i / 10, f"capacity-{d}") for i in range(10) for d in (1, 2, 3, 4)}


@pytest.mark.parametrize(
    ("name", "steps", "restarts", "step_size", "n"),
    [
        ("table3", 100, 5, 2 / 255, None),
        ("table5", 100, 5, 2 / 255, 1000),
        ("table6", 100, 5, 2 / 255, 1000),
        ("table7", 100, 5, 2 / 255, 1000),
        ("fig9", 100, 20, 2 / 255, 100),
        ("fig8", 500, 20, 0.01, 100),
        ("mnist", 500, 20, 0.01, None),
    ],
)
def test_attacks_are_those_of_table_2_and_the_text(name, steps, restarts, step_size, n):
    for cell in plan_cells(EXPERIMENTS[name].plans["paper"]):
        for settings in cell.settings():
            assert (settings.steps, settings.restarts, settings.n) == (steps, restarts, n)
            assert (settings.step_size, settings.draw) == (step_size, None)
            assert settings.radius == (8 / 255 if cell.config.dataset == "cifar10" else 0.3)


def test_table_4_has_ten_sets_of_pgd_40_from_each_network(tmp_path):
    plan = EXPERIMENTS["table4"].plans["paper"]
    cells = transfer_cells(plan, tmp_path)
    names = {cell.name for cell in plan_cells(plan)}
    assert {cell.name for cell in cells} == names
    for cell in cells:
        own, *others = cell.settings()
        assert own.attacks == ("natural", "pgd")
        assert {settings.source.name for settings in others} == names - {cell.name}
        for settings in (own, *others):
            assert (settings.steps, settings.restarts, settings.step_size) == (40, 10, 2 / 255)


@pytest.mark.parametrize("experiment", TRAINED, ids=lambda one: one.name)
@pytest.mark.parametrize("scale", SCALES)
def test_every_plan_has_valid_cells(experiment, scale):
    """`Cell` checks all options; images, classes and attacks are checked when it runs."""
    plan = get_plan(experiment, scale)
    cells = plan_cells(plan)
    assert cells
    assert all(cell.evaluations for cell in cells)
    assert len({cell.name for cell in cells}) == len(cells)
    if plan.transfer is not None:
        trained = {cell.name for cell in cells}
        assert {cell.name for cell in transfer_cells(plan, Path("runs"))} <= trained


@pytest.mark.parametrize("experiment", TRAINED, ids=lambda one: one.name)
def test_other_scales_say_what_they_shorten(experiment):
    for scale in ("cpu", "smoke"):
        found = shortened(experiment.plans["paper"], experiment.plans[scale])
        assert "epochs" in [row["option"] for row in found] or experiment.name == "cifar10"
        for row in found:
            assert row["here"]
            assert row["paper"] != row["here"]


def test_what_is_shortened_is_computed_from_the_options():
    found = shortened(*(EXPERIMENTS["table6"].plans[scale] for scale in ("paper", "cpu")))
    rows = {row["option"]: (row["paper"], row["here"]) for row in found}
    assert rows["epochs"] == (["200"], ["2"])
    assert rows["steps"] == (["10"], ["5"])
    assert rows["step_size"] == (["2/255"], ["3/255"])
    assert rows["seed of the draw of test images"] == (["the first ones"], ["1"])
    assert "model" not in rows
    assert "c" not in rows
    found = shortened(*(EXPERIMENTS["table4"].plans[scale] for scale in ("paper", "smoke")))
    rows = {row["option"]: (row["paper"], row["here"]) for row in found}
    assert rows["train_size"] == (["all"], ["100"])
    assert rows["steps of PGD"] == (["40"], ["2"])
    assert rows["restarts of PGD"] == (["10"], ["2"])
    assert "attacks" not in rows


def test_seeds_replace_those_of_every_block():
    plan = EXPERIMENTS["table7"].plans["cpu"]
    seeds = {cell.config.seed for cell in plan_cells(plan, 3)}
    assert seeds == {1, 2, 3}
    assert len(plan_cells(plan, 3)) == 3 * len(plan_cells(plan))
    with pytest.raises(
        InputError, match="seeds must be a whole number from 1 to 1,000, got 200,000"
    ):
        plan_cells(plan, 200_000)
    with pytest.raises(InputError, match="seeds must be a whole number from 1 to 1,000, got 0"):
        plan_cells(plan, 0)


def test_experiments_of_a_scale_share_cells():
    """What another table has already is not trained twice."""

    def names(name):
        return {cell.name for cell in plan_cells(EXPERIMENTS[name].plans["cpu"])}

    assert names("table3") == names("table4")
    assert names("fig9") <= names("table5")
    assert len(names("table3") & names("table5")) == 1
    assert names("fig8") <= names("mnist")
    assert names("table7") & names("cifar10")
    assert len(names("cifar10-wrn") - names("table3")) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (8 / 255, "8/255"),
        (0.031, "0.031"),
        (0.0, "0"),
        (0.3, "0.3"),
        ((0.1, 2.0), "0.1 2"),
        ((), "none"),
    ],
)
def test_radii_are_shown_in_levels_and_zero_is_none_of_them(value, text):
    assert _text(value) == text
