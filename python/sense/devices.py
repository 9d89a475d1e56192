"""Devices, CPU threads and the settings of torch's backends."""

import os

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from .errors import InputError

THREADS_PER_CORE = 8
PROCESS = os.getpid()


def choose_device(name: str) -> torch.device:
    """Return the device of that name; "auto" is a GPU if there is one, otherwise the CPU.

    Raises InputError for a device that this machine or this torch does not have.
    """
    if name == "auto":
        name = str(torch.accelerator.current_accelerator(check_available=True) or "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (AssertionError, ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {name!r} cannot be used: {reason}") from None
    return device


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_threads(threads: int) -> int:
    """Return the number of threads. Raises InputError unless it is from 1 to `THREADS_PER_CORE` per
    core: many thousands would crash the process."""
    cores = os.cpu_count() or 1
    if not 1 <= threads <= THREADS_PER_CORE * cores:
        raise InputError(
            f"threads must be from 1 to {THREADS_PER_CORE * cores} ({THREADS_PER_CORE} per core, "
            f"{cores} cores here), got {threads}"
        )
    if threads > 1 and is_forked():
        raise InputError(
            f"threads must be 1 in a forked process, got {threads}: more would wait for ever; "
            "start a new process instead of a fork"
        )
    return threads


def set_threads(threads: int) -> None:
    """Set the number of CPU threads of torch. Raises as `check_threads`."""
    torch.set_num_threads(check_threads(threads))


def is_forked() -> bool:
    """Return whether this process is a fork of the one that imported this package."""
    return os.getpid() != PROCESS


def one_thread_if_forked() -> None:
    """In a forked process, set torch to one thread: it would wait for ever for those of the process
    that it was forked from."""
    if is_forked():
        torch.set_num_threads(1)


def is_lazy(value: Tensor) -> bool:
    """Return whether a parameter or buffer has no shape yet: it gets one in the first pass."""
    return isinstance(value, UninitializedParameter | UninitializedBuffer)


def check_has_values(model: nn.Module) -> None:
    """Raise InputError, which names the first, if a parameter or buffer has no values."""
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        if is_lazy(value):
            raise InputError(
                f"the network's {name} is of a lazy module and has no values: load its weights, or "
                "pass images through the network once"
            )
        if value.is_meta:
            raise InputError(
                f"the network's {name} is on the meta device, which has no values: load its weights"
            )


def to_device(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model on the device, in channels-last memory format: convolutions are faster there
    (on a CPU about 1.3 times with the small networks of this package)."""
    check_has_values(model)
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def check_cuda_options(device: torch.device, **options: str | None) -> None:
    """Raise InputError for the value of `precision` or `cuda_graphs` that needs a CUDA device where
    the device is another."""
    for option, value in options.items():
        if value in ("tf32", "on", "compact") and device.type != "cuda":
            raise InputError(f"{option} {value} needs a device of type cuda, got {device.type}")


def configure_backend(device: torch.device, precision: str | None) -> None:
    """Set TF32 for the whole process: on for the precisions tf32, auto and None (the default)."""
    if device.type == "cuda":
        format = "tf32" if precision in ("tf32", "auto", None) else "ieee"
        torch.backends.cuda.matmul.fp32_precision = format
        torch.backends.cudnn.conv.fp32_precision = format  # type: ignore[attr-defined]


def to_device_for_evaluation(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the model on the device in evaluation mode; from here on torch computes in float32
    without TF32."""
    configure_backend(device, precision="float32")
    return to_device(model, device).eval()
