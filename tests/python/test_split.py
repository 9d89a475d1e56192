"""Stratified splits are drawn with the seed."""

import pytest
import torch

from sense.data.split import hold_out, stratified_sample
from sense.errors import InputError

LABELS = {
    "sorted": torch.arange(4).repeat_interleave(50),
    "alternating": torch.arange(4).repeat(50),
    "unequal": torch.tensor([0] * 150 + [1] * 40 + [2] * 9 + [3]),
    "two classes": torch.tensor([0] * 60 + [1] * 140),
    "a label that none has": torch.tensor([0] * 100 + [2] * 100),
}


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("n", [0, 1, 7, 40, 100])
def test_each_class_is_held_out_in_proportion_and_no_image_is_in_both_parts(y, n):
    kept, held = hold_out(y, n, seed=1)
    assert len(held) == n
    assert torch.equal(torch.cat([kept, held]).sort().values, torch.arange(len(y)))
    assert kept.tolist() == sorted(kept.tolist())
    assert held.tolist() == sorted(held.tolist())
    counts = torch.bincount(y)
    part = torch.bincount(y[held], minlength=len(counts))
    assert ((part - n * counts / len(y)).abs() < 1 + (counts == 1)).all()
    assert (torch.bincount(y[kept], minlength=len(counts)) >= (counts > 0)).all()


def test_the_split_depends_only_on_the_seed():
    y = LABELS["sorted"]
    state = torch.get_rng_state()
    first, again, other = (hold_out(y, 40, seed)[1] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_images_of_a_class_are_equally_likely():
    y = torch.zeros(6, dtype=torch.int64)
    counts = torch.zeros(6)
    for seed in range(600):
        counts[hold_out(y, 2, seed)[1]] += 1
    assert (counts > 150).all()  # 200 each: five standard deviations are 58
    assert (counts < 250).all()


@pytest.mark.parametrize(
    ("y", "n", "most"), [([0, 0, 1, 1], 3, 2), ([0, 1, 2], 1, 0), ([0] * 5, 9, 4)]
)
def test_too_few_images_are_rejected_with_a_remedy(y, n, most):
    with pytest.raises(
        InputError, match=rf"at most {most} of these {len(y)} .*, got {n}: hold out"
    ):
        hold_out(torch.tensor(y), n, seed=1)


def test_a_sample_can_contain_all_images():
    y = LABELS["unequal"]
    assert torch.equal(stratified_sample(y, len(y), 3), torch.arange(len(y)))
