"""Full disks: the error is one line, intact files stay intact, and with more space work resumes."""

import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from sense.checkpoint import has_checkpoint, load_checkpoint

from .children import Child, Failure, Result, run
from .commands import check_equal, evaluate, evaluated, make_runs, resume_or_train, trained
from .frame import Shared

PAGE = 4096
ENOUGH = 2**26  # bytes


def fill(draw: random.Random, shared: Shared, folder: Path) -> None:
    """Train or evaluate on a disk that is too small, or with a limit of the file size."""
    shared.once("runs", lambda: make_runs(shared.folder))
    mounted = shared.once(
        "mounted", lambda: _mount(shared.folder / "try", PAGE) and _unmount(shared.folder / "try")
    )
    disk = folder / "disk"
    if mounted and draw.random() < 0.7:
        _mount(disk, ENOUGH)
        try:
            _fill(draw, shared.folder, folder, disk, lambda size: _resize(disk, size))
        finally:
            _unmount(disk)
    else:
        disk.mkdir()
        _fill(draw, shared.folder, folder, disk, None)


def _fill(
    draw: random.Random,
    shared: Path,
    folder: Path,
    disk: Path,
    resize: Callable[[int], object] | None,
) -> None:
    out, trains = disk / "0", draw.random() < 0.6
    whole, found = (
        (shared / "trained" / "0", trained) if trains else (shared / "evaluated" / "0", evaluated)
    )
    if not trains:
        shutil.copytree(shared / "trained" / "0", out)

    def command() -> Callable[[], None]:
        return resume_or_train("sense", shared / "data", out) if trains else evaluate(out)

    need = sum(path.stat().st_size + PAGE for path in whole.iterdir())
    for _ in range(draw.randint(1, 3)):
        size = int(draw.uniform(0, 1.3) * need)
        ended = _run_with_little_space(command(), size, folder / "log", resize)
        if ended.code == 0:
            break
        if str(disk) not in ended.line():
            raise Failure(f"the message does not name a file: {ended.err}")
        _check_checkpoint(out)
    if resize is not None:
        resize(ENOUGH)
    ended = run(command(), folder / "log")
    if ended.code:
        raise Failure(f"with enough space the command fails: {ended.err}")
    check_equal(found(out), found(whole))
    left = {path.name for path in out.iterdir()} - {path.name for path in whole.iterdir()}
    if left:
        raise Failure(f"these were left behind: {' '.join(sorted(left))}")


def _run_with_little_space(
    command: Callable[[], None], size: int, log: Path, resize: Callable[[int], object] | None
) -> Result:
    """Run a command on a disk of `size` bytes, or with a limit of the file size."""
    if resize is not None:
        resize(size)
        return run(command, log)

    def limited() -> None:
        limit = max(600, size // 4)  # the output is written to a file too
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, ENOUGH))
        command()

    return Child(limited, log).end()


def _check_checkpoint(out: Path) -> None:
    """Check that an existing checkpoint can be read."""
    if out.is_dir() and has_checkpoint(out):
        load_checkpoint(out)


def _mount(place: Path, size: int) -> bool:
    """Mount a small disk in memory. Returns whether that was possible; it needs root."""
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    return subprocess.run(options, capture_output=True).returncode == 0


def _resize(place: Path, size: int) -> None:
    """Set the size of the disk, at least to what it holds."""
    used = os.statvfs(place)
    held = (used.f_blocks - used.f_bfree) * used.f_frsize
    bytes_ = max(size, held, PAGE)
    subprocess.run(["mount", "-o", f"remount,size={bytes_}", str(place)], check=True)


def _unmount(place: Path) -> bool:
    return subprocess.run(["umount", str(place)], capture_output=True).returncode == 0
