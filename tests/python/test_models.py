import resource

import pytest
import torch

from sense.errors import InputError
from sense.models import CapacityCNN, SmallCNN, build_for_weights, build_model, check_model_name


def size(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(
    ("capacity", "parameters"),
    [(1, 3_576), (2, 13_514), (3, 52_506), (4, 206_954), (5, 821_706), (6, 3_274_634)],
)
def test_capacity_networks_have_the_documented_size(capacity, parameters):
    assert size(build_model(f"capacity-{capacity}", (1, 28, 28), 10)) == parameters


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("cifar-cnn-1", 15_773),
        ("cifar-cnn-2", 62_006),
        ("resnet20", 269_722),
        ("resnet32", 464_154),
        ("resnet44", 658_586),
        ("resnet56", 853_018),
        ("resnet18", 11_173_962),
        ("preact-resnet18", 11_172_170),
        ("wrn-34-10", 46_160_474),
    ],
)
def test_cifar10_networks_have_the_size_of_the_papers(name, parameters):
    with torch.device("meta"):  # counting needs no memory
        assert size(build_model(name, (3, 32, 32), 10)) == parameters


def test_authors_wide_resnets_have_their_size():
    """Counted by hand: 3 x 3 convolutions of each block, 1 x 1 shortcuts or none, norms."""
    w = (64, 128, 256)
    convolutions = 9 * (
        3 * 16
        + 16 * w[0]
        + 7 * w[0] ** 2
        + w[0] * w[1]
        + 7 * w[1] ** 2
        + w[1] * w[2]
        + 7 * w[2] ** 2
    )
    shortcuts = 16 * w[0] + w[0] * w[1] + w[1] * w[2]
    norms = 2 * (16 + 8 * w[0] + 8 * w[1] + 8 * w[2])
    w = (160, 320, 640)
    plain = 9 * (
        3 * w[0] + 10 * w[0] ** 2 + w[0] * w[1] + 9 * w[1] ** 2 + w[1] * w[2] + 9 * w[2] ** 2
    )
    with torch.device("meta"):
        found = size(build_model("wrn-28-4", (3, 32, 32), 10))
        assert found == convolutions + shortcuts + norms + 256 * 10 + 10
        assert size(build_model("iaat-wrn-32-10", (3, 32, 32), 10)) == plain + 640 * 10 + 20


def test_a_first_convolution_of_stride_2_leaves_the_blocks_a_quarter_of_the_pixels():
    plain, faster = (build_model(f"wrn-10-4{stem}", (3, 32, 32), 10) for stem in ("", "-s2"))
    # 48 filters of 4 x 4 in place of 16 of 3 x 3, and the first block takes 48 channels.
    more = 3 * (48 * 16 - 16 * 9) + (48 - 16) * (64 * 9 + 64 + 2)
    assert size(faster) == size(plain) + more
    x = torch.rand(2, 3, 32, 32)
    assert plain.conv(x).shape[2:] == (32, 32)
    assert faster.conv(x).shape == (2, 48, 16, 16)


def test_small_cnn_has_the_size_of_the_network_of_trades():
    assert size(build_model("small-cnn", (1, 28, 28), 10)) == 312_202


NETWORKS = [
    "small-cnn",
    "capacity-1",
    "capacity-3",
    "cifar-cnn-1",
    "cifar-cnn-2",
    "resnet20",
    "resnet18",
    "preact-resnet18",
    "wrn-10-2",
    "wrn-10-1-s2",
    "iaat-wrn-8-2",
]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (3, 17, 22)])
@pytest.mark.parametrize("classes", [2, 10])
def test_every_network_returns_logits_for_images_of_any_shape(name, shape, classes):
    model = build_model(name, shape, classes).eval()
    assert model(torch.rand(2, *shape)).shape == (2, classes)


def test_small_cnn_starts_with_equal_logits():
    model = SmallCNN().eval()
    x = torch.rand(3, 1, 28, 28, requires_grad=True)
    logits = model(x)
    (gradient,) = torch.autograd.grad(logits.square().sum() + logits.sum(), x)
    assert not logits.any()
    assert not gradient.any()


@pytest.mark.parametrize("name", ["small-cnn", "capacity-2"])
def test_the_weights_depend_only_on_the_seed(name):
    torch.manual_seed(4)
    first = build_model(name, (1, 28, 28), 10).state_dict()
    torch.manual_seed(4)
    again = build_model(name, (1, 28, 28), 10).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize(
    "name",
    [
        "resnet",
        "resnet21",
        "wrn-33-1",
        "cifar-cnn-3",
        "a:b:c",
        ":f",
        "capacity-0",
        "capacity-10",
        "capacity-",
        "",
        "Small-CNN",
    ],
)
def test_an_unknown_name_is_rejected_with_the_known_ones(name):
    with pytest.raises(ValueError, match=f"unknown model '{name}'. There are small-cnn: .*"):
        check_model_name(name)


@pytest.mark.parametrize(
    ("build", "shape", "message"),
    [
        (lambda shape: SmallCNN(shape), (1, 15, 28), "at least 16 x 16, got 15 x 28"),
        (lambda shape: CapacityCNN(1, shape), (1, 3, 28), "at least 4 x 4, got 3 x 28"),
    ],
)
def test_images_that_are_too_small_are_rejected(build, shape, message):
    with pytest.raises(ValueError, match=message):
        build(shape)


def test_building_a_network_for_weights_preserves_the_random_state():
    before = torch.get_rng_state()
    build_for_weights("capacity-1", (1, 28, 28), 10)
    assert torch.equal(before, torch.get_rng_state())
    build_model("capacity-1", (1, 28, 28), 10)
    assert not torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("wrn-70-9999", (3, 32, 32)),
        ("wrn-10-999999", (3, 32, 32)),
        ("iaat-wrn-32-100000", (3, 32, 32)),
        ("capacity-9", (1, 3000, 3000)),
        ("preact-resnet18", (10**9, 32, 32)),
        ("small-cnn", (1, 20000, 20000)),
        ("cifar-cnn-2", (3, 100000, 100000)),
        ("wrn-34-10", (10**12, 32, 32)),
    ],
)
def test_a_huge_network_is_rejected_before_memory_is_allocated(name, shape):
    begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match=f"{name} (would have|cannot be created)"):
        build_model(name, shape, 10)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - begin < 200_000  # KiB


@pytest.mark.parametrize("name", ["wrn-70-99999999999999", "capacity-0", "capacity-10"])
def test_a_name_without_a_network_is_rejected(name):
    with pytest.raises(InputError, match="unknown model"):
        build_model(name, (3, 32, 32), 10)


def test_counting_parameters_draws_no_random_numbers():
    torch.manual_seed(1)
    expected = SmallCNN((1, 28, 28), 10).state_dict()
    torch.manual_seed(1)
    found = build_model("small-cnn", (1, 28, 28), 10).state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in found.items())
