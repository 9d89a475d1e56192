"""A recorder of functions that works on a CPU, in place of CUDA graphs."""

import torch
from torch import nn

from sense.graph_recorder import Watch
from sense.graphs import GraphedNetwork
from sense.precision import graphed


class EagerRecorder:
    """Replays a function by running it again on its static tensors. Python reads no value of a
    tensor in it, and it does the operations that were recorded, with the same shapes."""

    def __init__(self):
        self.warm_ups, self.records, self.replays = 0, 0, 0

    def warm_up(self, run):
        self.warm_ups += 1
        run()

    def new_pool(self):
        return object()

    def record(self, run, pool):
        self.records += 1
        with Watch() as recorded:
            run()

        def replay():
            self.replays += 1
            with Watch() as watch:
                run()
            assert watch.operations == recorded.operations

        return replay

    def random_state(self):
        return torch.get_rng_state()

    def set_random_state(self, state):
        torch.set_rng_state(state)


def recorded(network: nn.Module, record_at: int = 1) -> GraphedNetwork:
    """The network with its passes replayed by an `EagerRecorder`; a note is an error."""
    found = graphed(network, EagerRecorder())
    found.graphs.record_at = record_at
    found.graphs.note = unexpected
    return found


def unexpected(note):
    raise AssertionError(note)
