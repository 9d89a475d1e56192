"""CIFAR10, on small files in the official binary format."""

import gzip
import hashlib
import io
import tarfile
from dataclasses import replace

import numpy as np
import pytest
import torch

from sense.config import Config, recipe
from sense.data import load_data, load_test_data
from sense.data.cifar10 import ARCHIVE, CLASSES, FOLDER, RECORD, TEST, TRAIN, download, parse
from sense.errors import InputError
from sense.train import fit


def records(n, seed):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 10, n, dtype=np.uint8)
    planes = draw.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8)
    rows = np.concatenate([labels[:, None], planes.reshape(n, -1)], 1)
    return rows.tobytes(), planes, labels


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("cifar")
    (path / FOLDER).mkdir()
    for seed, name in enumerate((*TRAIN, *TEST)):
        (path / FOLDER / name).write_bytes(records(20, seed)[0])
    return path


@pytest.fixture
def archive(folder, tmp_path):
    path = tmp_path / "source" / ARCHIVE
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder / FOLDER, FOLDER)
    return path


def test_a_record_is_a_label_and_three_planes():
    content, planes, labels = records(5, 7)
    images, found = parse(content, "a file")
    assert RECORD == 3073
    assert images.dtype == torch.uint8
    assert images.numpy().tolist() == planes.tolist()
    assert found.tolist() == labels.tolist()


@pytest.mark.parametrize("inner", [False, True])
def test_a_folder_or_its_parent_is_loaded(folder, inner):
    data = load_data("cifar10", folder / FOLDER if inner else folder)
    assert (data.shape, data.classes) == ((3, 32, 32), CLASSES)
    assert (len(data.train_x), len(data.test_x)) == (100, 20)
    assert data.train_y[20:40].tolist() == records(20, 1)[2].tolist()  # in the order of the files
    assert data.test_x.numpy().tolist() == records(20, 5)[1].tolist()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "records of 3,073 bytes, has 0 bytes"),
        (bytes(3072), "has 3,072 bytes: download it again"),
        (bytes(3073) + b"\x0a" + bytes(3072), "label 10 in record 1"),
    ],
)
def test_a_damaged_file_is_named(content, message):
    with pytest.raises(ValueError, match=f"test.bin.*{message}"):
        parse(content, "test.bin")


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no data_batch_1.bin, test_batch.bin in .*binary"):
        load_data("cifar10", tmp_path)


def md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_a_download_is_checked_and_read_without_extraction(folder, archive, tmp_path, monkeypatch):
    import sense.data.cifar10 as module

    cache = tmp_path / "cache"
    monkeypatch.setattr(
        module,
        "download",
        lambda place: download(place, (archive.parent.as_uri() + "/",), md5(archive)),
    )
    copy_to_cache(archive, cache / "cifar10")
    data = load_data("cifar10", cache_dir=cache)
    assert data.sha256 == load_data("cifar10", folder).sha256
    assert [path.name for path in cache.rglob("*") if path.is_file()] == [ARCHIVE]


def copy_to_cache(archive, cache):
    """A file in the cache is checked and not downloaded again."""
    cache.mkdir(parents=True)
    (cache / ARCHIVE).write_bytes(archive.read_bytes())


def test_an_archive_with_another_md5_is_removed(archive, tmp_path):
    copy_to_cache(archive, tmp_path / "cache")
    with pytest.raises(FileNotFoundError, match=r"MD5 should be 0, is .*pass --data-dir DIR"):
        download(tmp_path / "cache", ("https://nowhere.invalid/",), "0")
    assert not (tmp_path / "cache" / ARCHIVE).exists()


def test_without_a_network_the_error_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cannot download .*pass --data-dir DIR") as caught:
        download(tmp_path, ("https://127.0.0.1:9/",))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.DIRTYPE])
def test_a_member_that_is_not_a_regular_file_is_rejected(tmp_path, kind):
    from sense.data.cifar10 import read_archive

    path = tmp_path / ARCHIVE
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(f"{FOLDER}/{TRAIN[0]}")
        member.type, member.linkname = kind, "/etc/passwd"
        tar.addfile(member, io.BytesIO())
    with pytest.raises(ValueError, match="not a regular file"):
        read_archive(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", gzip.compress(b""), gzip.compress(b"x" * 2000), gzip.compress(bytes(10240))],
    ids=["empty", "html", "empty gzip", "gzip of rubbish", "no members"],
)
def test_another_file_in_place_of_the_archive_is_named(tmp_path, content):
    from sense.data.cifar10 import read_archive

    path = tmp_path / ARCHIVE
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"{ARCHIVE} is damaged, or not the archive of CIFAR10"):
        read_archive(path)


def test_a_damaged_archive_is_named_or_harmless(archive):
    from sense.data.cifar10 import read_archive

    content = archive.read_bytes()
    for place in range(0, len(content), max(1, len(content) // 60)):
        archive.write_bytes(content[:place] + bytes([content[place] ^ 255]) + content[place + 1 :])
        try:
            read_archive(archive)
        except InputError as error:
            assert str(archive) in str(error)  # noqa: PT017
        if place > len(content) / 2:
            continue  # all that is needed may lie before it
        archive.write_bytes(content[:place])
        with pytest.raises(InputError, match=ARCHIVE):
            read_archive(archive)


def test_the_recipe_of_the_paper_trains_with_crops_and_flips(folder, tmp_path):
    config = replace(
        recipe("cifar10-cnn"),
        data_dir=folder,
        epochs=1,
        batch_size=25,
        monitor_size=8,
        threads=1,
        steps=2,
        milestones=(1,),
    )
    assert config.augment == "reflect"
    fit(config, tmp_path / "a")
    fit(replace(config, augment="none"), tmp_path / "b")
    first, second = ((tmp_path / run / "metrics.jsonl").read_text() for run in "ab")
    assert first.split('"loss"')[1].split(",")[0] != second.split('"loss"')[1].split(",")[0]


def test_training_on_the_first_images_only(folder, tmp_path):
    config = Config(
        dataset="cifar10",
        data_dir=folder,
        model="cifar-cnn-1",
        method="nt",
        pretrain=0,
        epochs=1,
        batch_size=10,
        monitor_size=8,
        threads=1,
        train_size=30,
    )
    steps = []
    fit(config, tmp_path / "run", stop=lambda: steps.append(1))
    assert len(steps) == 3 + 1


def test_a_damaged_archive_in_the_cache_is_reported(tmp_path):
    path = tmp_path / ARCHIVE
    path.write_bytes(b"half of it")
    with pytest.raises(FileNotFoundError, match=f"{path} in the cache was damaged .*was removed"):
        download(tmp_path, ("http://127.0.0.1:9/",))
    assert not path.exists()


def test_test_images_are_loaded_from_the_test_batch_alone(folder, tmp_path):
    place = next(folder.rglob("test_batch.bin"))
    (tmp_path / "test_batch.bin").write_bytes(place.read_bytes())
    tests = load_test_data("cifar10", tmp_path)
    assert tests.test_sha256 == load_data("cifar10", folder).test_sha256
    with pytest.raises(FileNotFoundError, match=r"data_batch_1\.bin"):
        load_data("cifar10", tmp_path)
