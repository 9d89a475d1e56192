"""The peers' loops in a process of their own, as their users run them.

What our trainer tells the C library about memory holds for the whole process; in ours the peers'
loops would be quicker than any user has them.
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
def contenders_elsewhere(make: Loops) -> Iterator[dict[str, Contender]]:
    """The contenders of `make`, a function that can be pickled, in a new process that has as many
    threads as this one and waits while others run."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    worker = context.Process(target=serve, args=(there, make, torch.get_num_threads()), daemon=True)
    worker.start()
    there.close()
    try:
        yield {name: partial(ask, here, name) for name in receive(here)}
    finally:
        here.close()
        worker.join()


def serve(connection: Connection, make: Loops, threads: int) -> None:
    """Send the contenders' names, then the seconds of each that is asked for."""
    torch.set_num_threads(threads)
    contenders = make()
    connection.send(list(contenders))
    while True:
        try:
            name = connection.recv()
        except EOFError:
            return
        connection.send(contenders[name]())


def ask(connection: Connection, name: str) -> float:
    connection.send(name)
    return receive(connection)


def receive(connection: Connection):  # type: ignore[no-untyped-def]
    """What the worker sends; RuntimeError where it has died, having printed why."""
    try:
        return connection.recv()
    except EOFError:
        raise RuntimeError("the process of the peers' loops ended before its answer") from None
