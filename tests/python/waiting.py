"""Waiting for what other processes do."""

import time


def wait_for(condition, process=None, seconds=300.0, pause=0.05):
    """Wait until `condition()` is true. The process has to run until then."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(pause)
