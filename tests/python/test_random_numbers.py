"""What parts of a batch draw, put together, is what the whole batch draws."""

import pytest
import torch

from sense.attacks.geometry import noisy_start, random_point
from sense.attacks.margins import random_start
from sense.data.augment import augment
from sense.random_numbers import (
    Share,
    Streams,
    exponential,
    global_state,
    integers,
    normal,
    set_global_state,
    sharing,
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
    "l-infinity, a radius each": lambda x, radii: random_point(x, radii, torch.inf, (0, 1)),
    "l2": lambda x, radii: random_point(x, radii, 2, (0, 1)),
    "l1": lambda x, radii: random_point(x, 0.3, 1, (0, 1)),
    "near": lambda x, radii: noisy_start(x),
    "mma, l2": lambda x, radii: random_start(x, radii, 2),
    "crops": lambda x, radii: augment(x, "zero"),
    "shifts": lambda x, radii: augment(x, "shift"),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("parts", [(6, 5), (4, 4, 3), (1,) * 11])
def test_parts_draw_what_the_whole_draws(draw, parts):
    state = global_state()
    torch.rand(1)  # the streams begin where the global one was when they were made
    drawn, first = [], 0
    for images in parts:
        streams = Streams(CPU)
        streams.load_state(state)
        with sharing(Share(first, images, len(IMAGES), streams)):
            rows = slice(first, first + images)
            drawn.append(draw(IMAGES[rows], RADII[rows]))
        first += images
    set_global_state(state)
    assert torch.equal(torch.cat(drawn), draw(IMAGES, RADII))


def test_one_process_draws_as_torch_does():
    state, x = global_state(), torch.empty(3, 4)
    ours = uniform(x), normal(x), integers(torch.empty(2, 5, dtype=torch.int64), 9, images=1)
    set_global_state(state)
    for drawn, expected in zip(
        ours, (torch.rand(3, 4), torch.randn(3, 4), torch.randint(0, 9, (2, 5))), strict=True
    ):
        assert torch.equal(drawn, expected)


def test_a_shared_stream_leaves_the_process_its_own():
    streams = Streams(CPU)
    before, begun = torch.get_rng_state(), streams.state()
    with sharing(Share(0, 3, 9, streams)):
        uniform(torch.empty(3))
        assert torch.equal(torch.get_rng_state(), before)
        moved = streams.state()["random"]
        assert not torch.equal(moved, begun["random"])
        with sharing(None):
            uniform(torch.empty(2))
        assert torch.equal(streams.state()["random"], moved)
        assert not torch.equal(torch.get_rng_state(), before)


def test_some_images_have_no_share_of_a_stream_for_all():
    with (
        sharing(Share(0, 3, 9, Streams(CPU))),
        pytest.raises(ValueError, match=r"all 3 images of a process.*got 2"),
    ):
        uniform(torch.empty(2, 4))
