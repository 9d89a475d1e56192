"""The floating-point format of the forward and backward passes of training, and CUDA graphs.

The network that is trained, saved and evaluated is in float32 in every case: the files of a run
are the same in every precision.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from .attacks.modes import in_attack
from .graph_recorder import CudaRecorder, Recorder
from .graphs import GraphedNetwork, Graphs

Precision = Literal["auto", "float32", "tf32", "bfloat16"]
CudaGraphs = Literal["auto", "off", "on", "compact"]


class MixedPrecision(nn.Module):
    """The network under autocast to bfloat16, with logits in float32.

    Only the network is under autocast. With autocast around the whole training step the losses are
    computed from rounded logits: MART's gradient norm rose from 31 to 7.8e8. The comparison of p_y
    with c needs float32 as well.

    Modes, parameters and buffers are those of `network`, whose weights stay in float32.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            logits: Tensor = self.network(x)
        return logits.float()


def graphed(network: nn.Module, recorder: Recorder | None = None) -> GraphedNetwork:
    """Return the network with its passes as CUDA graphs. `recorder`: what records them (default:
    for the CUDA device of the network)."""
    if recorder is None:
        recorder = CudaRecorder(next(network.parameters()).device)
    return GraphedNetwork(network, Graphs(network, recorder), images_only=in_attack)


def prepare(
    network: nn.Module, precision: Precision | None, cuda_graphs: CudaGraphs = "off"
) -> nn.Module:
    """Return the network as the training methods call it: `network` itself in float32 and TF32
    without CUDA graphs."""
    if precision == "bfloat16":
        network = MixedPrecision(network)
    if cuda_graphs not in ("on", "compact"):
        return network
    found = graphed(network)
    found.graphs.compacts = cuda_graphs == "compact"
    return found
