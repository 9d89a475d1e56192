"""Signals are noted, and training or evaluation stops after its current step."""

import ctypes
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# SIGHUP is sent when a terminal is closed; Windows does not have it.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))

# Handlers that Python did not install, such as those of R, can be restored only at this level.
_get_handler = ctypes.pythonapi.PyOS_getsig
_get_handler.restype, _get_handler.argtypes = ctypes.c_void_p, [ctypes.c_int]
_set_handler = ctypes.pythonapi.PyOS_setsig
_set_handler.restype, _set_handler.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]


_raising = 0  # how many `interruptible` are entered


class Interrupted(KeyboardInterrupt):
    """A signal ended the work; `number` is that of the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def interruptible() -> Iterator[None]:
    """Inside, signals that `noted_signals` notes outside raise `Interrupted`: for work that keeps
    by itself what it has done."""
    global _raising
    _raising += 1
    try:
        yield
    finally:
        _raising -= 1


@contextmanager
def noted_signals() -> Iterator[Callable[[], int | None]]:
    """Inside, SIGINT (Ctrl-C), SIGTERM and SIGHUP are noted; the function that is given returns the
    number of the first, or None. A second SIGINT raises `Interrupted`, a KeyboardInterrupt. If
    SIGHUP is ignored, as under nohup, it stays ignored."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if _raising or (number == signal.SIGINT and signal.SIGINT in received):
            raise Interrupted(number)
        received.append(number)

    noted = [
        number
        for number in SIGNALS
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN
    ]
    native = {number: _get_handler(number) for number in noted}
    before = {number: signal.signal(number, note) for number in noted}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number in noted:
            if before[number] is not None:
                signal.signal(number, before[number])
            else:
                _set_handler(number, native[number])
