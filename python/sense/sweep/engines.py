"""The engines by name. Those between machines are imported when they are used."""

from pathlib import Path
from typing import Any

from ..config.checks import check_choice
from ..errors import InputError
from .local import LocalRunner, Runner

RUNNERS = ("local", "slurm", "ray")


def make_runner(
    runner: str | Runner, out: Path, workers: int | None, threads: int | None, **options: Any
) -> Runner:
    """Return the runner of that name, or the runner itself. `options` are its own."""
    if not isinstance(runner, str):
        return runner
    check_choice("runner", runner, RUNNERS)
    if runner == "slurm":
        from .slurm import SlurmRunner

        return SlurmRunner(out, workers, threads or 1, **options)
    if runner == "ray":
        from .ray_cluster import RayRunner

        return RayRunner(workers, threads or 1, **options)
    if options:
        raise InputError(f"the runner local has no options, got {', '.join(options)}: leave out")
    return LocalRunner(workers)
