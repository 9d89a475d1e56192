"""What R does with a fit: predict, evaluate, attack, export, compare."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..attacks.output_checks import check_logits
from ..checkpoint import unpack_weights
from ..config import Config
from ..data import Data, ImageData, Scaling, TableData, to_float
from ..description import parse_description
from ..devices import choose_device, set_threads, to_device_for_evaluation
from ..evaluation.compare import compare as compare_evaluations
from ..evaluation.examples import make_examples
from ..evaluation.settings import settings_from_plain
from ..evaluation.stored_evaluation import EvaluationStopped, evaluate_target
from ..evaluation.summary import with_free_folder
from ..evaluation.targets import Target, training_note
from ..extensions import trusted_name
from ..interrupts import noted_signals
from ..models import build_for_weights
from ..network_export import check_file, of_run, write_network
from ..networks import check_network, torch_defaults
from ..process_settings import restored_settings
from ..runs import check_same_data, load_run_test_data
from ..weights import load_matching_weights
from .data import FIT, data_from_r, inputs_from_r, labels_from_r, path_or_none

PREDICT_BATCH = 500


@restored_settings()
@torch_defaults()
def predict(
    description: str,
    weights: bytes | bytearray,
    x: NDArray[Any],
    device: str = "auto",
    model: str | None = None,
) -> NDArray[np.float64]:
    """Return the probabilities of the classes, n x classes.

    Parameters
    ----------
    description, weights
        The text of a run's config.json, and the bytes of its weights.
    x
        Images, as in `images_from_r`, or features in their own units, n x d.
    model
        The name of the network. Required if the fit names a factory, which is only called if it is
        named here.
    """
    config, run = parse_description(description, FIT)
    images = inputs_from_r(x, run["data"], attacked=False)
    torch_device = choose_device(device)
    network = to_device_for_evaluation(_network(config, run, weights, model, FIT), torch_device)
    labels = torch.empty(0, dtype=torch.int64)
    classes = len(run["data"]["classes"])
    network = check_network(network, to_float(images[:1].to(torch_device)), labels, classes=classes)
    parts = []
    with torch.no_grad():
        for part in images.split(PREDICT_BATCH):
            logits = network(to_float(part.to(torch_device)))
            check_logits(logits, len(part), classes)
            parts.append(logits.softmax(1).cpu())
    return torch.cat(parts).double().numpy()


@restored_settings()
def evaluate(
    description: str,
    weights: bytes | bytearray,
    out: str,
    options: dict[str, Any] | None = None,
    images: dict[str, Any] | None = None,
    data_dir: str | None = None,
    cache_dir: str | None = None,
    name: str = "fit",
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
    on_line: Callable[[str], object] | None = None,
    command: str | None = None,
    model: str | None = None,
    free_folder: bool = False,
    metrics: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Evaluate a fit and write the files of docs/evaluation.md.

    Parameters
    ----------
    description, weights, model
        As in `predict`.
    out, free_folder
        The folder of the results. With `free_folder` a folder in it is used if it holds an
        evaluation with other options.
    options
        Options of `Settings` in plain types.
    images
        Arguments of `image_data_from_r`: the data of a fit that was passed in memory; or other test
        images, "x_test" and "y_test" alone. Default: the data set of the fit.
    name
        The name of the fit in results.
    on_line
        Called with each line of the table.
    metrics
        The metrics of the epochs of the fit, if one of them has an entry "collapse".

    Returns
    -------
    "folder"; "stopped", whether the evaluation was interrupted.
    """
    _set_threads(threads)
    target = as_target(description, weights, Path(out), name, images, data_dir, cache_dir, model)
    target = replace(target, training_note=training_note(metrics or [], f"{name}$metrics"))
    settings = settings_from_plain(options or {})
    if free_folder and not overwrite:
        target = with_free_folder(target, settings)
    folder = str(target.folder)
    with noted_signals() as stop:
        try:
            evaluate_target(
                target,
                settings,
                device=device,
                overwrite=overwrite,
                on_line=on_line or (lambda line: None),
                stop=stop,
                command=command,
            )
        except EvaluationStopped:
            return {"stopped": True, "folder": folder}
    return {"stopped": False, "folder": folder}


@restored_settings()
def adversarial_examples(
    description: str,
    weights: bytes | bytearray,
    options: dict[str, Any] | None = None,
    n: int | None = None,
    images: dict[str, Any] | None = None,
    data_dir: str | None = None,
    cache_dir: str | None = None,
    name: str = "fit",
    device: str = "auto",
    threads: int | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Return adversarial examples of the first n test images, as `make_examples` does. The other
    arguments are as in `evaluate`; the options have one attack."""
    _set_threads(threads)
    target = as_target(description, weights, Path(), name, images, data_dir, cache_dir, model)
    count = None if n is None else int(n)
    return make_examples(target, settings_from_plain(options or {}), n=count, device=device)


@restored_settings()
@torch_defaults()
def export(
    description: str,
    weights: bytes | bytearray,
    file: str,
    x: NDArray[Any] | None = None,
    data_dir: str | None = None,
    cache_dir: str | None = None,
    name: str = "fit",
    model: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Export the network of a fit, as `sense.export` does. x are images or features for the
    comparison, as in `predict`; default: the test images of its data set. The other arguments are
    as in `evaluate`.

    Returns
    -------
    "text", one line; "largest_difference" and "images".
    """
    path = Path(file)
    check_file(path, overwrite)
    config, run = parse_description(description, name)
    network = _network(config, run, weights, model, name)
    if x is not None:
        images = inputs_from_r(x, run["data"], attacked=False)
    else:
        images = load_run_test_data(
            name, config, run, path_or_none(data_dir), path_or_none(cache_dir)
        ).test_x
    done = write_network(network, path, images, of_run(config, run))
    difference = {"largest_difference": done.largest_difference, "images": done.images}
    return {"text": str(done), **difference}


def compare(folders: dict[str, str]) -> dict[str, Any]:
    """Return the content of comparison.json for evaluations, given their folders by name."""
    return compare_evaluations({name: Path(folder) for name, folder in folders.items()})


def as_target(
    description: str,
    weights: bytes | bytearray,
    out: Path,
    name: str,
    images: dict[str, Any] | None,
    data_dir: str | None,
    cache_dir: str | None,
    model: str | None = None,
) -> Target:
    """Return a fit to evaluate, on its own test images or on those of `images`."""
    config, run = parse_description(description, name)
    data: Data
    if images is not None and "x" not in images:
        y, classes = labels_from_r(images["y_test"]), tuple(run["data"]["classes"])
        x = inputs_from_r(images["x_test"], run["data"])
        if "features" in run["data"]:
            data = TableData(
                "table", x, y, x, y, classes, Scaling.from_plain(run["data"]["features"])
            )
        else:
            data = ImageData.from_test_images("arrays", x, y, classes)
    elif images is not None:
        data = data_from_r(images)
        check_same_data(Path(name), run, data)
    else:
        data = load_run_test_data(
            name, config, run, path_or_none(data_dir), path_or_none(cache_dir)
        )
    network = _network(config, run, weights, model, name)
    of_file = hashlib.sha256(weights).hexdigest()
    return Target(
        name,
        "fit",
        config.model,
        network,
        data,
        out,
        run["config"],
        weights_file_sha256=of_file,
    )


def _network(
    config: Config, run: dict[str, Any], weights: bytes | bytearray, model: str | None, name: str
) -> torch.nn.Module:
    """Return the network of a fit, in evaluation mode."""
    data = run["data"]
    known = trusted_name(model, config.model, name)
    network = build_for_weights(known, tuple(data["shape"]), len(data["classes"]))
    return load_matching_weights(
        network, unpack_weights(bytes(weights), f"{name}'s weights"), Path(name)
    )


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        set_threads(int(threads))
