"""A wrong evaluation.json is refused, with the names of the wrong fields."""

import copy
import json
from pathlib import Path

import pytest

from conftest import ROOT
from sense.evaluation.outcomes import Outcome
from sense.evaluation.schema import SCHEMA, check_rows, check_schema, with_current_names

STORED = sorted((ROOT / "inst" / "extdata").rglob("evaluation.json"))
FLOATS = ("eps", "seconds", "lower", "upper", "exact_lower", "exact_upper", "level")
WHERE = Path("run/evaluation.json")


@pytest.fixture
def content():
    path = ROOT / "inst/extdata/mnist-robustness/sense/evaluation.json"
    return with_current_names(json.loads(path.read_text()))


def test_a_stored_judgement_is_read_as_diagnostics(content):
    verdicts = {check["check"]: check["verdict"] for check in content["diagnostics"]["checks"]}
    assert verdicts["gradient-free"] == "skipped"  # stored as "not judged"
    assert verdicts["stronger-attack"] == "warning"
    assert "judgement" not in content


@pytest.mark.parametrize("path", STORED, ids=lambda path: str(path.parent.relative_to(ROOT)))
def test_stored_evaluations_fit_the_schema(path):
    check_schema(with_current_names(json.loads(path.read_text())), path)


def places(form, content, above=()):
    for name in content if "*" in form else form:
        expected = form["*"] if "*" in form else form[name]
        yield (*above, name)
        if isinstance(expected, dict):
            yield from places(expected, content[name], (*above, name))


def test_each_field_is_required_and_its_type_checked(content):
    """Every place that is used: without it, and with a value that it cannot have."""
    found = list(places(SCHEMA, content))
    assert len(found) > 50
    for place in found:
        *above, last = place
        any_name = above in (["attacks"], ["accuracy"])  # one less is another evaluation
        for odd in (
            "\0odd" if any_name else KeyError,
            "\0odd",
            [],
            {"odd": 1},
            -1,
            10**400,
            float("nan"),
        ):
            other = copy.deepcopy(content)
            parent = other
            for name in above:
                parent = parent[name]
            if odd is KeyError:
                del parent[last]
            elif isinstance(odd, type(parent[last])) or last in ("curve", "convergence", "config"):
                continue  # a text may be any, and an object is looked into
            elif odd == -1 and last in FLOATS:
                continue
            else:
                parent[last] = odd
            with pytest.raises(ValueError, match=r"run/evaluation.json is damaged.*--overwrite"):
                check_schema(other, WHERE)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda c: c["attacks"]["pgd"].pop("eps"), "attacks.pgd.eps"),
        (lambda c: c["attacks"]["pgd"].update(norm="3"), "attacks.pgd.norm"),
        (lambda c: c["accuracy"]["pgd"].update(k=10**6), "accuracy.pgd.k"),
        (lambda c: c["accuracy"]["pgd"].update(n=0, k=0), "accuracy.pgd.k"),
        (lambda c: c["target"]["config"].pop("seed"), "target.config.seed"),
        (lambda c: c["diagnostics"]["checks"][0].pop("verdict"), "diagnostics.checks"),
        (lambda c: c.update(diagnostics=[]), "diagnostics.checks"),
    ],
)
def test_the_wrong_field_is_named(content, change, place):
    change(content)
    with pytest.raises(ValueError, match=rf"see its {place}\. Evaluate again"):
        check_schema(content, WHERE)


def rows(*attacks, images=(0, 1, 2)):
    return [Outcome(image, 3, attack, 3, 1) for attack in attacks for image in images]


@pytest.mark.parametrize(
    "outcomes",
    [
        [],
        rows("pgd"),
        rows("natural", "magic"),
        rows("natural", images=(0, 1)),
        rows("natural") + rows("pgd", images=(0, 0, 1)),
        rows("natural") + rows("pgd", images=(0, 1, 7)),
        rows("natural") + rows("pgd", images=(0, 1)),
        [*rows("natural"), *rows("pgd", images=(0, 1)), Outcome(2, 5, "pgd", 5, 1)],
    ],
    ids=[
        "none",
        "no natural",
        "another attack",
        "an image less",
        "one twice",
        "another image",
        "one left out",
        "another label",
    ],
)
def test_rows_are_those_of_the_evaluation(outcomes):
    content = {"attacks": {"natural": {}, "pgd": {}}, "data": {"n": 3}}
    check_rows(rows("natural", "pgd"), content, Path("run"))
    with pytest.raises(ValueError, match=r"run has other rows than its evaluation\.json"):
        check_rows(outcomes, content, Path("run"))
