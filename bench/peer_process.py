"""The peers' loops in their own process, as their users run them.

Our trainer changes how the C library keeps freed memory, for the whole process. In our process the
peers' loops would be faster than they are for their users.
"""

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection

import torch

from .timing import Contender

Loops = Callable[[], dict[str, Contender]]  # makes the contenders, in the process that runs them


@contextmanager
def contenders_in_new_process(make: Loops) -> Iterator[dict[str, Contender]]:
    """Yield the contenders that `make`, a picklable function, returns in a new process. The process
    has the same number of threads as this one, and is idle while other contenders run."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    worker = context.Process(target=serve, args=(there, make, torch.get_num_threads()), daemon=True)
    worker.start()
    there.close()
    try:
        yield {name: partial(request, here, name) for name in receive(here)}
    finally:
        here.close()
        worker.join()


def serve(connection: Connection, make: Loops, threads: int) -> None:
    """Send the names of the contenders, then the seconds of each one that is requested."""
    torch.set_num_threads(threads)
    contenders = make()
    connection.send(list(contenders))
    while True:
        try:
            name = connection.recv()
        except EOFError:
            return
        connection.send(contenders[name]())


def request(connection: Connection, name: str) -> float:
    """Run a contender in the other process and return its seconds."""
    connection.send(name)
    return receive(connection)


def receive(connection: Connection):  # type: ignore[no-untyped-def]
    """Return what the worker sends. Raises RuntimeError if it ended; it printed why."""
    try:
        return connection.recv()
    except EOFError:
        raise RuntimeError(
            "the process of the peers' loops ended before it sent a result"
        ) from None
