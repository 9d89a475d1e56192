"""A damaged file in a folder is rejected, with its name, by every function that reads it."""

import os
import shutil
import signal
import stat
import warnings

import pytest
import torch

from sense import report as report_module
from sense import runs
from sense.checkpoint import WEIGHTS, pack_weights
from sense.errors import InputError
from sense.evaluation.compare import compare
from sense.evaluation.examples import EXAMPLES, make_examples, write_examples
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.summary import EVALUATION
from sense.evaluation.targets import open_run, open_source, open_target
from sense.folder_lock import LOCK
from sense.manifest import MANIFEST
from sense.model_card import CARD
from sense.run_folder import CHECKPOINT, PREVIOUS, RunFolder
from sense.runs import CONFIG, METRICS, load
from sense.seal import seal_folder
from sense.train import fit
from test_concurrent_folders import TINY, images

QUICK = Settings(
    attacks=("fgsm",),
    steps=1,
    restarts=1,
    n=20,
    batch=10,
    diagnostics=False,
    curve=(0.1,),
    convergence=5,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run with every kind of evaluation."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    fit(TINY, folder, data=images())
    evaluate_run(folder, QUICK, data=images())
    target = open_run(folder, data=images())
    with RunFolder(folder) as run:
        run.lock()
        write_examples(run, make_examples(target, Settings(attacks=("fgsm",)), n=2))
    return folder


@pytest.fixture
def whole(made, tmp_path):
    """The run and an intact copy."""
    shutil.copytree(made, tmp_path / "other")
    return shutil.copytree(made, tmp_path / "run")


def report(folder):
    report_module.report([folder], examples=0)


READERS = {
    "load": load,
    "source": lambda folder: open_source(Settings(source=folder), torch.device("cpu")),
    "weights": lambda folder: open_target(str(folder / WEIGHTS), data=images()),
    "resume": lambda folder: fit(TINY, folder, data=images(), resume=True),
    "evaluate": lambda folder: evaluate_run(folder, QUICK, data=images()),
    "compare": lambda folder: compare({"a": folder, "b": folder.with_name("other")}),
    "report": report,
}
LISTED = {
    CONFIG: ("load", "source", "weights", "resume", "evaluate", "report"),
    METRICS: ("report",),
    WEIGHTS: ("load", "source", "weights", "evaluate", "report"),
    EVALUATION: ("evaluate", "compare", "report"),
    "outcomes.csv": ("evaluate", "compare", "report"),
    "curve_outcomes.csv": ("evaluate", "report"),
    "curve.csv": ("report",),
    "convergence.csv": ("evaluate", "report"),
    "convergence_accuracy.csv": ("evaluate", "report"),
    EXAMPLES: ("report",),
    CARD: ("report",),
}


@pytest.fixture(autouse=True)
def _no_page_and_no_waiting(monkeypatch):
    monkeypatch.setattr(report_module, "run_r", lambda *arguments: None)
    monkeypatch.setattr(report_module, "find_rscript", lambda: "Rscript")
    monkeypatch.setattr(runs, "_commit", lambda: None)  # takes longer than all the rest
    signal.signal(signal.SIGALRM, lambda *arguments: pytest.fail("it hangs"))
    signal.alarm(60)
    yield
    signal.alarm(0)


def flipped(position, bit=0):
    def change(path):
        content = bytearray(path.read_bytes())
        content[int(position * (len(content) - 1))] ^= 1 << bit
        path.write_bytes(content)

    return change


def cut(part):
    return lambda path: os.truncate(path, int(part * path.stat().st_size))


def replaced(make):
    def change(path):
        kept = path.with_name("kept")
        shutil.copy(path, kept)
        path.unlink()
        make(path)

    return change


def device(path):
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # as /dev/zero
    except PermissionError:
        os.mkfifo(path)


CHANGES = {
    **{
        f"bit {bit} at {place}": flipped(place, bit)
        for place, bit in ((0, 0), (0.31, 3), (0.5, 7), (0.97, 1), (1, 0))
    },
    **{f"cut to {part}": cut(part) for part in (0, 0.5, 0.999)},
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"\n"),
    "much more": lambda path: os.truncate(path, 1 << 37),
    "gone": lambda path: path.unlink(),
    "a FIFO": replaced(os.mkfifo),
    "a link": replaced(lambda path: path.symlink_to(path.with_name("kept"))),
    "a folder": replaced(os.mkdir),
    "a device": replaced(device),
}


def restored(folder, name):
    path, copy = folder / name, folder.with_name("other") / name
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    shutil.copy(copy, path)
    (folder / "kept").unlink(missing_ok=True)


def test_every_reader_reads_an_intact_folder(whole):
    for read in READERS.values():
        read(whole)
    assert {path.name for path in whole.iterdir()} == {
        *LISTED,
        CHECKPOINT,
        PREVIOUS,
        MANIFEST,
        report_module.PAGE,
    } - {report_module.PAGE}


@pytest.mark.parametrize("name", LISTED)
def test_every_reader_rejects_a_changed_file(whole, name):
    for what, change in CHANGES.items():
        for reader in LISTED[name]:
            if reader == "evaluate" and what.startswith(("bit", "cut")) and "0.5" not in what:
                continue  # one of each will do: it takes longer than the others
            change(whole / name)
            try:
                READERS[reader](whole)
            except InputError as error:
                assert str(whole / name) in str(error), (what, reader)  # noqa: PT017
            else:
                pytest.fail(f"{reader} took {name} after: {what}")
            finally:
                restored(whole, name)
    for reader in READERS:
        READERS[reader](whole)


def test_a_changed_manifest_is_rejected(whole):
    """White space apart, and of single bits the test below."""
    for what, change in CHANGES.items():
        if what.startswith(("a byte more", "bit")):
            continue
        for read in READERS.values():
            change(whole / MANIFEST)
            try:
                with pytest.raises(InputError, match=MANIFEST):
                    read(whole)
            finally:
                restored(whole, MANIFEST)


@pytest.mark.parametrize("digit", [0, 17, 63])
@pytest.mark.parametrize("name", LISTED)
def test_a_changed_checksum_is_rejected(whole, name, digit):
    path = whole / MANIFEST
    text = path.read_text()
    place = text.index('"sha256": "', text.index(f'"{name}"')) + len('"sha256": "') + digit
    path.write_text(text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :])
    try:
        for reader in LISTED[name]:
            with pytest.raises(InputError, match=name):
                READERS[reader](whole)
    finally:
        restored(whole, MANIFEST)


def test_a_damaged_checkpoint_is_reported_and_the_previous_one_is_used(whole):
    for what, change in CHANGES.items():
        change(whole / CHECKPOINT)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if what == "a folder":
                with pytest.raises(InputError, match=rf"{CHECKPOINT}: a folder .* in the way"):
                    fit(TINY, whole, data=images(), resume=True)
            else:
                fit(TINY, whole, data=images(), resume=True)
        if what != "gone":
            assert any(f"{CHECKPOINT} is damaged" in str(one.message) for one in caught), what
        for name in (CHECKPOINT, PREVIOUS, METRICS, WEIGHTS, MANIFEST):
            restored(whole, name)


def test_two_damaged_checkpoints_are_rejected(whole):
    for what, change in CHANGES.items():
        if what == "gone":
            continue
        for name in (CHECKPOINT, PREVIOUS):
            change(whole / name)
            (whole / "kept").unlink(missing_ok=True)
        with pytest.raises(InputError, match=f"{CHECKPOINT} is damaged.*{PREVIOUS} is damaged"):
            fit(TINY, whole, data=images(), resume=True)
        for name in (CHECKPOINT, PREVIOUS):
            restored(whole, name)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("victim")])
def test_links_and_fifos_are_not_written_to(whole, tmp_path, make):
    folder = shutil.copytree(whole, tmp_path / "third")
    (folder / "victim").write_text("mine")
    for name in (LOCK, f".{EVALUATION}.part", f".{MANIFEST}.part", f".{CHECKPOINT}.part"):
        make(folder / name)
    for reader in ("resume", "evaluate"):
        with pytest.raises(InputError, match="must be a regular file"):
            READERS[reader](folder)
    shutil.rmtree(folder / LOCK) if (folder / LOCK).is_dir() else (folder / LOCK).unlink()
    fit(TINY, folder, data=images(), resume=True)
    evaluate_run(folder, QUICK, data=images(), overwrite=True)
    assert (folder / "victim").read_text() == "mine"


# Files that are as they were sealed, but not as this package writes them.
SEALED = {
    CONFIG: [
        "",
        "[]",
        "{}",
        '{"config": {}}',
        '{"config": {}, "data": {}}',
        '{"config": {"c": [[]]}, "data": {"shape": 1}}',
        "[" * 100_000,
    ],
    EVALUATION: [
        "",
        "[]",
        "{}",
        '{"target": 1}',
        '{"finished": true, "attacks": []}',
        "[" * 100_000,
    ],
    "outcomes.csv": ["x\n", "image,label,attack,prediction,correct\na,b,c,d,e\n"],
    "curve_outcomes.csv": ["x\n", "image,label,eps,prediction,correct\n0,0,0.1,a,1\n"],
    WEIGHTS: [b"", b"rubbish", b"\xff" * 100, pack_weights({})],
}


@pytest.mark.parametrize("name", SEALED)
def test_invalid_content_with_a_correct_checksum_is_rejected_with_the_name_of_its_file(whole, name):
    for content in SEALED[name]:
        for reader in set(LISTED[name]) - {"report"}:
            (whole / name).write_bytes(content.encode() if isinstance(content, str) else content)
            seal_folder(whole)
            try:
                with pytest.raises(InputError, match=f"{name}|the weights in "):
                    READERS[reader](whole)
            finally:
                restored(whole, name)
                restored(whole, MANIFEST)
