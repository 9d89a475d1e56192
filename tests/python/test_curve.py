import csv

import pytest
import torch

from networks import linear_network
from sense.evaluation.batches import cut
from sense.evaluation.curve import CURVE, CURVE_OUTCOMES, extend_curve, write_curve
from sense.evaluation.outcomes import Record
from sense.evaluation.settings import Settings
from sense.statistics import wilson

RADII = (0.0, 0.01, 0.02, 0.05)


@pytest.fixture
def linear():
    """A network whose robust accuracy has a closed form: w'x changes by eps |w|_1 and no more."""
    torch.manual_seed(7)
    w = torch.randn(16)
    w = w - w.mean()
    x = 0.3 + 0.4 * torch.rand(100, 1, 4, 4)  # no bound is reached
    score = x.flatten(1) @ w
    y = (score > 0).long()
    y[:5] = 1 - y[:5]
    model = torch.nn.Sequential(torch.nn.Flatten(), linear_network(w))
    robust = {eps: (score.abs() > eps * w.abs().sum()) & ((score > 0).long() == y) for eps in RADII}
    return model, cut(range(100), x, y, 30, torch.device("cpu")), y, robust


def settings(**options):
    return Settings(
        **{"eps": 0.3, "steps": 10, "restarts": 1, "batch": 30, "curve": RADII[::-1], **options}
    ).complete(None, None)


def test_the_curve_of_a_linear_network_is_the_computed_one(linear, locked, tmp_path):
    model, batches, y, robust = linear
    record = Record(range(100), y.tolist(), 30, key="eps")
    done = []
    extend_curve(model, batches, settings(), record, done.append)
    assert done == [30, 30, 30, 10] * 4
    for eps in RADII:
        assert record.standing([repr(eps)]) == robust[eps].tolist()
    assert 5 < sum(robust[0.05]) < sum(robust[0.0]) == 95
    write_curve(locked, record)
    rows = list(csv.DictReader((tmp_path / CURVE).read_text().splitlines()))
    assert [float(row["eps"]) for row in rows] == list(RADII)
    for row, eps in zip(rows, RADII, strict=True):
        expected = wilson(int(robust[eps].sum()), 100)
        assert (int(row["k"]), int(row["n"])) == expected[:2]
        found = [float(row[name]) for name in ("estimate", "lower", "upper")]
        assert found == [expected.estimate, expected.lower, expected.upper]


def test_cut_after_any_batch_the_curve_is_the_same(linear, locked):
    model, batches, y, _ = linear
    some = settings(steps=1, curve=(0.01, 0.02))
    whole = Record(range(100), y.tolist(), 30, key="eps")
    extend_curve(model, batches, some, whole)

    def in_file():
        return Record(range(100), y.tolist(), 30, locked, CURVE_OUTCOMES, "eps")

    for most in (1, 4, 6):
        locked.remove([CURVE_OUTCOMES])
        left = iter(range(most))

        def stop(_, left=left):
            if next(left, None) is None:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            extend_curve(model, batches, some, in_file(), stop)
        again = in_file()
        extend_curve(model, batches, some, again)
        assert again.outcomes() == whole.outcomes()
