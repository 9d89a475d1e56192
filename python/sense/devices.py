"""Where the arithmetic happens."""

import torch
from torch import nn


def choose_device(name: str) -> torch.device:
    """The device of that name; for "auto" a GPU if there is one, else the processor.

    Raises ValueError for a device that this machine or this torch does not have.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return accelerator if accelerator is not None else torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (AssertionError, ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device {name!r} cannot be used: {reason}") from None
    return device


def place(model: nn.Module, device: torch.device) -> nn.Module:
    """The model on the device, its convolutions in channels-last order, which is faster there and
    on processors (about 1.3 times for the small networks here)."""
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
