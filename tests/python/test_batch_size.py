"""The number of images that are attacked at once, by memory, and that no outcome depends on it."""

import pytest
import torch

from networks import conv_network
from sense.data import ImageData
from sense.evaluation import batch_size as module
from sense.evaluation.batch_size import (
    CPU_BATCH,
    IMAGES_OF_AN_ATTACK,
    LARGEST,
    PART_OF_MEMORY,
    BatchSize,
    choose_batch_size,
    memory_per_image,
)
from sense.evaluation.evaluate import evaluate
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.runs import load

GIGABYTE = 2**30


def linear_peak(per_image, constant=3 * GIGABYTE):
    """A network that takes so many bytes per image, and a constant part."""
    return lambda model, x: constant + per_image * len(x)


def test_the_memory_per_image_is_the_slope_of_the_peak_and_what_the_attack_holds():
    x = torch.zeros(2, 3, 4, 4)
    of_attack = IMAGES_OF_AN_ATTACK * 48 * 4
    assert memory_per_image(None, x, linear_peak(1000)) == 1000 + of_attack
    assert memory_per_image(None, x, lambda model, x: 7) == of_attack


@pytest.mark.parametrize(
    ("free", "images", "expected"),
    [(10 * GIGABYTE, 5000, 708), (10 * GIGABYTE, 300, 300), (10**15, 9000, LARGEST), (1, 9, 1)],
)
def test_the_batch_fills_the_card_with_a_margin(free, images, expected):
    per_image = 10_000_000
    x = torch.zeros(1, 3, 32, 32).expand(images, 3, 32, 32)
    size = choose_batch_size(None, None, x, linear_peak(per_image), lambda device: free)
    assert size.images == expected
    if 1 < expected < min(images, LARGEST):
        whole = per_image + IMAGES_OF_AN_ATTACK * 3072 * 4
        assert expected * whole <= PART_OF_MEMORY * free < (expected + 1) * whole


def test_a_requested_size_is_taken_and_a_processor_has_a_fixed_one():
    x = torch.zeros(2, 1, 4, 4)
    assert choose_batch_size(17, None, x).images == 17
    assert choose_batch_size(None, None, x).images == CPU_BATCH == 250


def test_the_size_is_halved_until_the_memory_is_enough():
    tried = []

    def attempt(images):
        tried.append(images)
        if images > 3:
            raise torch.OutOfMemoryError
        return "done"

    size = BatchSize(50)
    assert size.run(attempt) == "done"
    assert tried == [50, 25, 12, 6, 3]
    assert size.images == 3


def test_one_image_that_does_not_fit_is_an_error():
    def attempt(images):
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        BatchSize(4).run(attempt)


class Limited(torch.nn.Module):
    """A network that has memory for few images."""

    def __init__(self, network, limit):
        super().__init__()
        self.network, self.limit, self.largest = network, limit, 0

    def forward(self, x):
        if len(x) > self.limit:
            raise torch.OutOfMemoryError
        self.largest = max(self.largest, len(x))
        return self.network(x)


ATTACKS = ("fgsm", "pgd", "margin-pgd", "targeted-pgd", "deepfool", "deepfool-l2")


def outcomes(network, data, attacks=ATTACKS, n=90, **options):
    settings = {"eps": 0.08, "steps": 4, "restarts": 2, "step_size": 0.03, "l2_eps": 0.6}
    settings = Settings(attacks=attacks, n=n, **{**settings, **options})
    return evaluate(network, data.test_x, data.test_y, settings).outcomes


@pytest.mark.parametrize("norm", ["inf", "2", "1"])
@pytest.mark.parametrize("cascade", [False, True])
def test_no_outcome_depends_on_the_batch(trained, norm, cascade):
    network, data = load(trained[0]), trained[1]
    attacks = [name for name in ATTACKS if norm != "1" or name != "deepfool"]
    ball = {"inf": 0.08, "2": 0.8, "1": 4.0}[norm]
    options = {"norm": norm, "cascade": cascade, "eps": ball, "step_size": ball / 2}
    found = [
        outcomes(network, data, tuple(attacks), batch=batch, **options) for batch in (90, 32, 7)
    ]
    assert found[0] == found[1] == found[2]
    assert len({row.prediction for row in found[0] if row.attack == "pgd"}) > 2


@pytest.mark.parametrize("norm", ["inf", "2", "1"])
def test_square_does_not_depend_on_the_batch(trained, norm):
    pytest.importorskip("pyautoattack")
    network, data = load(trained[0]), trained[1]
    options = {"norm": norm, "eps": {"inf": 0.08, "2": 0.8, "1": 4.0}[norm], "queries": 60}
    found = [
        outcomes(network, data, ("square",), batch=batch, n=40, **options) for batch in (40, 9)
    ]
    assert found[0] == found[1]
    assert 0 < sum(row.correct for row in found[0] if row.attack == "square") < 40


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["inf", "2", "1"])
def test_autoattack_does_not_depend_on_the_batch(trained, norm):
    pytest.importorskip("pyautoattack")
    network, data = load(trained[0]), trained[1]
    options = {"norm": norm, "eps": {"inf": 0.04, "2": 0.5, "1": 3.0}[norm]}
    found = [
        outcomes(network, data, ("autoattack",), batch=batch, n=12, **options) for batch in (12, 5)
    ]
    assert found[0] == found[1]
    assert 0 < sum(row.correct for row in found[0] if row.attack == "autoattack") < 12


def test_an_evaluation_continues_with_half_the_batch_and_has_the_same_outcomes(trained):
    folder, data = trained
    expected = outcomes(load(folder), data, batch=90)
    small = Limited(load(folder), 20)
    assert outcomes(small, data, batch=90) == expected
    assert 10 <= small.largest <= 20  # half of a number of images that is more than 20


def test_a_stored_evaluation_records_the_size_and_is_resumed_with_another(trained, tmp_path):
    folder, data = trained
    some = ImageData(
        "some", data.train_x, data.train_y, data.test_x[:60], data.test_y[:60], data.classes
    ).with_sha256(data.sha256)
    settings = Settings(attacks=("pgd",), steps=2, restarts=1, batch=40, diagnostics=False)
    first = evaluate_run(folder, settings, data=some, out=tmp_path, device="cpu")
    assert first["options"]["batch"] == 40
    more = Settings(attacks=("pgd", "fgsm"), steps=2, restarts=1, batch=7, diagnostics=False)
    second = evaluate_run(folder, more, data=some, out=tmp_path, device="cpu")
    assert second["options"]["batch"] == 7
    assert second["accuracy"]["pgd"] == first["accuracy"]["pgd"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_measured_memory_fits_the_card():
    network = conv_network().cuda()
    x = torch.rand(40, 1, 8, 8, dtype=torch.float64, device="cuda")
    assert module.peak_memory(network, x) > x.nbytes
    assert choose_batch_size(None, network, x).images == 40
