"""The floating-point format of the forward and backward passes of training, and CUDA graphs.

The network that is trained, saved and evaluated is in float32 in every case: the files of a run
are the same in every precision.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

Precision = Literal["float32", "tf32", "bfloat16"]
RECOMPILE_LIMIT = 64  # of torch.compile: one graph for each mode and batch size; its default is 8


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


class CudaGraphs(nn.Module):
    """The network, whose kernels are launched as one CUDA graph for each mode and batch size.

    Modes, parameters and buffers are those of `network`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        torch.compiler.config.recompile_limit = RECOMPILE_LIMIT
        self.network = network
        compiled: Callable[[Tensor], Tensor] = torch.compile(network, mode="reduce-overhead")
        # In a tuple, so that it is not a submodule: state_dict() would list each weight twice.
        self._compiled = (compiled,)

    def forward(self, x: Tensor) -> Tensor:
        return self._compiled[0](x).clone()  # the next replay writes to the same memory


def prepare(network: nn.Module, precision: Precision | None, cuda_graphs: bool) -> nn.Module:
    """Return the network as the training methods call it: `network` itself in float32 and TF32."""
    if cuda_graphs:
        network = CudaGraphs(network)
    return MixedPrecision(network) if precision == "bfloat16" else network
