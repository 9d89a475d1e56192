"""The folder of a run: what was asked, how it went, and what came out.

config.json         every effective option, and where and with what it ran
metrics.jsonl       a line an epoch
checkpoint.pt       to go on from, bit for bit
model.safetensors   the weights
manifest.json       the sums of all of these but the checkpoints, which have their own

sense.evaluate adds outcomes.csv, a row per test image and attack, evaluation.json and others.
"""

import json
import platform
import shlex
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from . import __version__
from .checkpoint import WEIGHTS, load_weights
from .config import Config
from .config.options import runtime_options
from .config.stored import not_supported
from .data import ImageData, load_data, load_test_data
from .description import parse_description
from .errors import InputError, MissingFileError
from .models import build_for_weights
from .models.custom import trusted_model_name
from .run_folder import RunFolder
from .weights import load_matching_weights

CONFIG = "config.json"
METRICS = "metrics.jsonl"


def create_run(
    run: RunFolder, config: Config, data: ImageData, command: str | None = None, processes: int = 1
) -> None:
    """Make the folder with its config.json, and lock it. Raises FileExistsError where something of
    a run is there. What was made goes again where the `with` block of the folder ends with an error
    before the first checkpoint (`remove_on_failure`)."""
    run.lock(create=True)
    run.check_unused()
    run.remove_on_failure = True
    description = {
        "config": config.resolved().to_plain(),
        "runtime_options": list(runtime_options()),
        "data": {
            "name": data.name,
            "sha256": data.sha256,
            "test_sha256": data.test_sha256,
            "shape": list(data.shape),
            "classes": list(data.classes),
            "train": len(data.train_x),
            "test": len(data.test_x),
        },
        "provenance": provenance(command) | {"processes": processes},
    }
    run.write({CONFIG: json_text(description)})


def read_run(folder: Path | str) -> tuple[Config, dict[str, Any]]:
    """The options of a run, and the rest of its config.json."""
    run = RunFolder(folder)
    if not run.has(CONFIG):
        raise MissingFileError(f"no {CONFIG} in {folder}: pass the folder of a run")
    return parse_description(run.read(CONFIG), run.path / CONFIG)


def resume_run(run: RunFolder, config: Config, data: ImageData) -> None:
    """Lock a run to go on with it. Raises ValueError where that would be with other options or
    images. Where it runs may change."""
    folder = run.path
    read_run(folder)  # a folder that is no run is told before it is locked
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
        told = ", ".join(f"{name} ({before[name]}, not {now[name]})" for name in sorted(other))
        raise InputError(
            f"the run in {folder} was begun with other options: {told}. Resume it with those it "
            "has, or begin a new run"
        )
    check_same_data(folder, description, data)
    if changed:
        record_changes(run, description, {name: (before[name], now[name]) for name in changed}, now)


def check_more_epochs(folder: Path, begun: Config, now: Config) -> set[str]:
    """Which options may change so that a run is trained for more epochs. Raises ValueError where it
    may not be.

    A schedule that is laid out over all epochs has fallen to 0 at their end. A run with one goes on
    at a constant learning rate, which has to be given.
    """
    if now.epochs == begun.epochs:
        return set()
    if now.epochs < begun.epochs:
        raise InputError(
            f"the run in {folder} was begun for {begun.epochs} epochs: --epochs can only be more, "
            f"got {now.epochs}"
        )
    if begun.schedule not in ("cosine", "one-cycle"):
        return {"epochs"}
    if now.schedule != "constant" or now.lr == begun.lr:
        raise InputError(
            f"the learning rate of the run in {folder} falls to 0 at the end of its {begun.epochs} "
            f"epochs (schedule {begun.schedule}): for more of them say at which rate, such as "
            f"--schedule constant --lr {begun.lr / 10:g}; or begin a new run with --epochs "
            f"{now.epochs}"
        )
    return {"epochs", "schedule", "lr"}


def record_changes(
    run: RunFolder,
    description: dict[str, Any],
    changes: dict[str, tuple[Any, Any]],
    config: dict[str, Any],
) -> None:
    """Write config.json with the options as they are from now on, and what they were before."""
    note = {
        "options": {name: {"before": old, "now": new} for name, (old, new) in changes.items()},
        "provenance": provenance(),
    }
    resumed = [*description.get("resumed", []), note]
    run.write({CONFIG: json_text(description | {"config": config, "resumed": resumed})})


def check_same_data(folder: Path, description: dict[str, Any], data: ImageData) -> None:
    """Raise ValueError where these are not the images that the run was made with."""
    if description["data"]["sha256"] != data.sha256:
        raise InputError(
            f"the run in {folder} was made with other data: SHA-256 {description['data']['sha256']}"
            f", these images have {data.sha256}"
        )


def load_run_test_data(
    name: Path | str,
    config: Config,
    description: dict[str, Any],
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> ImageData:
    """The test images of a run. Its training images are needed only where it is so old that its
    config.json has no sum of the tests alone. Raises ValueError where these are others."""
    where, data = data_dir or config.data_dir, description["data"]
    if "test_sha256" not in data:
        found = load_data(config.dataset, where, cache_dir)
        check_same_data(Path(name), description, found)
        return found
    found = load_test_data(config.dataset, where, cache_dir)
    if found.test_sha256 != data["test_sha256"]:
        raise InputError(
            f"the run in {name} was made with other data: the SHA-256 of its test images is "
            f"{data['test_sha256']}, these images have {found.test_sha256}"
        )
    return found.with_sha256(data["sha256"])


def load_model(
    folder: Path | str, model: nn.Module | str | None = None, option: str = "model"
) -> nn.Module:
    """The trained network of a run, in evaluation mode, on the processor.

    A network that was handed over as an object has to be again, as `model`, for the weights to be
    put into it; a name, such as "module:factory", does as well. A factory that the run names is
    called only where `model` names it again.
    """
    folder = Path(folder)
    config, description = read_run(folder)
    data = description["data"]
    if not isinstance(model, nn.Module):
        name, shape = (
            trusted_model_name(model, config.model, folder / CONFIG, option),
            tuple(data["shape"]),
        )
        model = build_for_weights(name, shape, len(data["classes"]))
    return load_matching_weights(model, load_weights(folder), folder / WEIGHTS)


def metrics_text(metrics: list[dict[str, Any]]) -> str:
    """metrics.jsonl, a line an epoch."""
    return "".join(json.dumps(line, allow_nan=False) + "\n" for line in metrics)


def json_text(content: dict[str, Any]) -> str:
    """JSON that any reader accepts: R's knows no NaN."""
    return json.dumps(content, indent=2, allow_nan=False) + "\n"


def provenance(command: str | None = None) -> dict[str, Any]:
    """Where a result comes from: command (this process's unless given), commit, versions, machine
    and time; the GPU too, where this process has used one."""
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_initialized() else {}
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
    """The commit of the checkout that this code lies in, with a + where it was changed since."""
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
