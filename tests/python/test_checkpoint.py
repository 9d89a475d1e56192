import io
import os
import pickle
import zipfile

import pytest
import torch

from sense.checkpoint import (
    CHECKPOINT,
    PREVIOUS,
    WEIGHTS,
    load_checkpoint,
    load_weights,
    pack_weights,
    read_weights,
    save_checkpoint,
    seal,
    unpack_weights,
)
from sense.weights import find_state_dicts

OLD = {"epoch": 1, "weight": torch.arange(50.0), "list": [1, 2.5, None, "text"]}
NEW = {"epoch": 2, "weight": torch.arange(50.0) + 1, "list": []}


def same(a, b):
    return a.keys() == b.keys() and all(
        torch.equal(a[key], b[key]) if isinstance(a[key], torch.Tensor) else a[key] == b[key]
        for key in a
    )


def flip(path, position, bit=0):
    content = bytearray(path.read_bytes())
    content[position] ^= 1 << bit
    path.write_bytes(content)


def test_a_checkpoint_is_loaded_as_saved_and_the_previous_one_is_kept(tmp_path):
    save_checkpoint(tmp_path, OLD)
    save_checkpoint(tmp_path, NEW)
    assert same(load_checkpoint(tmp_path), NEW)
    (tmp_path / CHECKPOINT).unlink()  # as when killed between the two renames
    assert same(load_checkpoint(tmp_path), OLD)
    assert {path.name for path in tmp_path.iterdir()} == {PREVIOUS}


class Unpicklable:
    def __reduce__(self):
        raise OSError("disk full")


def test_a_failed_write_leaves_the_old_checkpoint_only(tmp_path):
    save_checkpoint(tmp_path, OLD)
    with pytest.raises(OSError, match="disk full"):
        save_checkpoint(tmp_path, {**NEW, "bad": Unpicklable()})
    assert same(load_checkpoint(tmp_path), OLD)
    assert {path.name for path in tmp_path.iterdir()} == {CHECKPOINT}


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_the_previous_checkpoint_is_loaded_if_the_newest_is_truncated(tmp_path, size):
    save_checkpoint(tmp_path, OLD)
    save_checkpoint(tmp_path, NEW)
    path = tmp_path / CHECKPOINT
    path.write_bytes(path.read_bytes()[:size])
    with pytest.warns(UserWarning, match=f"{CHECKPOINT} is damaged .* resuming from {PREVIOUS}"):
        assert same(load_checkpoint(tmp_path), OLD)


def test_every_flipped_bit_is_noticed(tmp_path):
    """The headers of a zip file are under none of its own checksums."""
    save_checkpoint(tmp_path, NEW)
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        path.write_bytes(whole)
        flip(path, position, position % 8)
        with pytest.raises(ValueError, match=f"{CHECKPOINT} is damaged"):
            load_checkpoint(tmp_path)


def test_torch_and_zipfile_read_a_checkpoint(tmp_path):
    save_checkpoint(tmp_path, NEW)
    assert same(torch.load(tmp_path / CHECKPOINT), NEW)
    with zipfile.ZipFile(tmp_path / CHECKPOINT) as archive:
        assert archive.testzip() is None


def test_two_damaged_checkpoints_are_both_named(tmp_path):
    save_checkpoint(tmp_path, OLD)
    save_checkpoint(tmp_path, NEW)
    for name in (CHECKPOINT, PREVIOUS):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ValueError, match=f"{CHECKPOINT} is damaged .*{PREVIOUS} is damaged"):
        load_checkpoint(tmp_path)


def test_a_missing_checkpoint_is_reported(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no {CHECKPOINT} in"):
        load_checkpoint(tmp_path)


class Payload:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


def zipped(payload):
    buffer = io.BytesIO()
    torch.save({"model": payload}, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("form", ["sealed", "torch.save", "pickle"])
def test_a_malicious_checkpoint_is_refused_and_not_run(tmp_path, form):
    victim = tmp_path / "owned"
    payload = Payload(victim)
    content = {
        "sealed": seal(zipped(payload)),
        "torch.save": zipped(payload),
        "pickle": pickle.dumps({"model": payload}),
    }[form]
    (tmp_path / CHECKPOINT).write_bytes(content)
    problem = "it contains more than tensors and plain values" if form == "sealed" else "SHA-256"
    with pytest.raises(ValueError, match=f"{CHECKPOINT} is damaged .*{problem}"):
        load_checkpoint(tmp_path)
    assert not victim.exists()
    if form == "sealed":  # the payload works when it is unpickled
        torch.load(tmp_path / CHECKPOINT, weights_only=False)
        assert victim.exists()


WEIGHT = {"a.weight": torch.randn(3, 4).t(), "b": torch.tensor(2.0)}


def test_weights_with_any_strides_are_loaded_as_saved(locked, tmp_path):
    locked.write({WEIGHTS: pack_weights(WEIGHT)})
    assert same(load_weights(tmp_path), WEIGHT)
    assert same(unpack_weights(pack_weights(WEIGHT)), WEIGHT)


@pytest.mark.parametrize("position", [0, 9, -1])
def test_a_flipped_bit_of_the_weights_is_found(locked, tmp_path, position):
    locked.write({WEIGHTS: pack_weights(WEIGHT)})
    flip(tmp_path / WEIGHTS, position)
    with pytest.raises(ValueError, match=r"model.safetensors is damaged, or was changed"):
        load_weights(tmp_path)


def test_a_file_that_is_not_safetensors_is_refused(locked, tmp_path):
    locked.write({WEIGHTS: b"rubbish"})
    with pytest.raises(ValueError, match=r"model.safetensors is not a safetensors file"):
        load_weights(tmp_path)


VALUES = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}


def inner(state):
    """The outermost state dict in what was read; `test_weights` tests the rest."""
    return next(find_state_dicts(state))[1]


@pytest.mark.parametrize("wrap", [None, "state_dict", "model_state_dict", "model"])
def test_weights_are_read_from_state_dicts_in_common_forms(tmp_path, wrap):
    torch.save(VALUES if wrap is None else {wrap: VALUES, "epoch": 3}, tmp_path / "w.pt")
    assert same(inner(read_weights(tmp_path / "w.pt")), VALUES)
    (tmp_path / "w.safetensors").write_bytes(pack_weights(VALUES))
    assert same(inner(read_weights(tmp_path / "w.safetensors")), VALUES)


def test_damaged_weights_and_checkpoints_of_a_run_are_refused(locked, tmp_path):
    locked.write({WEIGHTS: pack_weights(VALUES)})
    save_checkpoint(tmp_path, {"model": VALUES, "epoch": 1})
    assert same(inner(read_weights(tmp_path / WEIGHTS)), VALUES)
    assert same(inner(read_weights(tmp_path / CHECKPOINT)), VALUES)
    for name in (WEIGHTS, CHECKPOINT):
        flip(tmp_path / name, (tmp_path / name).stat().st_size // 2)
        with pytest.raises(ValueError, match=f"{name}.*(SHA-256|is damaged, or was changed)"):
            read_weights(tmp_path / name)


def test_files_without_weights_are_refused(tmp_path):
    for name, content in (("a.pt", b"rubbish"), ("b.pt", b""), ("c.safetensors", b"rubbish")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name[0]}.*(cannot be read as weights|damaged)"):
            read_weights(tmp_path / name)
    for content in ({3: torch.zeros(1)}, {"model": {0: torch.zeros(1)}}, [torch.zeros(1)], None):
        torch.save(content, tmp_path / "w.pt")
        with pytest.raises(ValueError, match=r"w\.pt holds no weights: a state dict was expected"):
            read_weights(tmp_path / "w.pt")
    torch.save({"epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="holds no weights: a state dict was expected"):
        read_weights(tmp_path / "w.pt")


def test_objects_beside_tensors_and_plain_values_are_refused(tmp_path):
    marker = tmp_path / "ran"
    torch.save({"state_dict": Payload(marker)}, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="more than tensors and plain values"):
        read_weights(tmp_path / "w.pt")
    assert not marker.exists()
