"""Stop at a good moment: a signal is noted, and the trainer asks for it after each step."""

import ctypes
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

# SIGHUP comes when a terminal is closed; Windows has none.
SIGNALS = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))

# Handlers that Python did not install (R's, when R is the host) can be put back only at this level.
_get_handler = ctypes.pythonapi.PyOS_getsig
_get_handler.restype, _get_handler.argtypes = ctypes.c_void_p, [ctypes.c_int]
_set_handler = ctypes.pythonapi.PyOS_setsig
_set_handler.restype, _set_handler.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]


@contextmanager
def noted_signals() -> Iterator[Callable[[], int | None]]:
    """Inside, SIGINT (Ctrl-C), SIGTERM and SIGHUP only make the given function return their number.
    A second SIGINT interrupts at once. A SIGHUP that is ignored, as under nohup, stays so."""
    received: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and signal.SIGINT in received:
            raise KeyboardInterrupt
        received.append(number)

    noted = [
        number
        for number in SIGNALS
        if number in (signal.SIGINT, signal.SIGTERM) or signal.getsignal(number) != signal.SIG_IGN
    ]
    hosts = {number: _get_handler(number) for number in noted}
    before = {number: signal.signal(number, note) for number in noted}
    try:
        yield lambda: received[0] if received else None
    finally:
        for number in noted:
            if before[number] is not None:
                signal.signal(number, before[number])
            else:
                _set_handler(number, hosts[number])
