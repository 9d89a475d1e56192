"""The folder of a run.

config.json         all options, the data, versions and machine
metrics.jsonl       one line per epoch
checkpoint.pt       to resume the run, bit for bit
model.safetensors   the weights
manifest.json       the checksums of these files; checkpoints contain their own

sense.evaluate adds outcomes.csv, one row per test image and attack, evaluation.json and others.
"""

import json
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import nn

from . import __version__
from .checkpoint import WEIGHTS, load_weights
from .config import Config
from .config.options import runtime_options
from .config.stored import not_supported
from .data import Data, Scaling, load_data, load_test_data
from .description import parse_description
from .errors import InputError, MissingFileError, OtherDataError
from .extensions import trusted_name
from .files import parse_json
from .models import build_for_weights
from .run_folder import RunFolder
from .schedules import TO_ZERO
from .weights import load_matching_weights

CONFIG = "config.json"
METRICS = "metrics.jsonl"


def create_run(
    run: RunFolder,
    config: Config,
    data: Data,
    command: str | None = None,
    processes: int = 1,
    device: torch.device | None = None,
    noted: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Create the folder with its config.json, and lock it. `noted` is further content of
    config.json. Raises FileExistsError if the folder holds files of a run. The files are removed if
    the `with` block of the folder ends with an error before the first checkpoint."""
    run.lock(create=True)
    run.check_unused()
    run.remove_on_failure = True
    description = {
        "config": config.resolved().to_plain(),
        "runtime_options": list(runtime_options()),
        "data": data.describe(),
        "provenance": provenance(command, device) | {"processes": processes},
        **noted,
    }
    run.write({CONFIG: json_text(description)})


def read_run(folder: Path | str) -> tuple[Config, dict[str, Any]]:
    """Return the options of a run and the content of its config.json."""
    run = RunFolder(folder)
    if not run.has(CONFIG):
        raise MissingFileError(f"no {CONFIG} in {folder}: pass the folder of a run")
    return parse_description(run.read(CONFIG), run.path / CONFIG)


def with_choices_of(begun: Config, config: Config) -> Config:
    """Return the options of a resumed run, with the choices that were made when it was begun: the
    precision, and whether passes are CUDA graphs."""
    if config.precision in (None, "auto"):
        config = replace(config, precision=begun.precision)
    if config.cuda_graphs == "auto":
        config = replace(config, cuda_graphs=begun.cuda_graphs)
    return config


def resume_run(
    run: RunFolder, config: Config, data: Data, device: torch.device | None = None
) -> None:
    """Lock a run to resume it. Raises ValueError if options or images differ, except options that
    do not change the result."""
    folder = run.path
    read_run(folder)  # a folder without a run is not locked
    run.lock()
    begun, description = read_run(folder)
    if option := not_supported(description["config"]):
        raise InputError(
            f"the run in {folder} cannot be resumed: it was trained with {option}, which is no "
            "longer supported. It can be evaluated; to train further, begin a new run"
        )
    before, now = begun.resolved().to_plain(), config.resolved().to_plain()
    changed = {name for name in before if before[name] != now[name]}
    other = changed - set(runtime_options()) - check_more_epochs(folder, begun, config)
    if other:
        listed = ", ".join(f"{name} ({before[name]}, not {now[name]})" for name in sorted(other))
        raise InputError(
            f"the run in {folder} was started with other options: {listed}. Resume it with "
            "its own options, or start a new run"
        )
    check_same_data(folder, description, data)
    if changed:
        changes = {name: (before[name], now[name]) for name in changed}
        record_changes(run, description, changes, now, device)


def check_more_epochs(folder: Path, begun: Config, now: Config) -> set[str]:
    """Return which options may change to train a run for more epochs. Raises ValueError if it
    cannot be trained further.

    With a cosine or one-cycle schedule the learning rate is 0 after the last epoch. Such a run can
    only be continued with a constant learning rate, which must be given.
    """
    if now.epochs == begun.epochs:
        return set()
    if now.epochs < begun.epochs:
        raise InputError(
            f"the run in {folder} was started for {begun.epochs} epochs: --epochs can only be "
            f"increased, got {now.epochs}"
        )
    if begun.schedule not in TO_ZERO:
        return {"epochs"}
    if now.schedule != "constant" or now.lr == begun.lr:
        raise InputError(
            f"the learning rate of the run in {folder} falls to 0 at the end of its {begun.epochs} "
            f"epochs (schedule {begun.schedule}): to add epochs, set a constant rate, such as "
            f"--schedule constant --lr {begun.lr / 10:g}; or start a new run with --epochs "
            f"{now.epochs}"
        )
    return {"epochs", "schedule", "lr"}


def record_changes(
    run: RunFolder,
    description: dict[str, Any],
    changes: dict[str, tuple[Any, Any]],
    config: dict[str, Any],
    device: torch.device | None = None,
) -> None:
    """Write the new options to config.json, with the old values of those that changed."""
    note = {
        "options": {name: {"before": old, "now": new} for name, (old, new) in changes.items()},
        "provenance": provenance(device=device),
    }
    resumed = [*description.get("resumed", []), note]
    run.write({CONFIG: json_text(description | {"config": config, "resumed": resumed})})


def check_same_data(folder: Path, description: dict[str, Any], data: Data) -> None:
    """Raise OtherDataError if the run was made with other data, or with features that were scaled
    otherwise: their checksum is that of the scaled ones."""
    stored, now = description["data"], data.describe()
    if stored["sha256"] != now["sha256"]:
        raise OtherDataError(
            f"the run in {folder} was made with other data: SHA-256 {stored['sha256']}, these "
            f"{data.inputs} have {now['sha256']}"
        )
    if stored.get("features") != now.get("features"):
        raise OtherDataError(
            f"the run in {folder} was made with another scaling or other bounds of the features: "
            f"{stored.get('features')}, not {now.get('features')}. Scale them by "
            "sense.runs.load_scaling(folder)"
        )


def load_run_test_data(
    name: Path | str,
    config: Config,
    description: dict[str, Any],
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> Data:
    """Load the test images of a run. Raises ValueError if they differ from those of the run.

    The training images are needed only if config.json is so old that it has no checksum of the test
    images."""
    folder, data = data_dir or config.data_dir, description["data"]
    if "test_sha256" not in data:
        found = load_data(config.dataset, folder, cache_dir)
        check_same_data(Path(name), description, found)
        return found
    found = load_test_data(config.dataset, folder, cache_dir)
    if found.test_sha256 != data["test_sha256"]:
        raise InputError(
            f"the run in {name} was made with other data: the SHA-256 of its test images is "
            f"{data['test_sha256']}, these images have {found.test_sha256}"
        )
    return found.with_sha256(data["sha256"])


def load(
    folder: Path | str, model: nn.Module | str | None = None, option: str = "model"
) -> nn.Module:
    """Return the trained network of a run, on the CPU and in evaluation mode.

    Parameters
    ----------
    folder
        The folder of the run.
    model
        The network to load the weights into, or its name, such as "module:factory". Default: the
        network that the run names. Required if the network of the run was passed in memory, or is a
        factory: the code of a factory runs only if it is named here.
    option
        The name of the argument `model` in error messages.
    """
    folder = Path(folder)
    config, description = read_run(folder)
    data = description["data"]
    if not isinstance(model, nn.Module):
        model = trusted_name(model, config.model, folder / CONFIG, option)
    network = build_for_weights(model, tuple(data["shape"]), len(data["classes"]))
    return load_matching_weights(network, load_weights(folder), folder / WEIGHTS)


def load_scaling(folder: Path | str) -> Scaling:
    """Return the scaling of the features of a run on a table: `load_scaling(folder)(x)` gives
    features as the network of `load` takes them.

    Raises InputError if the run was trained on images."""
    data = read_run(folder)[1]["data"]
    if "features" not in data:
        raise InputError(f"the run in {folder} was trained on images, which have no scaling")
    return Scaling.from_plain(data["features"])


def read_metrics(folder: Path | str) -> list[dict[str, Any]]:
    """Return the metrics of each epoch of a run; no lines if it has no metrics.jsonl."""
    run = RunFolder(folder)
    if not run.has(METRICS):
        return []
    lines = run.read(METRICS).splitlines()
    return [parse_json(line, run.path / METRICS) for line in lines]


def metrics_text(metrics: list[dict[str, Any]]) -> str:
    """Return the content of metrics.jsonl, one line per epoch."""
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in metrics)


def json_text(content: dict[str, Any]) -> str:
    """Return JSON without NaN, which R cannot read."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def provenance(command: str | None = None, device: torch.device | None = None) -> dict[str, Any]:
    """Return where a result comes from: command (default: that of this process), commit, versions,
    machine, name of the GPU if the device is one, and time."""
    on_gpu = device is not None and device.type == "cuda"
    gpu = {"gpu": torch.cuda.get_device_name(device)} if on_gpu else {}
    return {
        "command": command or shlex.join([Path(sys.executable).name, *sys.orig_argv[1:]]),
        "commit": _commit(),
        "sense": __version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        **gpu,
        "threads": torch.get_num_threads(),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def _commit() -> str | None:
    """Return the commit of the checkout that holds this code, with a + if files were changed."""
    here = Path(__file__).resolve().parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", *arguments], cwd=here, capture_output=True, text=True, timeout=10
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    if git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None  # an installed copy, not a checkout
    commit = git("rev-parse", "HEAD")
    return f"{commit}+" if commit and git("status", "--porcelain", ".") else commit
