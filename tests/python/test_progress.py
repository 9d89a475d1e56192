import math

import pytest
import torch

from sense.methods import Step
from sense.progress import BatchMetrics, TrainingProgress, epoch_line

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


def test_sums_of_an_epoch():
    progress = TrainingProgress()
    stages = torch.tensor([0, 2, 1, 2], dtype=torch.uint8)
    gaps = {"stage_b_gap": torch.tensor([NAN, NAN, 0.25, NAN])}
    progress.add(BatchMetrics.of(Step(torch.tensor(1.0), stages, gaps), 4), 0.5)
    more = {"stage_b_gap": torch.tensor([NAN, 0.5])}
    progress.add(BatchMetrics.of(Step(torch.tensor(3.0), stages[:2], more), 2), 0.5)
    assert progress.loss == pytest.approx(4 * 1 + 2 * 3)
    assert progress.stage_counts() == {"stage_a": 2, "stage_b": 1, "stage_c": 3}
    assert progress.epoch_means() == {"stage_b_gap": pytest.approx(0.375)}
    progress.end_epoch({})
    assert (progress.epoch, progress.step, progress.epoch_means()) == (1, 0, {})


def test_sums_over_processes():
    """Another process has twice as much of all, a third has an image that counts for nothing."""
    stages, gaps = torch.tensor([0, 2, 1], dtype=torch.uint8), torch.tensor([NAN, NAN, 0.25])
    step = Step(torch.tensor(1.5), stages, {"stage_b_gap": gaps})
    assert BatchMetrics.of(step, 3, lambda numbers: [3 * number for number in numbers]) == (
        13.5,
        9,
        [3, 3, 3],
        {"stage_b_gap": [0.75, 3]},
    )
    assert BatchMetrics.of(step, 0) == (0.0, 0, [0, 0, 0], {"stage_b_gap": [0.0, 0]})


def test_a_mean_over_no_image_is_none():
    progress = TrainingProgress()
    step = Step(torch.tensor(1.0), None, {"stage_b_gap": torch.tensor([NAN, NAN])})
    progress.add(BatchMetrics.of(step, 2), 0.1)
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
