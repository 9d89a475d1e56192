"""Settings of a run of the bench, and its provenance."""

import os
import platform
import shlex
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

import sense.runs

ROOT = Path(__file__).resolve().parents[1]
PEERS = ("foolbox", "torchattacks", "adv-lib", "adversarial-robustness-toolbox", "pyautoattack")


@dataclass(frozen=True)
class Settings:
    """`run` is the folder of a trained small-cnn; `networks` is the folder of the networks that
    the bench trains itself, for use by several sections. The last four are of the sections
    time-to-...: the accuracy to reach and the number of epochs (None: those of the section), the
    number of seeds, and the minutes of training after which a contender begins no other epoch.
    Their finished rounds are kept in `rounds_folder`."""

    quick: bool
    threads: int
    networks: Path
    mnist: Path | None = None
    cifar10: Path | None = None
    run: Path | None = None
    target: float | None = None
    epochs: int | None = None
    rounds: int = 1
    minutes: float = 120.0

    @property
    def rounds_folder(self) -> Path:
        return self.networks / "rounds"

    def folder_of(self, dataset: str) -> Path | None:
        """Return the folder of a data set, if one was given."""
        return {"mnist": self.mnist, "cifar10": self.cifar10}.get(dataset)

    def pick(self, quick: int, full: int) -> int:
        """Return the size for tests or for measurements."""
        return quick if self.quick else full

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the processes that a section starts."""
        threads = str(self.threads)
        paths = [str(ROOT / "python"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        return {
            "OMP_NUM_THREADS": threads,
            "RETICULATE_PYTHON": sys.executable,
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        }


def provenance(
    settings: Settings, section: str, device: torch.device | None = None
) -> dict[str, Any]:
    """Return machine, threads, versions, commit, time, and the load average of the last minute. The
    command is stored without folders, which are private."""
    parts = ["python", "-m", "bench", section, "--threads", str(settings.threads)]
    if settings.run:
        parts += ["--run", settings.run.name]
    for name in ("target", "epochs", "rounds", "minutes"):
        if getattr(settings, name) != getattr(Settings, name):
            parts += [f"--{name}", f"{getattr(settings, name):g}"]
    if settings.quick:
        parts += ["--quick"]
    return {
        **sense.runs.provenance(shlex.join(parts), device),
        "threads": settings.threads,
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "amx": bool(torch.cpu._is_amx_tile_supported()),
        "load": os.getloadavg()[0],
        "quick": settings.quick,
        "peers": {name: version for name in PEERS if (version := installed(name))},
    }


def installed(name: str) -> str | None:
    """Return the version of a package, None if it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cpu_name() -> str:
    """Return the model name of the CPU."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
