"""Settings of the whole process, restored after use: a program or an R session that calls this
package finds them unchanged, also after an error."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .devices import one_thread_if_forked
from .random_numbers import preserved_random_state

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # names of glibc's <malloc.h>
GLIBC_DEFAULT = 128 * 1024  # bytes, for both
KEPT = {MMAP_THRESHOLD: 2**25, TRIM_THRESHOLD: 2**30}

_users = 0  # of freed_memory_kept, which may be nested


@contextmanager
def restored_settings() -> Iterator[None]:
    """Inside, the number of threads, TF32 and torch's random numbers may be set; they are restored
    outside. A forked process has one thread from here on."""
    one_thread_if_forked()
    threads = torch.get_num_threads()
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn.conv  # type: ignore[attr-defined]
    formats = matmul.fp32_precision, convolution.fp32_precision
    try:
        with preserved_random_state():
            yield
    finally:
        torch.set_num_threads(threads)
        matmul.fp32_precision, convolution.fp32_precision = formats


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Inside, glibc keeps up to 1 GiB of freed memory for the next forward pass; outside it has its
    defaults and returns what it kept. With another C library nothing changes.

    By default glibc returns large blocks to the system at once. To get them again, page by page,
    takes at least a tenth of the time of a forward pass. The peak of memory is the same. For the
    commands only: glibc adapts its thresholds to a program, and only the defaults can be restored.
    """
    global _users
    library = _glibc()
    if library is None:
        yield
        return
    _users += 1
    for name, value in KEPT.items():
        library.mallopt(name, value)
    try:
        yield
    finally:
        _users -= 1
        if not _users:
            for name in KEPT:
                library.mallopt(name, GLIBC_DEFAULT)
            library.malloc_trim(0)


def _glibc() -> Any:
    """Return glibc; None with another C library."""
    try:
        library = ctypes.CDLL(None)
        return library if library.mallopt and library.malloc_trim else None
    except (AttributeError, OSError, TypeError):
        return None
