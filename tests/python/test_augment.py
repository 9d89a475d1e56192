import pytest
import torch
import torch.nn.functional as F

from sense.data.augment import augment


def literal(image, how, top, left, flip):
    """One image: pad, crop, flip."""
    padded = F.pad(image[None], (4, 4, 4, 4), mode="reflect" if how == "reflect" else "constant")[0]
    crop = padded[:, top : top + image.shape[1], left : left + image.shape[2]]
    return crop.flip(2) if flip else crop


@pytest.mark.parametrize("how", ["reflect", "zero"])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 9, 14)])
def test_each_image_is_padded_cropped_and_flipped(how, shape):
    x = torch.rand(40, *shape)
    torch.manual_seed(5)
    found = augment(x, how)
    torch.manual_seed(5)
    (top, left), flip = torch.randint(0, 9, (2, 40)), torch.rand(40) < 0.5
    expected = [literal(x[i], how, top[i], left[i], flip[i]) for i in range(40)]
    assert torch.equal(found, torch.stack(expected))


def test_shift_moves_each_image_by_at_most_a_pixel_without_flips():
    x = torch.rand(40, 1, 9, 14)
    torch.manual_seed(5)
    found = augment(x, "shift")
    torch.manual_seed(5)
    top, left = torch.randint(0, 3, (2, 40))
    padded = F.pad(x, (1, 1, 1, 1))
    moved = [padded[i, :, top[i] : top[i] + 9, left[i] : left[i] + 14] for i in range(40)]
    assert torch.equal(found, torch.stack(moved))
    assert set(top.tolist()) == set(left.tolist()) == {0, 1, 2}


def test_none_returns_the_batch_and_draws_no_random_numbers():
    x, before = torch.rand(4, 3, 8, 8), torch.get_rng_state()
    assert augment(x, "none") is x
    assert torch.equal(before, torch.get_rng_state())


def test_all_positions_and_flips_occur():
    """A single bright pixel in the middle, 2,000 times."""
    x = torch.zeros(2000, 1, 32, 32)
    x[:, 0, 16, 10] = 1
    places = augment(x, "reflect").flatten(1).argmax(1)
    rows, columns = places // 32, places % 32
    assert set(rows.tolist()) == set(range(12, 21))
    assert set(columns.tolist()) == set(range(6, 15)) | {31 - c for c in range(6, 15)}
    assert 850 < int((columns > 15).sum()) < 1150


def test_augmentation_is_faster_than_a_forward_pass_of_the_smallest_network():
    import time

    from sense.models import build_model

    network, x = build_model("cifar-cnn-1", (3, 32, 32), 10), torch.rand(128, 3, 32, 32)

    def fastest(work):
        times = []
        for _ in range(7):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return min(times)

    # An attack has 10 or more passes forward and back; this is for one pass forward.
    assert fastest(lambda: augment(x, "reflect")) < 3 * fastest(lambda: network(x))
