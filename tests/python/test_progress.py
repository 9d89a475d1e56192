import math

import pytest
import torch

from sense.distributed import OneProcess
from sense.methods import Step
from sense.progress import BatchMetrics, LateMetrics, TrainingProgress, epoch_line, sums

NAN = math.nan
LINE = {
    "epoch": 3,
    "phase": "train",
    "loss": 0.5,
    "monitored": 200,
    "monitored_on": "validation",
    "natural_correct": 100,
    "robust_correct": 50,
    "seconds": 1.25,
}


def metrics(step, images):
    return BatchMetrics.from_sums(step, sums(step, images).tolist())


def test_sums_of_an_epoch():
    progress = TrainingProgress()
    stages = torch.tensor([0, 2, 1, 2], dtype=torch.uint8)
    gaps = {"stage_b_gap": torch.tensor([NAN, NAN, 0.25, NAN])}
    progress.add(metrics(Step(torch.tensor(1.0), stages, gaps), 4))
    more = {"stage_b_gap": torch.tensor([NAN, 0.5])}
    progress.add(metrics(Step(torch.tensor(3.0), stages[:2], more), 2))
    progress.end_step(0.5)
    progress.end_step(0.75)
    assert (progress.step, progress.seconds) == (2, 1.25)
    assert progress.loss == pytest.approx(4 * 1 + 2 * 3)
    assert progress.stage_counts() == {"stage_a": 2, "stage_b": 1, "stage_c": 3}
    assert progress.epoch_means() == {"stage_b_gap": pytest.approx(0.375)}
    progress.end_epoch({})
    assert (progress.epoch, progress.step, progress.epoch_means()) == (1, 0, {})


class Threefold(OneProcess):
    """Stands for several processes: another has twice as much of all, a third has an image that
    counts for nothing."""

    def sum(self, numbers):
        return [3 * number for number in numbers]


def test_sums_over_processes():
    stages, gaps = torch.tensor([0, 2, 1], dtype=torch.uint8), torch.tensor([NAN, NAN, 0.25])
    step = Step(torch.tensor(1.5), stages, {"stage_b_gap": gaps})
    late = LateMetrics(Threefold(size=3))
    late.add(step, 3, 0.5)
    expected = (13.5, 9, [3, 3, 3], {"stage_b_gap": [0.75, 3]})
    assert list(late.take()) == [(expected, 0.5, True)]
    assert metrics(step, 0) == (0.0, 0, [0, 0, 0], {"stage_b_gap": [0.0, 0]})


class NotReady:
    """A value that is on its way until it is waited for."""

    def __init__(self, tensor):
        self.values = tensor.tolist()

    def is_ready(self):
        return False

    def read(self):
        return self.values


def test_metrics_arrive_late_and_in_order(monkeypatch):
    monkeypatch.setattr("sense.progress.LateValue", NotReady)
    monkeypatch.setattr("sense.progress.MOST_WAITING", 3)
    late = LateMetrics(OneProcess())
    taken = []
    for i in range(5):
        late.add(Step(torch.tensor(float(i))), 2, i / 10)
        taken.append([metrics.loss for metrics, *_ in late.take()])
    assert taken == [[], [], [], [0.0], [2.0]]
    assert [when for _, when, _ in late.take(wait=True)] == [0.2, 0.3, 0.4]
    assert list(late.take(wait=True)) == []


def test_from_a_cpu_metrics_are_there_at_once():
    late = LateMetrics(OneProcess())
    loss = torch.tensor(2.0)
    late.add(Step(loss), 3, 0.0)
    loss.zero_()
    assert [metrics.loss for metrics, *_ in late.take()] == [6.0]


def test_a_mean_over_no_image_is_none():
    progress = TrainingProgress()
    step = Step(torch.tensor(1.0), None, {"stage_b_gap": torch.tensor([NAN, NAN])})
    progress.add(metrics(step, 2))
    assert progress.epoch_means() == {"stage_b_gap": None}


def test_the_line_of_an_epoch():
    line = epoch_line([{**LINE, "stage_a": 1, "stage_b": 2, "stage_c": 3, "stage_b_gap": 0.125}], 3)
    assert line == (
        "epoch   3/3  train     loss 0.5000  natural  50.0 %  robust  25.0 %"
        " (n = 200 validation images)"
        "  A 1  B 2  C 3  B below log(1/c) 0.1250  1.2 s"
    )
    assert "radius 0.0314" in epoch_line([{**LINE, "radius": 0.0314}], 10)
    assert "below" not in epoch_line([{**LINE, "stage_b_gap": None}], 10)


@pytest.mark.parametrize(
    ("seconds", "left"), [(2, "about 14 s"), (60, "about 7 min"), (3600, "about 7.0 h")]
)
def test_the_time_left_is_that_of_the_last_three_epochs_of_the_method(seconds, left):
    pretrain = {**LINE, "epoch": 1, "phase": "pretrain", "seconds": 1000.0}
    first = {**LINE, "epoch": 2, "seconds": 1000.0}
    last = [{**LINE, "epoch": i, "seconds": seconds + i - 4} for i in (3, 4, 5)]
    assert epoch_line([pretrain, first, *last], 12).endswith(
        f"{last[-1]['seconds']:.1f} s, {left} left"
    )
    assert epoch_line([pretrain], 12).endswith("1000.0 s")
    assert "left" not in epoch_line([pretrain, first, *last], 5)
