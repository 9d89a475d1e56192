"""Settings of the whole process, put back as they were: who calls this package from a program or a
session of R finds them unchanged, also where a call ends with an error."""

import ctypes
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pooch
import torch

from .random_numbers import preserved_random_state

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of glibc's <malloc.h>
GLIBC_DEFAULT = 128 * 1024  # bytes, of both
KEPT = {MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**30}
RECOMPILE_LIMIT = 8  # torch's default

_keeping = 0


@contextmanager
def restored_settings() -> Iterator[None]:
    """Inside, the number of threads, TF32, the recompile limit of torch.compile and torch's
    random numbers may be set; outside all is as it was."""
    threads, limit = torch.get_num_threads(), _recompile_limit()
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    formats = matmul.fp32_precision, convolution.fp32_precision
    try:
        with preserved_random_state():
            yield
    finally:
        torch.set_num_threads(threads)
        if _recompile_limit() != limit:
            torch.compiler.config.recompile_limit = limit
        matmul.fp32_precision, convolution.fp32_precision = formats


@contextmanager
def freed_memory_kept() -> Iterator[bool]:
    """Inside, the C library keeps memory that was freed, up to 1 GiB, for the next pass of a
    network; outside it has its defaults, and gives back what it kept. Gives whether it could be
    told: glibc can.

    By default glibc gives large blocks back to the system at once; that the next pass gets them
    anew, page by page, takes a tenth of its time or more. The largest need of memory stays as it
    is. For the commands alone: what glibc had learnt of a program before cannot be put back, only
    its defaults.
    """
    global _keeping
    library = _c_library()
    if library is None:
        yield False
        return
    _keeping += 1
    told = all([library.mallopt(name, value) for name, value in KEPT.items()])
    try:
        yield told
    finally:
        _keeping -= 1
        if not _keeping:
            for name in KEPT:
                library.mallopt(name, GLIBC_DEFAULT)
            library.malloc_trim(0)


def _recompile_limit() -> int:
    """What torch.compile has; its default where its settings, which take a second to import, were
    not asked for yet."""
    settings = sys.modules.get("torch.compiler.config")
    return RECOMPILE_LIMIT if settings is None else settings.recompile_limit


def _c_library() -> Any:
    """glibc, or None."""
    try:
        library = ctypes.CDLL(None)
        return library if library.mallopt and library.malloc_trim else None
    except (AttributeError, OSError, TypeError):
        return None


def retrieve(url: str, name: str, folder: Any) -> str:
    """pooch's `retrieve`, with its progress bar and without its messages."""
    log = pooch.get_logger()
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        get: Callable[..., str] = pooch.retrieve
        return get(url, None, name, folder, progressbar=True)
    finally:
        log.setLevel(level)
