"""The numbers of the paper in paper.csv."""

from collections import Counter

import pytest

from paper_numbers import LINES, paper_value
from sense.models import check_model_name
from sense.reproduce.experiments import EXPERIMENTS


def value(**columns) -> float:
    return float(paper_value(**columns))


def test_each_table_has_all_its_cells():
    """Rows by columns of the printed tables, and the statements of section 5.2.1."""
    assert Counter(line["experiment"] for line in LINES) == {
        "mnist": 2,
        "fig7": 8,
        "table3": 5 * 4,
        "table4": 5 * 5,
        "table5": 2 * 4,
        "table6": 2 * 4,
        "table7": 4 * 5,
    }


def test_no_number_stands_twice():
    keys = [tuple(v for k, v in line.items() if k not in ("value", "qualifier")) for line in LINES]
    assert len(set(keys)) == len(keys)


def test_the_corners_of_the_tables_are_as_printed():
    assert value(experiment="table3", method="mart", attack="natural") == 83.62
    assert value(experiment="table3", method="sense", attack_label="PGD-100 x 5") == 49.14
    assert value(experiment="table4", method="mart", source="sense") == 72.84
    assert value(experiment="table4", method="sense", source="mart") == 71.46
    assert value(experiment="table5", c="0.1", attack="natural") == 89.10
    assert value(experiment="table5", c="0.7", attack="pgd") == 49.40
    assert value(experiment="table6", model="resnet20", attack="natural") == 87.50
    assert value(experiment="table6", model="resnet56", attack="pgd") == 34.30
    assert value(experiment="table7", model="cifar-cnn-1", c="0.1", attack="natural") == 57.9
    assert value(experiment="table7", model="cifar-cnn-2", method="nt", attack="pgd") == 0.0


def test_what_the_text_says_of_the_tables_holds_for_the_numbers():
    """DeepFool is above natural for MMA-12; each network is worst against its own PGD-40; SENSE-AT
    has the highest natural accuracy."""
    natural = {
        line["method"]: float(line["value"])
        for line in LINES
        if line["experiment"] == "table3" and line["attack"] == "natural"
    }
    assert max(natural, key=natural.__getitem__) == "sense"
    assert value(experiment="table3", method="mma", attack="deepfool") > natural["mma"]
    for method in natural:
        row = {
            line["source"]: float(line["value"])
            for line in LINES
            if line["experiment"] == "table4" and line["method"] == method
        }
        assert min(row, key=row.__getitem__) == method


def test_only_a_collapse_has_no_number():
    for line in LINES:
        assert (line["value"] == "") == (line["qualifier"] == "collapse")
        assert line["qualifier"] in ("", "about", "more than", "collapse")


@pytest.mark.parametrize("experiment", sorted({line["experiment"] for line in LINES}))
def test_names_are_those_of_the_package(experiment):
    assert experiment in EXPERIMENTS
    for line in LINES:
        if line["experiment"] == experiment and line["model"]:
            check_model_name(line["model"])
