"""A folder's files and its manifest: intact at every moment, and checked at every reading."""

import json
import os
from pathlib import Path

import pytest

from kills import killed_at_each_change
from sense import evaluation, model_card, runs
from sense.checkpoint import WEIGHTS
from sense.errors import InputError, TakenError
from sense.evaluation import compare, curves, examples, outcomes, summary
from sense.files import gzip_bytes
from sense.manifest import MANIFEST, Checksum
from sense.run_folder import LIMITS, RunFolder

A, B = "config.json", "metrics.jsonl"


@pytest.fixture
def before(tmp_path):
    folder = tmp_path / "before"
    with RunFolder(folder) as run:
        run.lock(create=True)
        run.write({A: "{}", B: "old", "outcomes.csv": "rows\n"})
        run.append("outcomes.csv", b"more\n")
    return folder


def write_everything(folder):
    """Call every function that writes, once."""
    with RunFolder(folder) as run:
        run.lock()
        run.write({B: "new", "curve.csv": "curve"})
        run.append("outcomes.csv", b"most\n")
        run.finish(["outcomes.csv"])
        run.append("outcomes.csv", b"again\n")
        run.remove([A])


STATES = {
    A: {b"{}", None},
    B: {b"old", b"new"},
    "curve.csv": {None, b"curve"},
    "outcomes.csv": {b"rows\nmore\n", b"rows\nmore\nmost\n", b"rows\nmore\nmost\nagain\n"},
}


def states(folder):
    run = RunFolder(folder)
    return {name: run.read(name) if run.has(name) else None for name in STATES}


def test_after_a_kill_at_any_change_each_file_has_its_old_or_new_content(
    before, tmp_path, monkeypatch
):
    seen = {name: set() for name in STATES}
    for folder in killed_at_each_change(monkeypatch, tmp_path, before, write_everything):
        for name, content in states(folder).items():  # without the lock
            assert content in STATES[name]
            seen[name].add(content)
        found = states(folder)
        with RunFolder(folder) as run:
            run.lock()
            assert states(folder) == found
            assert '"next"' not in (folder / MANIFEST).read_text()
            assert not list(folder.glob(".*.part"))
            resume(run)
        assert set(os.listdir(folder)) == {B, "curve.csv", "outcomes.csv", MANIFEST}
    assert seen == STATES


def resume(run):
    """Do what a resumed process does, whatever it finds."""
    rows = b"rows\nmore\nmost\nagain\n"
    run.write({B: "new", "curve.csv": "curve"})
    run.append("outcomes.csv", rows[len(run.read("outcomes.csv")) :])
    run.finish(["outcomes.csv"])
    run.remove([A])
    assert run.read("outcomes.csv") == rows == (run.path / "outcomes.csv").read_bytes()


def test_a_folder_whose_creation_was_killed_can_be_created_again(tmp_path, monkeypatch):
    def make(folder):
        with RunFolder(folder / "run") as run:
            run.lock(create=True)
            run.check_unused()
            run.write({A: "{}"})

    for folder in killed_at_each_change(monkeypatch, tmp_path, None, make):
        if not (folder / "run" / A).exists():
            make(folder)
        assert RunFolder(folder / "run").read(A) == b"{}"


def test_written_files_are_read(locked, tmp_path):
    locked.write({A: '{"a": 1}', "outcomes.csv.gz": gzip_bytes(b"rows")})
    assert locked.has(A)
    assert not locked.has(B)
    for run in (locked, RunFolder(str(tmp_path))):
        assert run.read(A) == b'{"a": 1}'
        assert run.read_json(A) == {"a": 1}
        assert run.read_gzipped("outcomes.csv") == b"rows"
        with pytest.raises(FileNotFoundError, match=f"no {B} in"):
            run.read(B)
    locked.check()


def test_only_the_recorded_part_of_a_growing_file_is_read(locked, tmp_path):
    locked.write({"outcomes.csv": "rows\n"})
    locked.append("outcomes.csv", b"more\n")
    with (tmp_path / "outcomes.csv").open("ab") as file:
        file.write(b"half a li")
    assert RunFolder(tmp_path).read("outcomes.csv") == b"rows\nmore\n"
    locked.close()
    with RunFolder(tmp_path) as run:
        run.lock()
        assert (tmp_path / "outcomes.csv").read_bytes() == b"rows\nmore\n"
        run.finish(["outcomes.csv"])
    with (tmp_path / "outcomes.csv").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"outcomes.csv is damaged, or was changed"):
        RunFolder(tmp_path).read("outcomes.csv")


def test_a_hard_link_to_a_growing_file_is_unchanged(locked, tmp_path):
    locked.write({"outcomes.csv": "rows\n"})
    os.link(tmp_path / "outcomes.csv", tmp_path / "copy")
    locked.append("outcomes.csv", b"more\n")
    assert (tmp_path / "copy").read_bytes() == b"rows\n"
    assert locked.read("outcomes.csv") == b"rows\nmore\n"


def test_reading_while_another_process_writes_succeeds(locked, tmp_path, monkeypatch):
    """The file is replaced twice between the reading of the manifest and that of the file."""
    locked.write({B: "one"})
    reader, real, times = RunFolder(tmp_path), RunFolder._content, iter(range(2))

    def content(run, name):
        if next(times, None) is not None:
            locked.write({B: "two"})
            locked.write({B: "three"})
        return real(run, name)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "_content", content)
        assert reader.read(B) == b"three"


def test_a_file_that_is_not_in_the_manifest_is_rejected_with_a_remedy(locked, tmp_path):
    (tmp_path / A).write_text("{}")
    for run in (locked, RunFolder(tmp_path)):
        for look in (run.has, run.read):
            with pytest.raises(InputError, match=rf"{A} cannot be checked: .*sense.seal"):
                look(A)
    locked.write({B: "x"})
    with pytest.raises(InputError, match=f"{A} cannot be checked: {MANIFEST} does not list it"):
        RunFolder(tmp_path).read(A)
    (tmp_path / B).unlink()
    with pytest.raises(InputError, match=f"{B} is missing, which {MANIFEST} lists"):
        RunFolder(tmp_path).has(B)


def fail(folder, remove_on_failure):
    with RunFolder(folder) as run:
        run.lock(create=True)
        if remove_on_failure:
            run.remove_on_failure = True
            run.write({A: "{}"})
        raise InputError("no luck")


def test_files_of_a_failed_start_are_removed(tmp_path):
    with pytest.raises(InputError, match="no luck"):
        fail(tmp_path / "a" / "b", remove_on_failure=True)
    assert os.listdir(tmp_path) == []
    (tmp_path / "mine").write_text("x")
    for remove_on_failure in (True, False):
        with pytest.raises(InputError, match="no luck"):
            fail(tmp_path, remove_on_failure)
        assert os.listdir(tmp_path) == ["mine"]


def test_a_folder_with_a_file_of_a_run_is_not_unused(tmp_path):
    RunFolder(tmp_path).check_unused()
    for name in LIMITS:
        (tmp_path / name).write_text("x")
        with pytest.raises(TakenError, match=r"already: .*choose another --out"):
            RunFolder(tmp_path).check_unused()
        (tmp_path / name).unlink()


def test_a_numbered_folder_is_always_new(tmp_path):
    made = []
    for _ in range(3):
        with RunFolder(tmp_path / "runs" / "nt", numbered=True) as run:
            run.check_unused()
            run.lock(create=True)
            made.append(run.path.name)
    assert made == ["nt", "nt-2", "nt-3"]
    assert sorted(os.listdir(tmp_path / "runs")) == made


def test_writing_without_the_lock_is_an_assertion_error(tmp_path):
    for write in (
        lambda run: run.write({A: "{}"}),
        lambda run: run.remove([A]),
        lambda run: run.append(A, b"x"),
    ):
        with pytest.raises(AssertionError, match="a folder is locked before"):
            write(RunFolder(tmp_path))


def test_a_file_that_is_too_large_to_be_read_is_not_written(locked, monkeypatch):
    monkeypatch.setitem(LIMITS, B, 3)
    with pytest.raises(InputError, match="would have 4 bytes, more than the 3"):
        locked.write({B: "four"})
    assert not locked.has(B)


def test_every_file_has_a_size_limit():
    named = {
        runs.CONFIG,
        runs.METRICS,
        WEIGHTS,
        *summary.FILES,
        examples.EXAMPLES,
        compare.COMPARISON,
        model_card.CARD,
        f"{outcomes.OUTCOMES}.gz",
        f"{curves.CONVERGENCE_ACCURACY}.gz",
        f"{examples.EXAMPLES}.gz",
    }
    assert named == set(LIMITS)
    assert {curves.CURVE, curves.CONVERGENCE} < named
    assert evaluation.__doc__


def test_the_manifest_has_the_format_that_r_reads(locked, tmp_path):
    locked.write({A: "{}"})
    assert json.loads((Path(tmp_path) / MANIFEST).read_text()) == {
        "format": 1,
        "files": {A: Checksum.of(b"{}").plain()},
    }
