"""All forms of data that users have become the same images, labels and classes."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Subset, TensorDataset, WeightedRandomSampler

import sense
from datasets import (
    ClassLabel,
    Feature,
    HFDataset,
    HFDatasetDict,
    HFIterableDataset,
    Pictures,
    Stream,
    random_flip,
    to_tensor,
)
from sense import files
from sense.data import ImageData, TableData, as_data, forms, to_float
from sense.errors import FileError, InputError
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.runs import read_run
from sense.train import fit
from test_resume import outcome

NAMES = ("cat", "dog", "eel")
RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)  # pictures: channels last
Y = np.arange(30) % 3
TEST_X, TEST_Y = X[:9] // 2, Y[:9]
TRAIN, TEST = X.transpose(0, 3, 1, 2), TEST_X.transpose(0, 3, 1, 2)
EXPECTED = ImageData("data", torch.from_numpy(TRAIN), Y, torch.from_numpy(TEST), TEST_Y, NAMES)


def pillow(x):
    return [Image.fromarray(image) for image in x]


def hugging_face(x, y, image="image", label="label"):
    columns = {image: pillow(x), label: y.tolist()}
    return HFDataset(columns, {image: Feature(), label: ClassLabel(list(NAMES))})


BYTES = {
    "arrays": lambda: (TRAIN, Y, TEST, TEST_Y),
    "pairs of arrays": lambda: ((TRAIN, Y), (TEST, TEST_Y)),
    "lists of labels": lambda: (TRAIN, Y.tolist(), TEST, TEST_Y.tolist()),
    "tensors": lambda: tuple(map(torch.from_numpy, (TRAIN.copy(), Y, TEST.copy(), TEST_Y))),
    "pictures": lambda: (Pictures(X, Y), Pictures(TEST_X, TEST_Y)),
    "DataLoaders": lambda: (
        DataLoader(Pictures(X, Y), batch_size=4, shuffle=True),
        DataLoader(Pictures(TEST_X, TEST_Y)),
    ),
    "a TensorDataset": lambda: {
        "train": TensorDataset(torch.from_numpy(TRAIN.copy()), torch.from_numpy(Y)),
        "test": TensorDataset(torch.from_numpy(TEST.copy()), torch.from_numpy(TEST_Y)),
    },
    "a Subset": lambda: (
        Subset(
            Pictures(np.concatenate([X, X]), np.concatenate([Y, Y]), classes=list(NAMES)), range(30)
        ),
        Pictures(TEST_X, TEST_Y),
    ),
    "Hugging Face": lambda: HFDatasetDict(
        train=hugging_face(X, Y), test=hugging_face(TEST_X, TEST_Y)
    ),
    "Hugging Face, img": lambda: HFDatasetDict(
        train=hugging_face(X, Y, "img", "fine_label"),
        test=hugging_face(TEST_X, TEST_Y, "img", "fine_label"),
    ),
    "Hugging Face, validation": lambda: HFDatasetDict(
        train=hugging_face(X, Y), validation=hugging_face(TEST_X, TEST_Y)
    ),
    "iterables": lambda: (
        Stream(list(zip(pillow(X), Y.tolist(), strict=True))),
        HFIterableDataset(hugging_face(TEST_X, TEST_Y)),
    ),
    "text labels": lambda: (TRAIN, np.array(NAMES)[Y], TEST, np.array(NAMES)[TEST_Y]),
}


@pytest.mark.parametrize("make", BYTES.values(), ids=BYTES)
def test_every_form_gives_the_same_images_labels_and_classes(make):
    data = as_data(make(), classes=NAMES)
    assert data.sha256 == EXPECTED.sha256
    assert data.test_sha256 == EXPECTED.test_sha256
    assert data.classes == NAMES
    assert data.shape == (3, 6, 5)


def test_a_transform_to_tensor_gives_floats_with_the_bits_of_the_bytes():
    data = as_data((Pictures(X, Y, to_tensor), Pictures(TEST_X, TEST_Y, to_tensor)))
    assert torch.equal(data.train_x, to_float(EXPECTED.train_x))
    assert torch.equal(data.test_x, to_float(EXPECTED.test_x))


def test_image_data_is_returned_as_it_is():
    assert as_data(EXPECTED) is EXPECTED


@pytest.mark.parametrize(
    ("data", "classes"),
    [
        ((TRAIN, Y), ("0", "1", "2")),
        (Pictures(X, Y, classes=list(NAMES)), NAMES),
        (hugging_face(X, Y), NAMES),
        ((TRAIN, np.array(["dog", "cat"])[Y % 2]), ("cat", "dog")),
    ],
)
def test_the_classes_are_those_that_the_data_know(data, classes):
    found = as_data(data)
    assert found.classes == classes
    assert len(found.test_x) == 0
    assert found.test_x.shape[1:] == (3, 6, 5)


def test_greyscale_pictures_and_pictures_of_other_modes():
    grey = as_data(Items([Image.fromarray(x[:, :, 0]) for x in X]))
    assert torch.equal(grey.train_x[:, 0], torch.from_numpy(X[:, :, :, 0]))
    mixed = [Image.fromarray(x).convert("RGBA" if i % 2 else "RGB") for i, x in enumerate(X)]
    assert torch.equal(as_data(Items(mixed)).train_x, EXPECTED.train_x)


class Items:
    """A map-style dataset that is no class of torch."""

    def __init__(self, images, y=Y):
        self.images, self.y = images, y

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i], self.y[i]


def unlike():
    images = pillow(X)
    images[7] = Image.fromarray(X[7][:5])
    return Items(images, Y)


REFUSED = {
    "normalised": (
        lambda: Pictures(X, Y, lambda image: (to_tensor(image) - 0.5) / 0.25),
        r"must have pixels from 0 to 1, got -2 to 2\. .*sense\.Normalised\(network, mean, std\)",
    ),
    "another size": (unlike, r"image 7 \(from 0\) is \(3, 5, 5\) .* the first is \(3, 6, 5\)"),
    "grey, then colour": (
        lambda: Items([Image.fromarray(X[0][:, :, 0]), Image.fromarray(X[1])], Y[:2]),
        "the first picture is greyscale, another one is RGB",
    ),
    "empty": (lambda: Items([], Y[:0]), "the dataset has no items"),
    "an empty stream": (lambda: Stream([]), "the dataset has no items"),
    "no image": (lambda: Items(["a.png", "b.png"], Y[:2]), "an image must be .* got a str"),
    "one thing": (lambda: Subset(list(X), range(3)), r"must be \(image, label\), or a dict"),
    "columns": (
        lambda: HFDataset({"scan": pillow(X), "label": Y}, {"scan": Feature(), "label": Feature()}),
        r"has the columns scan, label: name those of images and labels",
    ),
    "random tests": (
        lambda: (Pictures(X, Y), Pictures(X, Y, random_flip)),
        "the test dataset returns another image each time",
    ),
    "weighted": (
        lambda: DataLoader(Pictures(X, Y), sampler=WeightedRandomSampler([0.1] * 30, 30)),
        "the DataLoader draws by a WeightedRandomSampler",
    ),
    "counted from 1": (lambda: (TRAIN, Y + 1), "labels must be from 0, the smallest is 1"),
    "three arrays": (lambda: (TRAIN, Y, TEST), "arrays must be .* got 3 of them"),
    "no part train": (lambda: {"all": (TRAIN, Y)}, 'must have a part "train", got all'),
    "a number": (lambda: 3, "data must be arrays, a dataset, .* got a int"),
    "unknown text": (
        lambda: (TRAIN, np.array(NAMES)[Y], TEST, np.array(["cow"] * 9)),
        "unknown labels cow",
    ),
}


@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_data_that_cannot_be_used_are_refused_with_the_reason(make, message):
    with pytest.raises(InputError, match=message):
        as_data(make())


def test_columns_can_be_named():
    dataset = HFDataset(
        {"scan": pillow(X), "organ": Y.tolist()}, {"scan": Feature(), "organ": Feature()}
    )
    assert torch.equal(as_data(dataset, columns=("scan", "organ")).train_x, EXPECTED.train_x)
    with pytest.raises(InputError, match="has no column organs, of the labels"):
        as_data(dataset, columns=("scan", "organs"))


def test_a_large_stream_is_read_into_a_temporary_file(monkeypatch):
    monkeypatch.setattr(forms, "IN_MEMORY", 100)
    monkeypatch.setattr(files, "WRITTEN_AT_ONCE", 250)
    data = as_data(BYTES["iterables"](), classes=NAMES)
    assert data.sha256 == EXPECTED.sha256


def test_a_stream_without_an_end_is_refused_before_the_disk_is_full(monkeypatch):
    monkeypatch.setattr(forms, "IN_MEMORY", 1000)
    monkeypatch.setattr(files, "MIN_FREE", 2**70)
    endless = Stream(itertools.cycle(zip(pillow(X), Y.tolist(), strict=True)))
    with pytest.raises(FileError, match="is nearly full: does the data end"):
        as_data(endless)


FIT = {name: BYTES[name] for name in ("arrays", "pictures", "Hugging Face", "iterables")}


@pytest.mark.parametrize("make", FIT.values(), ids=FIT)
def test_fit_trains_on_every_form_with_the_same_bits(make, tmp_path, tiny):
    config = replace(tiny, dataset="mnist-sample", epochs=1, pretrain=0, batch_size=10)
    fit(config, tmp_path / "expected", data=EXPECTED, model=network())
    fit(config, tmp_path / "run", data=as_data(make(), classes=NAMES), model=network())
    assert outcome(tmp_path / "run") == outcome(tmp_path / "expected")
    fit(config, tmp_path / "direct", data=make(), model=network())
    text = (tmp_path / "direct/config.json").read_text()
    assert re.search('"dataset": "arrays"', text)


def network():
    torch.manual_seed(5)
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(90, 3))


def test_a_table_of_features_is_scaled():
    x = RNG.normal(3, 2, (30, 4))
    data = as_data((x, np.array(NAMES)[Y], x[:9], np.array(NAMES)[TEST_Y]), name="flowers")
    expected = TableData.from_features("flowers", x, Y, x[:9], TEST_Y, NAMES)
    assert (data.sha256, data.test_sha256) == (expected.sha256, expected.test_sha256)
    assert data.scaling == expected.scaling
    assert len(as_data((x, Y)).test_x) == 0


EVALUATED = {
    "a dataset": lambda: Pictures(TEST_X, TEST_Y),
    "train and test": lambda: (Pictures(X, Y), Pictures(TEST_X, TEST_Y)),
    "Hugging Face": lambda: hugging_face(TEST_X, TEST_Y),
    "ImageData": lambda: EXPECTED,
    "a stream": lambda: as_data((Pictures(X, Y), Pictures(TEST_X, TEST_Y)), in_memory=False),
}


@pytest.mark.parametrize("make", EVALUATED.values(), ids=EVALUATED)
def test_evaluate_takes_a_dataset_in_place_of_images_and_labels(make):
    options = {"eps": 0.1, "steps": 2, "restarts": 1}
    expected = sense.evaluate(network(), EXPECTED.test_x, EXPECTED.test_y, **options)
    assert sense.evaluate(network(), make(), **options).outcomes == expected.outcomes


def test_a_table_is_evaluated_within_its_bounds():
    x = RNG.normal(0, 1, (30, 4))
    data = TableData.from_features("t", x, Y, x, Y, NAMES, bounds="range")
    torch.manual_seed(1)
    model = torch.nn.Linear(4, 3)
    options = {"eps": 0.5, "steps": 5, "restarts": 1, "step_size": 0.2}
    found = sense.evaluate(model, data, **options)
    expected = sense.evaluate(model, data.test_x, data.test_y, bounds=data.bounds, **options)
    assert found.outcomes == expected.outcomes


def test_a_run_on_data_in_memory_is_evaluated_on_a_dataset(tmp_path, tiny):
    config = replace(tiny, model="linear", epochs=1, pretrain=0, batch_size=10)
    run, pair = tmp_path / "run", (Pictures(X, Y), Pictures(TEST_X, TEST_Y))
    model = fit(config, run, data=pair)
    options = {"steps": 2, "restarts": 1}
    expected = sense.evaluate(model, pair, eps=config.eps, **options).outcomes
    assert sense.evaluate(run, pair, **options).outcomes == expected
    assert sense.evaluate(run, TEST, TEST_Y, **options).outcomes == expected
    stored = evaluate_run(run, Settings(diagnostics=False, **options), data=pair)
    found = sense.evaluate(model, pair, eps=config.eps, **options).accuracy["worst"]
    assert stored["accuracy"]["worst"]["k"] == found.k
    with pytest.raises(InputError, match="passed in memory: pass it again"):
        sense.evaluate(run, **options)


def test_a_folder_of_pictures_is_trained_on_and_found_again(tmp_path, tiny):
    for part, x, y in (("train", X, Y), ("test", TEST_X, TEST_Y)):
        for i, (picture, label) in enumerate(zip(pillow(x), y, strict=True)):
            folder = tmp_path / "photos" / part / NAMES[label]
            folder.mkdir(parents=True, exist_ok=True)
            picture.save(folder / f"{i:02}.png")
    photos, run = tmp_path / "photos", tmp_path / "run"
    data = as_data(photos)
    order = Y.argsort(kind="stable")
    assert torch.equal(data.train_x, EXPECTED.train_x[order])
    assert data.classes == NAMES
    config = replace(tiny, model="linear", epochs=1, pretrain=0, batch_size=10)
    model = fit(config, run, data=str(photos))
    assert read_run(run)[0].dataset == "folder"
    options = {"steps": 2, "restarts": 1}
    expected = sense.evaluate(model, data.test_x, data.test_y, eps=config.eps, **options)
    assert sense.evaluate(run, **options).outcomes == expected.outcomes
    assert sense.evaluate(model, photos, eps=config.eps, **options).outcomes == expected.outcomes
