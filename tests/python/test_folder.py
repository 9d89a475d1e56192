import os
from dataclasses import replace

import numpy as np
import pytest
import torch

import sense
from sense.data import as_data, images_from_folder, load_data, load_folder
from sense.data import folder as folder_module
from sense.errors import InputError

Image = pytest.importorskip("PIL.Image", reason="needs pillow: pip install '.[images]'")


def picture(shape=(6, 8), seed=0, colour=False):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (*shape, 3) if colour else shape, dtype=np.uint8)


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    """Two classes of three and two grey images."""
    for i, name in enumerate(["b/1.png", "b/2.PNG", "b/10.png", "a/x.png", "a/y.png"]):
        save(tmp_path / name, picture(seed=i))
    return tmp_path


def test_reads_pixels_labels_and_names_in_the_order_of_names(folder):
    found = images_from_folder(folder)
    assert found.classes == ("a", "b")
    assert found.files == ("a/x.png", "a/y.png", "b/1.png", "b/10.png", "b/2.PNG")
    assert found.y.tolist() == [0, 0, 1, 1, 1]
    assert found.x.shape == (5, 1, 6, 8)
    for image, seed in zip(found.x, [3, 4, 0, 2, 1], strict=True):
        assert np.array_equal(image[0], picture(seed=seed))


def test_one_colour_image_makes_all_of_them_colour(folder):
    colour = picture(seed=9, colour=True)
    save(folder / "a/z.png", colour)
    found = images_from_folder(folder)
    assert found.x.shape == (6, 3, 6, 8)
    assert np.array_equal(found.x[2], colour.transpose(2, 0, 1))
    assert np.array_equal(found.x[0], np.stack([picture(seed=3)] * 3))
    assert images_from_folder(folder, colour=False).x.shape == (6, 1, 6, 8)


def test_jpeg_16_bits_transparency_and_orientation(tmp_path):
    smooth = np.full((6, 8, 3), 100, np.uint8)
    save(tmp_path / "a/1.jpg", smooth, quality=95)
    deep = np.full((6, 8), 200 * 256 + 7, np.uint16)
    save(tmp_path / "a/2.png", deep)
    clear = np.dstack([np.zeros((6, 8, 3), np.uint8), np.zeros((6, 8), np.uint8)])
    save(tmp_path / "b/3.png", clear)
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    turned = Image.fromarray(np.full((8, 6, 3), 50, np.uint8))
    turned.save(tmp_path / "b/4.jpg", exif=exif, quality=95)
    x = images_from_folder(tmp_path).x.float()
    assert x.shape == (4, 3, 6, 8)
    assert [round(float(image.mean())) for image in x] == [100, 200, 255, 50]


def test_unequal_sizes_need_a_size(folder):
    save(folder / "b/3.png", picture((5, 5)))
    with pytest.raises(InputError, match=r"sizes.*a/x.png is 6 x 8, b/3.png is 5 x 5\. Pass the s"):
        images_from_folder(folder)
    resized = images_from_folder(folder, size=(4, 3)).x
    assert resized.shape == (6, 1, 4, 3)
    expected = Image.fromarray(picture(seed=3)).resize((3, 4), Image.Resampling.BILINEAR)
    assert np.array_equal(resized[0, 0], np.asarray(expected))


def test_hidden_files_and_links_out_of_the_folder_are_left_out(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside")
    save(outside / "secret.png", picture(seed=7))
    os.symlink(outside, folder / "linked")
    os.symlink(outside / "secret.png", folder / "a/secret.png")
    os.symlink(folder / "a/x.png", folder / "a/z.png")  # inside: followed
    save(folder / "a/.hidden.png", picture())
    save(folder / ".thumbnails/1.png", picture())
    (folder / "a/notes.txt").write_text("no image")
    found = images_from_folder(folder)
    assert found.classes == ("a", "b")
    assert found.files[:3] == ("a/x.png", "a/y.png", "a/z.png")
    assert torch.equal(found.x[0], found.x[2])


def test_broken_files_are_named(folder):
    (folder / "a/broken.png").write_bytes(b"no image at all")
    (folder / "b/empty.jpg").write_bytes(b"")
    with pytest.raises(InputError, match=r"2 files of .*a/broken.png .*; b/empty.jpg .*Remove or"):
        images_from_folder(folder)
    (folder / "b/empty.jpg").unlink()
    save(folder / "a/broken.jpg", picture())
    (folder / "a/broken.png").unlink()
    whole = (folder / "a/broken.jpg").read_bytes()
    (folder / "a/broken.jpg").write_bytes(whole[: len(whole) - 30])  # its header is whole
    with pytest.raises(InputError, match=r"a/broken.jpg cannot be decoded .*truncated"):
        images_from_folder(folder)


def test_a_file_of_another_format_with_the_name_of_a_png_is_not_decoded(folder):
    Image.fromarray(picture()).save(folder / "a/really.gif")
    (folder / "a/really.gif").rename(folder / "a/really.png")
    with pytest.raises(InputError, match=r"a/really.png .*cannot identify"):
        images_from_folder(folder)


def test_limits(folder, monkeypatch):
    with pytest.raises(InputError, match="has 5 images, more than max_images = 4"):
        images_from_folder(folder, max_images=4)
    monkeypatch.setattr(folder_module, "MAX_PIXELS", 47)
    with pytest.raises(InputError, match="8 x 6 pixels, more than 47"):
        images_from_folder(folder)
    monkeypatch.setattr(folder_module, "MAX_PIXELS", 48)
    monkeypatch.setattr(folder_module, "MAX_BYTES", 5 * 48 - 1)
    with pytest.raises(InputError, match="5 images of 6 x 8 need more than"):
        images_from_folder(folder)
    monkeypatch.setattr(folder_module, "MAX_FILE_BYTES", 10)
    with pytest.raises(InputError, match="has more than 10 bytes"):
        images_from_folder(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "c").mkdir(), "c has no PNG or JPEG file"),
        (lambda f: save(f / "a/1.gif", picture()), "1.gif is neither PNG nor JPEG"),
        (
            lambda f: [(f / "b" / p.name).unlink() for p in list((f / "b").iterdir())],
            "b has no PNG",
        ),
    ],
)
def test_folders_that_cannot_be_used_are_refused(folder, spoil, message):
    spoil(folder)
    with pytest.raises(InputError, match=message):
        images_from_folder(folder)


def test_one_class_or_no_folder_is_refused(tmp_path):
    save(tmp_path / "a/1.png", picture())
    with pytest.raises(InputError, match="at least two classes, got 1"):
        images_from_folder(tmp_path)
    with pytest.raises(InputError, match="there is no folder"):
        images_from_folder(tmp_path / "nothing")


def striped(path, n, seed):
    """Images of horizontal and vertical stripes, with noise."""
    rng = np.random.default_rng(seed)
    for i in range(n):
        stripes = np.zeros((12, 12)) + 200 * (np.arange(12) % 4 < 2)
        for name, image in (("across", stripes.T), ("down", stripes)):
            noisy = (image + rng.integers(0, 50, (12, 12))).astype(np.uint8)
            save(path / name / f"{i}.png", noisy)


def test_a_folder_is_a_data_set_with_a_fixed_split_or_two_parts(tmp_path):
    striped(tmp_path / "whole", 12, 0)
    data = load_folder(tmp_path / "whole")
    assert (len(data.train_y), len(data.test_y)) == (20, 4)
    assert data.test_y.bincount().tolist() == [2, 2]
    assert data.sha256 == load_data("folder", tmp_path / "whole").sha256
    assert data.sha256 == as_data(str(tmp_path / "whole")).sha256
    striped(tmp_path / "parts/train", 6, 1)
    striped(tmp_path / "parts/test", 2, 2)
    parts = load_folder(tmp_path / "parts")
    assert (len(parts.train_y), len(parts.test_y)) == (12, 4)
    save(tmp_path / "parts/test/new/1.png", picture((12, 12)))
    with pytest.raises(InputError, match="a class that the training images lack: new"):
        load_folder(tmp_path / "parts")
    with pytest.raises(InputError, match="needs the folder of the images: --data-dir"):
        load_data("folder")


def test_a_folder_of_which_no_image_would_be_held_out_is_refused(folder):
    with pytest.raises(InputError, match="has 5 images: one in 6 is a test image"):
        load_folder(folder)


def test_a_network_is_trained_on_a_folder_and_evaluated(tmp_path):
    striped(tmp_path / "images", 30, 0)
    config = replace(
        sense.recipe(),
        dataset="folder",
        data_dir=tmp_path / "images",
        model="mlp",
        threads=1,
        method="nt",
        epochs=8,
        pretrain=0,
        batch_size=10,
        device="cpu",
    )
    sense.fit(config, tmp_path / "run")
    result = sense.evaluate(tmp_path / "run", attacks=["fgsm"], eps=0.05)
    assert result.accuracy["natural"].k == 10


def test_links_to_themselves_or_to_nothing_are_left_out(folder):
    for name, target in (("loop.png", "loop.png"), ("nothing.png", "absent.png")):
        (folder / "a" / name).symlink_to(target)
    assert len(images_from_folder(folder).files) == 5


@pytest.mark.parametrize("size", [8, "8", (8, 8, 3), (8.5, 8), (0, 8), (8,)])
def test_a_size_that_is_none_is_refused(folder, size):
    with pytest.raises(InputError, match=r"size must be \(height, width\), whole numbers"):
        images_from_folder(folder, size=size)
