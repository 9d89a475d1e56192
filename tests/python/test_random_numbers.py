"""The numbers of the parts of a batch, joined, are those of the whole batch."""

import random

import numpy as np
import pytest
import torch

from sense.attacks.geometry import noisy_start, random_point
from sense.attacks.margins import random_start
from sense.data.augment import augment
from sense.random_numbers import (
    BatchShare,
    SharedGenerators,
    cpu_state,
    exponential,
    global_state,
    integers,
    normal,
    preserved_cpu_state,
    same_cpu_state,
    set_global_state,
    shared_batch,
    uniform,
)

CPU = torch.device("cpu")
IMAGES = torch.rand(11, 2, 5, 4, generator=torch.Generator().manual_seed(0))
RADII = torch.linspace(0.1, 0.3, 11)
DRAWS = {
    "uniform": lambda x, radii: uniform(x, -0.3, 0.3),
    "normal": lambda x, radii: normal(x),
    "exponential": lambda x, radii: exponential(x),
    "l-infinity": lambda x, radii: random_point(x, 0.3, torch.inf, (0, 1)),
    "l-infinity, a radius per image": lambda x, radii: random_point(x, radii, torch.inf, (0, 1)),
    "l2": lambda x, radii: random_point(x, radii, 2, (0, 1)),
    "l1": lambda x, radii: random_point(x, 0.3, 1, (0, 1)),
    "noisy start": lambda x, radii: noisy_start(x),
    "mma, l2": lambda x, radii: random_start(x, radii, 2),
    "crops": lambda x, radii: augment(x, "zero"),
    "shifts": lambda x, radii: augment(x, "shift"),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("parts", [(6, 5), (4, 4, 3), (1,) * 11])
def test_the_numbers_of_the_parts_are_those_of_the_whole_batch(draw, parts):
    state = global_state()
    torch.rand(1)  # the shared generators begin in the state of the global one
    drawn, first = [], 0
    for images in parts:
        generators = SharedGenerators(CPU)
        generators.load_state(state)
        with shared_batch(BatchShare(first, images, len(IMAGES), generators)):
            rows = slice(first, first + images)
            drawn.append(draw(IMAGES[rows], RADII[rows]))
        first += images
    set_global_state(state)
    assert torch.equal(torch.cat(drawn), draw(IMAGES, RADII))


def test_one_process_has_the_numbers_of_torch():
    state, x = global_state(), torch.empty(3, 4)
    ours = uniform(x), normal(x), integers(torch.empty(2, 5, dtype=torch.int64), 9, image_dim=1)
    set_global_state(state)
    for drawn, expected in zip(
        ours, (torch.rand(3, 4), torch.randn(3, 4), torch.randint(0, 9, (2, 5))), strict=True
    ):
        assert torch.equal(drawn, expected)


def test_shared_generators_do_not_change_the_global_one():
    generators = SharedGenerators(CPU)
    before, begun = torch.get_rng_state(), generators.state()
    with shared_batch(BatchShare(0, 3, 9, generators)):
        uniform(torch.empty(3))
        assert torch.equal(torch.get_rng_state(), before)
        moved = generators.state()["random"]
        assert not torch.equal(moved, begun["random"])
        with shared_batch(None):
            uniform(torch.empty(2))
        assert torch.equal(generators.state()["random"], moved)
        assert not torch.equal(torch.get_rng_state(), before)


def test_shared_numbers_are_for_all_images_of_the_process():
    with (
        shared_batch(BatchShare(0, 3, 9, SharedGenerators(CPU))),
        pytest.raises(ValueError, match=r"all 3 images of this process.*got 2"),
    ):
        uniform(torch.empty(2, 4))


@pytest.mark.parametrize(
    "draw", [random.random, np.random.rand, np.random.randn, lambda: torch.rand(1)]
)
def test_the_state_of_the_cpu_shows_a_draw_and_can_be_restored(draw):
    before = cpu_state()
    assert same_cpu_state(before, cpu_state())
    with preserved_cpu_state():
        first = draw()
        assert not same_cpu_state(before, cpu_state())
    assert same_cpu_state(before, cpu_state())
    assert draw() == first
