"""Real processes in a gloo group on this machine, each calling the same function."""

import multiprocessing
import os

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def together(function, size, folder, *arguments):
    """Call function(rank, folder, *arguments) in `size` processes that can exchange
    tensors.

    An error of one is raised here. The processes are copies of one that has imported torch, and
    what its optimizers import, which is what takes long.
    """
    context()
    mp.start_processes(
        _call, (function, size, folder, *arguments), nprocs=size, start_method="forkserver"
    )


def context():
    """How such processes are started."""
    multiprocessing.set_forkserver_preload(["torch._dynamo", "pytest", "tyro"])
    return multiprocessing.get_context("forkserver")


def _call(rank, function, size, folder, *arguments):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    meet = folder / f"meet-{function.__name__}-{size}"
    dist.init_process_group("gloo", init_method=f"file://{meet}", rank=rank, world_size=size)
    function(rank, folder, *arguments)
    dist.destroy_process_group()
