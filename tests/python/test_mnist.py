import gzip
import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from sense.data import load_data, load_test_data, mnist
from sense.data.idx import write_idx
from sense.data.mnist import FILES, download, load_folder

CONTENT = {"one-ubyte": b"the first file", "two-ubyte": b"the second file"}
SHA256 = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
ZIPPED = {f"{name}.gz": gzip.compress(content) for name, content in CONTENT.items()}


def test_the_sample_is_unchanged(sample):
    assert sample.sha256 == "c9c6e72e1ab3e0d8755a553eb32e0ab9de605911c3c5517598d4f45497eb0bb1"
    assert (len(sample.train_x), len(sample.test_x), sample.shape) == (10_000, 2_000, (1, 28, 28))
    assert sample.train_x.dtype == torch.uint8
    assert sample.classes == tuple("0123456789")


def test_no_test_image_is_a_training_image(sample):
    train = {image.numpy().tobytes() for image in sample.train_x}
    assert len(train) == 10_000
    assert not any(image.numpy().tobytes() in train for image in sample.test_x)


def write_folder(folder, labels=(0, 11, 3), images=(3, 5, 7), zipped=True):
    arrays = {
        "train_x": np.full(images, 7),
        "train_y": np.array(labels),
        "test_x": np.full((2, *images[1:]), 9),
        "test_y": np.array([0, 1]),
    }
    for part, name in FILES.items():
        path = folder / f"{name}.gz"
        write_idx(path, arrays[part].astype(np.uint8))
        if not zipped:
            (folder / name).write_bytes(gzip.decompress(path.read_bytes()))
            path.unlink()


@pytest.mark.parametrize("zipped", [True, False])
def test_a_folder_with_other_images_is_loaded(tmp_path, zipped):
    write_folder(tmp_path, zipped=zipped)
    data = load_data("mnist", tmp_path)
    assert data.shape == (1, 5, 7)
    assert len(data.classes) == 12
    assert data.train_y.tolist() == [0, 11, 3]
    assert data.name == load_test_data("mnist", tmp_path).name == tmp_path.name


def test_a_folder_with_the_images_of_mnist_is_called_mnist(tmp_path, monkeypatch):
    write_folder(tmp_path, zipped=False)
    content = (tmp_path / FILES["test_x"]).read_bytes()
    monkeypatch.setitem(mnist.SHA256, FILES["test_x"], hashlib.sha256(content).hexdigest())
    assert load_data("mnist", tmp_path).name == load_test_data("mnist", tmp_path).name == "mnist"


def test_a_missing_file_is_named_with_the_expected_files(tmp_path):
    write_folder(tmp_path)
    (tmp_path / f"{FILES['test_x']}.gz").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no t10k-images-idx3-ubyte\[.gz\] in .* must hold"
    ):
        load_folder(tmp_path, "mine")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": (3, 35)}, "must hold n x height x width bytes, has 2 dimensions"),
        ({"labels": (0, 1)}, "train labels must be 3 int64 numbers"),
        ({"labels": (), "images": (0, 5, 7)}, "train images: at least one is needed"),
    ],
)
def test_files_that_do_not_match_are_rejected(tmp_path, change, message):
    write_folder(tmp_path, **change)
    with pytest.raises(ValueError, match=message):
        load_folder(tmp_path, "mine")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifar", "unknown dataset 'cifar'. The data sets are mnist-sample, mnist, cifar10"),
        ("arrays", "passed in memory: pass it again"),
    ],
)
def test_names_without_data_are_rejected(name, message):
    with pytest.raises(ValueError, match=message):
        load_data(name)


def test_the_sample_takes_no_folder(tmp_path):
    with pytest.raises(ValueError, match="needs no --data-dir: use --dataset mnist"):
        load_data("mnist-sample", tmp_path)


@pytest.fixture
def mirror(monkeypatch):
    """Start an HTTP server with some files; it records its requests."""
    monkeypatch.setenv("NO_PROXY", "*")
    servers = []

    def mirror(files):
        requests = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                requests.append(self.path)
                content = files.get(self.path.strip("/"))
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/", requests

    yield mirror
    for server in servers:
        server.shutdown()
        server.server_close()


def have(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_mirror_without_the_files_is_skipped(tmp_path, mirror):
    empty, asked_first = mirror({})
    full, asked_second = mirror(ZIPPED)
    assert download(tmp_path, (empty, full), SHA256) == tmp_path
    assert have(tmp_path) == ZIPPED
    assert asked_first == asked_second == ["/one-ubyte.gz", "/two-ubyte.gz"]


def test_a_file_is_downloaded_once_from_the_first_mirror_that_has_it(tmp_path, mirror):
    full, asked_first = mirror(ZIPPED)
    spare, asked_second = mirror(ZIPPED)
    for _ in range(2):
        download(tmp_path, (full, spare), SHA256)
    assert len(asked_first) == 2
    assert not asked_second


WRONG = {
    "other content": (gzip.compress(b"forged"), hashlib.sha256(b"forged").hexdigest()),
    "html": (b"<html>", "none, as it is not a gzip file"),
    "damaged gzip": (ZIPPED["one-ubyte.gz"][:10] + b"\xff" * 20, "none, as it is not a gzip file"),
}


@pytest.mark.parametrize(("content", "found"), WRONG.values(), ids=WRONG)
def test_a_download_with_another_hash_is_removed(tmp_path, mirror, content, found):
    url, _ = mirror({**ZIPPED, "one-ubyte.gz": content})
    with pytest.raises(FileNotFoundError, match=f"should be {SHA256['one-ubyte']}, is {found}"):
        download(tmp_path, (url,), SHA256)
    assert not have(tmp_path)


def test_the_next_mirror_is_used_after_a_wrong_hash(tmp_path, mirror):
    forged, _ = mirror({**ZIPPED, "one-ubyte.gz": gzip.compress(b"forged")})
    full, _ = mirror(ZIPPED)
    download(tmp_path, (forged, full), SHA256)
    assert have(tmp_path) == ZIPPED


def test_without_a_network_the_error_names_the_files_and_their_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        mirrors = tuple(f"http://127.0.0.1:{taken.getsockname()[1]}/{i}/" for i in (1, 2))
        with pytest.raises(FileNotFoundError) as caught:
            download(tmp_path / "cache", mirrors, SHA256)
    message = str(caught.value)
    for part in (*ZIPPED, *mirrors, "--data-dir", str(tmp_path / "cache")):
        assert part in message
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"", b"<html>", ZIPPED["one-ubyte.gz"][:-3]])
def test_a_damaged_file_in_the_cache_is_downloaded_again_or_reported(tmp_path, mirror, content):
    path = tmp_path / "one-ubyte.gz"
    path.write_bytes(content)
    full, requests = mirror(ZIPPED)
    download(tmp_path, (full,), SHA256)
    assert have(tmp_path) == ZIPPED
    assert len(requests) == 2
    path.write_bytes(content)
    empty, _ = mirror({})
    with pytest.raises(FileNotFoundError, match=f"{path} in the cache was damaged .*was removed"):
        download(tmp_path, (empty,), SHA256)


SPELLINGS = {
    "official": lambda name: name,
    "dotted": lambda name: name.replace("-idx", ".idx"),
    "upper case": str.upper,
    "mixed": lambda name: name.replace("-idx", ".IDX").capitalize(),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("zipped", [True, False])
def test_files_are_found_under_all_usual_names(tmp_path, spell, zipped):
    write_folder(tmp_path, zipped=zipped)
    expected = load_folder(tmp_path, "mine").sha256
    for path in list(tmp_path.iterdir()):
        path.rename(tmp_path / spell(path.name))
    assert load_folder(tmp_path, "mine").sha256 == expected


def test_test_images_are_loaded_without_training_files(tmp_path):
    write_folder(tmp_path)
    whole = load_folder(tmp_path, "mine")
    for part in ("train_x", "train_y"):
        (tmp_path / f"{FILES[part]}.gz").unlink()
    tests = load_test_data("mnist", tmp_path)
    assert tests.test_sha256 == whole.test_sha256
    with pytest.raises(FileNotFoundError, match="no train-images-idx3-ubyte"):
        load_data("mnist", tmp_path)


def test_two_files_of_the_same_part_must_be_equal(tmp_path):
    write_folder(tmp_path)
    name = f"{FILES['test_y']}.gz"
    twin = tmp_path / name.replace("-idx", ".idx")
    twin.write_bytes((tmp_path / name).read_bytes())
    load_folder(tmp_path, "mine")
    write_idx(twin, np.array([1, 0], np.uint8))
    with pytest.raises(ValueError, match="hold the same part of MNIST but differ"):
        load_folder(tmp_path, "mine")
