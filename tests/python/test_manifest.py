import json

import pytest

from sense.errors import InputError
from sense.manifest import MANIFEST, Checksum, Entry, Manifest, read_manifest

ONE, TWO = Checksum.of(b"one"), Checksum.of(b"twice")


def test_a_checksum_is_sha256_and_size():
    assert Checksum.of(b"abc").plain() == {
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "bytes": 3,
    }


@pytest.mark.parametrize(
    ("entry", "plain"),
    [
        (Entry(ONE, ONE), ONE.plain()),
        (Entry(ONE, TWO), ONE.plain() | {"next": TWO.plain()}),
        (Entry(None, TWO), {"next": TWO.plain()}),
        (Entry(ONE, None), ONE.plain() | {"next": None}),
        (Entry(ONE, ONE, grows=True), ONE.plain() | {"grows": True}),
    ],
)
def test_every_state_of_a_file_is_written_and_read(tmp_path, entry, plain):
    Manifest({"config.json": entry}).save(tmp_path)
    written = json.loads((tmp_path / MANIFEST).read_text())
    assert written == {"format": 1, "files": {"config.json": plain}}
    assert read_manifest(tmp_path) == Manifest({"config.json": entry})


def test_a_folder_without_a_manifest_has_none(tmp_path):
    assert read_manifest(tmp_path) is None


def test_a_planned_change_is_kept_until_it_is_recorded():
    manifest = Manifest()
    manifest.plan("a", ONE)
    assert manifest.entries["a"] == Entry(None, ONE)
    manifest.record("a", ONE)
    manifest.plan("a", TWO)
    assert manifest.entries["a"] == Entry(ONE, TWO)
    assert not manifest.entries["a"].settled
    manifest.record("a", None)
    assert manifest.entries == {}


GOOD = {"sha256": "0" * 64, "bytes": 3}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 1}',
        '{"format": 1, "files": []}',
        '{"format": 2, "files": {}}',
        '{"format": true, "files": {}}',
        '{"format": 1, "files": {}, "more": 1}',
        *(
            json.dumps({"format": 1, "files": {"config.json": entry}})
            for entry in (
                None,
                [],
                "x",
                {},
                {"sha256": "0" * 64},
                {"bytes": 3},
                GOOD | {"bytes": -1},
                GOOD | {"bytes": True},
                GOOD | {"bytes": 3.5},
                GOOD | {"sha256": "0" * 63},
                GOOD | {"sha256": "G" * 64},
                GOOD | {"sha256": 0},
                GOOD | {"more": 1},
                GOOD | {"grows": False},
                GOOD | {"grows": 1},
                GOOD | {"next": "x"},
                GOOD | {"next": GOOD | {"next": GOOD}},
                {"next": None},
            )
        ),
        '{"format": 1, "files": {"a": {"sha256": "x", "bytes": 1}, "a": {}}}',
    ],
)
def test_a_damaged_manifest_is_rejected_with_a_remedy(tmp_path, content):
    (tmp_path / MANIFEST).write_text(content)
    with pytest.raises(InputError, match=rf"{MANIFEST}.*python -m sense.seal"):
        read_manifest(tmp_path)


def test_a_manifest_that_is_a_link_is_rejected(tmp_path):
    (tmp_path / MANIFEST).symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is a link"):
        read_manifest(tmp_path)
