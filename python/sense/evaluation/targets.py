"""What is evaluated: the network of a run, of a file of weights, or of a factory."""

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checkpoint import WEIGHTS, read_weights, weights_file_sha256
from ..collapse import collapse_summary
from ..config.options import NormName, claimed_eps, runtime_options
from ..data import Data, load_data, load_test_data
from ..devices import to_device_for_evaluation
from ..errors import InputError, MissingFileError
from ..extensions import IMPORTABLE, trusted_name
from ..manifest import MANIFEST
from ..models import build_for_weights, build_model
from ..random_numbers import preserved_random_state
from ..run_folder import RunFolder
from ..runs import (
    CONFIG,
    METRICS,
    check_same_data,
    load,
    load_run_test_data,
    read_metrics,
    read_run,
)
from ..weights import load_matching_weights, weights_sha256
from .settings import Settings

DEFAULT_FOLDER = Path("evaluations")


@dataclass(frozen=True)
class Target:
    """A trained network, its data, and the folder of the results.

    Attributes
    ----------
    name
        In results.
    kind
        "run", "weights", "factory", "fit" or "object".
    model_name
        Name of the network.
    model
        In evaluation mode.
    data
        Its test images are evaluated.
    folder
        For the results.
    config
        The options of training, in the plain types of JSON; None if they are not known.
    training_note
        A sentence about its training, if that collapsed.
    weights_file_sha256
        The SHA-256 of the run's file of weights; None for other targets.
    """

    name: str
    kind: str
    model_name: str
    model: nn.Module
    data: Data
    folder: Path
    config: dict[str, Any] | None = None
    training_note: str | None = None
    weights_file_sha256: str | None = None

    @property
    def eps(self) -> float | None:
        return None if self.config is None else claimed_eps(self.config)

    @property
    def norm(self) -> NormName | None:
        return None if self.config is None else self.config["norm"]

    def plain(self) -> dict[str, Any]:
        """The entry `target` of evaluation.json."""
        return {
            "name": self.name,
            "kind": self.kind,
            "model": self.model_name,
            "weights_sha256": weights_sha256(self.model),
            "weights_file_sha256": self.weights_file_sha256,
            "config": self.config,
            "runtime_options": None if self.config is None else list(runtime_options()),
            "training_note": self.training_note,
        }


def open_target(
    spec: str,
    *,
    out: Path | None = None,
    weights: Path | None = None,
    model: nn.Module | str | None = None,
    dataset: str | None = None,
    data_dir: Path | None = None,
    data: Data | None = None,
) -> Target:
    """Return the target named on the command line.

    Parameters
    ----------
    spec
        The folder of a run; a file of weights (safetensors, or a .pt file of tensors only) of the
        network `model`, or of that in the config.json beside it; or the name of a network, such
        as "module:factory", with its weights in the file `weights`.
    out
        Folder of the results. Default: the run's folder, or evaluations/NAME.
    dataset, data_dir
        The data, if they are not known from the target.
    data
        The images themselves instead.

    Raises
    ------
    ValueError, FileNotFoundError
        If something is missing; the message names it.
    """
    path = Path(spec)
    if path.is_dir():
        _check_dataset_of_run(path, dataset)
        return open_run(path, out=out, model=model, data_dir=data_dir, data=data, weights=weights)
    if path.is_file():
        if weights is not None:
            raise InputError(f"{spec} is a file of weights: leave out --weights, or name a network")
        return _open_weights(path, out, model, dataset, data_dir, data)
    if re.fullmatch(IMPORTABLE, spec) or weights is not None:
        return _open_factory(spec, out, weights, dataset, data_dir, data)
    raise MissingFileError(
        f"{spec} is not the folder of a run, a file of weights, or MODULE:FACTORY with --weights"
    )


def _check_dataset_of_run(folder: Path, dataset: str | None) -> None:
    """Raise InputError if a data set other than that of the run is named."""
    own = read_run(folder)[0].dataset
    if dataset not in (None, own):
        raise InputError(
            f"{folder} is a run that was trained on {own}, and is evaluated on its test images: "
            f"leave out --dataset, or evaluate the file of its weights, {folder / WEIGHTS}"
        )


def open_run(
    folder: Path | str,
    *,
    out: Path | str | None = None,
    model: nn.Module | str | None = None,
    data_dir: Path | None = None,
    data: Data | None = None,
    weights: Path | None = None,
) -> Target:
    """Return the target of a run's folder."""
    folder = Path(folder)
    config, description = read_run(folder)
    if weights is not None:
        raise InputError(f"{folder} is a run that has its own weights: leave out --weights")
    if data is None:
        data = load_run_test_data(folder, config, description, data_dir)
    else:
        check_same_data(folder, description, data)
    of_file = weights_file_sha256(folder)  # read first: if the weights are replaced, it is too old
    return Target(
        name=folder.resolve().name,
        kind="run",
        model_name=config.model,
        model=load(folder, model),
        data=data,
        folder=Path(out or folder),
        config=description["config"],
        training_note=training_note(read_metrics(folder), folder / METRICS),
        weights_file_sha256=of_file,
    )


def training_note(metrics: list[dict[str, Any]], source: Path | str) -> str | None:
    """Return a sentence about a training that collapsed, from the metrics of its epochs. Raises
    InputError, which names `source`, for metrics that no run has."""
    try:
        return collapse_summary(metrics)
    except (LookupError, StopIteration, TypeError):
        raise InputError(
            f"{source} is damaged, or was made by another version of sense: it marks a collapse, "
            "but does not have all its numbers"
        ) from None


def _open_weights(
    path: Path,
    out: Path | None,
    model: nn.Module | str | None,
    dataset: str | None,
    data_dir: Path | None,
    data: Data | None,
) -> Target:
    """A file of weights, with the config.json beside it if there is one."""
    beside = path.parent / CONFIG
    # Other packages write config.json too. It is not needed if network and data are given.
    needed = model is None or (dataset is None and data is None)
    of_ours, config = os.path.lexists(path.with_name(MANIFEST)), None
    if (needed or of_ours) and RunFolder(path.parent).has(CONFIG):
        config = read_run(path.parent)[1]["config"]
    if config is None and model is None:
        raise InputError(f"the network of {path} is not known: --model NAME or MODULE:FACTORY")
    if config is not None and not isinstance(model, nn.Module):
        model = trusted_name(model, config["model"], beside)
    data = _data(path, config, dataset, data_dir, data)
    assert model is not None
    network = build_for_weights(model, data.shape, len(data.classes))
    short = path.stem if config is None else f"{path.resolve().parent.name}-{path.stem}"
    return Target(
        name=short,
        kind="weights",
        model_name=model if isinstance(model, str) else type(model).__qualname__,
        data=data,
        folder=out or DEFAULT_FOLDER / short,
        model=load_matching_weights(network, read_weights(path), path),
        config=config,
    )


def _open_factory(
    name: str,
    out: Path | None,
    weights: Path | None,
    dataset: str | None,
    data_dir: Path | None,
    data: Data | None,
) -> Target:
    """A network by name, with the weights of a file or as the factory returns it."""
    data = _data(Path(name), None, dataset, data_dir, data)
    if weights is None:
        with preserved_random_state():
            network = build_model(name, data.shape, len(data.classes))
    else:
        network = build_for_weights(name, data.shape, len(data.classes))
        load_matching_weights(network, read_weights(weights), weights)
    short = re.sub(r"\W+", "-", name) if weights is None else weights.stem
    return Target(
        name=short,
        kind="factory",
        model_name=name,
        model=network.eval(),
        data=data,
        folder=out or DEFAULT_FOLDER / short,
    )


def _data(
    path: Path,
    config: dict[str, Any] | None,
    dataset: str | None,
    data_dir: Path | None,
    data: Data | None,
) -> Data:
    if data is not None:
        return data
    if dataset is None and config is not None:
        dataset, data_dir = config["dataset"], data_dir or config["data_dir"]
    if dataset is None:
        raise InputError(f"the data of {path} are not known: --dataset NAME")
    folder = None if data_dir is None else Path(data_dir)
    try:
        return load_data(dataset, folder)
    except MissingFileError:
        return load_test_data(dataset, folder)  # only the test images are needed


def open_source(settings: Settings, device: torch.device) -> nn.Module | None:
    """Return the network that `transfer` attacks, on the device; None without `source`."""
    if settings.source is None:
        return None
    model = load(settings.source, settings.source_model, option="source_model")
    return to_device_for_evaluation(model, device)


def with_distinct_names(targets: list[Target]) -> list[Target]:
    """Return the targets with distinct names. Equal names get the name of the parent folder."""
    names = [target.name for target in targets]
    if len(set(names)) == len(names):
        return targets
    longer = [
        replace(target, name=f"{target.folder.resolve().parent.name}-{target.name}")
        for target in targets
    ]
    if len({target.name for target in longer}) < len(longer):
        raise InputError(f"targets must have distinct names, got {' '.join(names)}")
    return longer
