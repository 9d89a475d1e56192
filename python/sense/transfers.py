"""Transfers between the CPU and a CUDA device for which neither waits."""

import torch
from torch import Tensor


def send(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor of the CPU on the device. It is sent to a CUDA device from pinned memory,
    behind the work that was launched before."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device, non_blocking=True)


class LateValue:
    """Numbers of a device that Python reads later: the values of a tensor at this point of the work
    of the device.

    On a CUDA device they are copied to pinned memory behind the work that was launched before; on
    other devices they are copied at once.
    """

    def __init__(self, tensor: Tensor) -> None:
        tensor = tensor.detach()
        self._event = None
        if tensor.device.type == "cuda":
            self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._host.copy_(tensor, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record(torch.cuda.current_stream(tensor.device))
        else:
            self._host = tensor.clone().cpu()

    def is_ready(self) -> bool:
        """Return whether `read` would not wait."""
        return self._event is None or self._event.query()

    def read(self) -> list[float]:
        """Return the values, flattened; wait for the work that was launched before them."""
        if self._event is not None:
            self._event.synchronize()
        values: list[float] = self._host.numpy().ravel().tolist()
        return values
