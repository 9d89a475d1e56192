"""The time that is left of a sweep."""

import json

import pytest

from sense.evaluation.stored_evaluation import evaluate_run
from sense.run_folder import RunFolder
from sense.runs import METRICS, read_metrics
from sense.sweep.times import Times
from sense.train import TrainingStopped, fit
from sweeps import cell


def set_seconds(run, seconds):
    lines = [line | {"seconds": seconds} for line in read_metrics(run)]
    with RunFolder(run) as folder:
        folder.lock()
        folder.write({METRICS: "".join(json.dumps(line) + "\n" for line in lines)})


@pytest.fixture
def begun(tmp_path):
    """Make a cell with one of three epochs, which took so many seconds."""

    def make(one, seconds):
        stops = iter([None] * 2 + [15])
        with pytest.raises(TrainingStopped):
            fit(one.config, tmp_path / one.name, stop=lambda: next(stops))
        assert len(read_metrics(tmp_path / one.name)) == 1
        set_seconds(tmp_path / one.name, seconds)
        return one

    return make


def small(evaluations=(), **options):
    """Two steps an epoch."""
    return cell(evaluations, epochs=3, batch_size=100, **options)


def test_no_time_is_known_before_the_first_epoch(tmp_path):
    times = Times([small()], tmp_path, 1)
    assert times.left() is None
    assert (times.epochs(), times.completed(), times.done()) == (3, 0, 0)


def test_epochs_take_as_long_as_those_of_cells_of_the_same_kind(begun, tmp_path):
    slow, fast = begun(small(), 10.0), begun(small(method="nt"), 1.0)
    cells = [slow, fast, small(seed=2), small(method="nt", seed=2), small(method="trades")]
    times = Times(cells, tmp_path, 2)
    # 2 of 3 epochs are left of the first two; trades is of no kind that was measured.
    work = 2 * 10 + 2 * 1 + 3 * 10 + 3 * 1 + 3 * 5.5
    assert times.left() == pytest.approx(work / 2)
    assert (times.epochs(), times.completed()) == (15, 2)
    assert Times(cells, tmp_path, 100).left() == pytest.approx(30), "the longest cell"


def test_evaluations_take_as_long_as_those_that_are_complete(tmp_path):
    done, other = cell(method="nt"), cell(method="nt", seed=2)
    for one in (done, other):
        fit(one.config, tmp_path / one.name)
        set_seconds(tmp_path / one.name, 1.0)
    assert Times([done, other], tmp_path, 1).left() is None
    content = evaluate_run(tmp_path / done.name, done.settings()[0])
    seconds = sum(entry["seconds"] for entry in content["attacks"].values())
    assert seconds > 0
    times = Times([done, other], tmp_path, 1)
    assert times.done() == 1
    assert times.left() == pytest.approx(seconds)


def test_a_run_that_cannot_be_read_has_no_time(begun, tmp_path):
    one = begun(small(), 10.0)
    (tmp_path / one.name / METRICS).write_text("damaged")
    assert Times([one], tmp_path, 1).left() is None
