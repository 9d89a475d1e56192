"""Full disks: one line says so, what was whole stays whole, and with more room it goes on."""

import os
import random
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from sense.checkpoint import has_checkpoint, load_checkpoint

from .children import Child, Ended, Failure, run
from .commands import evaluate, evaluated, go_on, make_runs, same, trained
from .frame import Room

PAGE = 4096
ROOM = 2**26  # bytes: enough


def fill(draw: random.Random, room: Room, folder: Path) -> None:
    """Training or evaluation on a disk, or under a limit of a file's size, that is too small."""
    room.once("runs", lambda: make_runs(room.folder))
    mounted = room.once(
        "mounted", lambda: _mount(room.folder / "try", PAGE) and _unmount(room.folder / "try")
    )
    disk = folder / "disk"
    if mounted and draw.random() < 0.7:
        _mount(disk, ROOM)
        try:
            _fill(draw, room.folder, folder, disk, lambda size: _resize(disk, size))
        finally:
            _unmount(disk)
    else:
        disk.mkdir()
        _fill(draw, room.folder, folder, disk, None)


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
        return go_on("sense", shared / "data", out) if trains else evaluate(out)

    need = sum(path.stat().st_size + PAGE for path in whole.iterdir())
    for _ in range(draw.randint(1, 3)):
        size = int(draw.uniform(0, 1.3) * need)
        ended = _in_little_room(command(), size, folder / "log", resize)
        if ended.code == 0:
            break
        if str(disk) not in ended.line():
            raise Failure(f"the message does not name a file: {ended.err}")
        _is_whole(out)
    if resize is not None:
        resize(ROOM)
    ended = run(command(), folder / "log")
    if ended.code:
        raise Failure(f"with room it does not go on: {ended.err}")
    same(found(out), found(whole))
    left = {path.name for path in out.iterdir()} - {path.name for path in whole.iterdir()}
    if left:
        raise Failure(f"these were left behind: {' '.join(sorted(left))}")


def _in_little_room(
    command: Callable[[], None], size: int, log: Path, resize: Callable[[int], object] | None
) -> Ended:
    """The disk has `size` bytes, or no file may have more than a part of it."""
    if resize is not None:
        resize(size)
        return run(command, log)

    def limited() -> None:
        limit = max(600, size // 4)  # what is printed is in a file too
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, ROOM))
        command()

    return Child(limited, log).end()


def _is_whole(out: Path) -> None:
    """The checkpoints that are there can be read."""
    if out.is_dir() and has_checkpoint(out):
        load_checkpoint(out)


def _mount(place: Path, size: int) -> bool:
    """Whether a small disk in memory could be made, which needs root."""
    place.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    options = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    return subprocess.run(options, capture_output=True).returncode == 0


def _resize(place: Path, size: int) -> None:
    """The disk has room for what it holds and, of `size` bytes, for what is left of them."""
    used = os.statvfs(place)
    held = (used.f_blocks - used.f_bfree) * used.f_frsize
    bytes_ = max(size, held, PAGE)
    subprocess.run(["mount", "-o", f"remount,size={bytes_}", str(place)], check=True)


def _unmount(place: Path) -> bool:
    return subprocess.run(["umount", str(place)], capture_output=True).returncode == 0
