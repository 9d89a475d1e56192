"""The functions that R calls, and that nothing else uses. Arguments and results are plain: numbers,
strings, lists, dictionaries, arrays and, for weights, bytes."""

import hashlib
import traceback
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .attacks.output_checks import check_logits
from .bridge_sweeps import reproduce as reproduce
from .bridge_sweeps import sweep as sweep
from .callbacks import Callback
from .checkpoint import unpack_weights
from .collapse import collapse_summary, new_collapse
from .config import Config, default_recipe, from_plain, notes, recipe
from .config.options import CODE_OPTIONS, check_named_code, with_named_code
from .config_files import config_from_file
from .data import Data, ImageData, Scaling, TableData, load_data, to_float
from .data.folder import MAX_IMAGES
from .data.folder import images_from_folder as folder_images
from .data.images import check_images
from .description import options_of_run, parse_description
from .devices import check_threads, choose_device, to_device_for_evaluation
from .errors import InputError
from .evaluation.compare import compare as compare_evaluations
from .evaluation.examples import make_examples
from .evaluation.settings import settings_from_plain
from .evaluation.stored_evaluation import EvaluationStopped, evaluate_target
from .evaluation.summary import with_free_folder
from .evaluation.targets import Target, training_note
from .extensions import is_code, trusted_name
from .interrupts import noted_signals
from .models import build_for_weights
from .monitor import training_part
from .network_export import check_file, of_run, write_network
from .networks import check_network, torch_defaults
from .process_settings import restored_settings
from .progress import epoch_line
from .runs import check_same_data, load_run_test_data, read_metrics, read_run
from .train import TimeOverWarning, TrainingStopped, fit, time_over_note
from .training import Training
from .weights import load_matching_weights

TASKS = (
    "train",
    "predict",
    "evaluate",
    "adversarial_examples",
    "compare",
    "export",
    "images_from_folder",
    "sweep",
    "reproduce",
)
FIT = "the fit"  # its name in messages
PREDICT_BATCH = 500
VALIDATION_PART = 6  # without test images, one in 6 training images is held out for validation
TRANSPOSE_BATCH = 256  # images converted at once from R's memory order to torch's


def call(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call one of `TASKS`.

    Returns
    -------
    A dictionary with one of "value", the result; "input_error", the message of an error of the
    user's input; "interrupted"; "traceback", that of any other error.
    """
    assert task in TASKS
    try:
        return {"value": globals()[task](**arguments)}
    except KeyboardInterrupt:
        return {"interrupted": True}
    except InputError as error:
        return {"input_error": str(error)}
    except Exception:
        return {"traceback": traceback.format_exc()}


def train(
    options: dict[str, Any],
    recipe_name: str | None,
    out: str,
    images: dict[str, Any] | None = None,
    resume: bool = False,
    cache_dir: str | None = None,
    on_epoch: Callable[[str], object] | None = None,
    command: str | None = None,
    model: str | None = None,
    base: str | None = None,
    config_file: str | None = None,
) -> dict[str, Any]:
    """Train a network.

    Parameters
    ----------
    options
        Options of `Config` in plain types, which replace those of the recipe or, with `resume`, of
        the run.
    recipe_name
        Default: `default_recipe`. None with `resume`.
    out
        The folder of the run.
    images
        Arguments of `image_data_from_r` or `table_data_from_r`. Default: the data set of the
        options.
    on_epoch
        Called with one line of text per epoch.
    model
        As in `predict`.
    base
        The text of the config.json of a run whose options replace those of the recipe.
    config_file
        As `--config` of `python -m sense.train`.

    Returns
    -------
    "folder"; "stopped", whether training was interrupted; and, if not, "validation", the positions
    of the images that were held out; "collapse", a sentence if training collapsed, else None; and
    "unfinished", one if the time of `minutes` was over before the last epoch, else None.
    """
    folder = Path(out)
    if resume and recipe_name is not None:
        raise InputError("a run is resumed with its own options: leave out the recipe")
    start = read_run(folder)[0] if resume else recipe(recipe_name) if recipe_name else None
    if config_file is not None:
        if resume or recipe_name is not None:
            raise InputError("config has all options: leave out the recipe, or the run to resume")
        start = config_from_file(config_file, options)
    if base is not None:
        start = options_of_run(base, FIT)
        check_named_code(start, options, FIT)
    if resume:
        options = dict(options)
        model = model or options.pop("model", None)
        code = named_code(options)
        options = {name: value for name, value in options.items() if name not in code}
        start = None if start is None else with_named_code(start, code)
        if images is not None and start is not None and start.dataset in ("arrays", "table"):
            options.pop("dataset", None)  # R names it whenever images are passed
    if images is not None:
        data = data_from_r(images)
        if "eps" in images and isinstance(data, TableData):
            options = dict(options) | {"eps": data.scaling.radius(images["eps"])}
        if isinstance(options.get("eval_eps"), list) and isinstance(data, TableData):
            radius = data.scaling.radius(options["eval_eps"], "eval_eps")
            options = dict(options) | {"eval_eps": radius}
        if "x_test" not in images and not resume and base is None:
            options = {"validation_size": max(1, len(data.train_x) // VALIDATION_PART)} | options
        start = start or default_recipe(options.get("dataset"), data.shape[0])
        config = from_plain(options, start)
        if isinstance(data, TableData) and "eps" in options and not resume:
            # A step of the table's recipe is a quarter of its eps.
            config = from_plain({"step_size": config.eps / 4 or config.step_size} | options, start)
    else:
        config = from_plain(options, start)
        data = load_data(config.dataset, config.data_dir, _path(cache_dir))
    end = _End()
    with noted_signals() as stop, warnings.catch_warnings():
        warnings.simplefilter("ignore", TimeOverWarning)  # R gives one of its own
        if on_epoch is not None:
            kept = len(data.train_y) - config.validation_size
            for note in notes(config, data.shape[0], kept):
                on_epoch(f"note: {note}")
        try:
            fit(
                config,
                folder,
                data=data,
                resume=resume,
                callbacks=[end] if on_epoch is None else [end, _EpochLines(on_epoch)],
                on_note=None if on_epoch is None else lambda note: on_epoch(f"note: {note}"),
                stop=stop,
                command=command,
                model=model,
            )
        except TrainingStopped:
            return {"stopped": True, "folder": str(folder)}
    held = training_part(data, config)[1].tolist()
    collapse = collapse_summary(read_metrics(folder))
    return {
        "stopped": False,
        "folder": str(folder),
        "validation": held,
        "collapse": collapse,
        "unfinished": end.note,
    }


class _End(Callback):
    """Notes how training ended: a sentence if it was before the last epoch, else None."""

    note: str | None = None

    def on_train_end(self, training: Training) -> None:
        if training.epoch < training.epochs:
            self.note = time_over_note(training)


class _EpochLines(Callback):
    """Calls a function with a line of text for each epoch, and one for a collapse that begins."""

    def __init__(self, on_line: Callable[[str], object]) -> None:
        self.on_line = on_line

    def on_epoch_end(self, training: Training, metrics: dict[str, Any]) -> None:
        self.on_line(epoch_line(training.metrics, training.epochs))
        if note := new_collapse(training.metrics):
            self.on_line(f"note: {note}")


def named_code(options: dict[str, Any]) -> dict[str, Any]:
    """Return those options that name code of the user's own."""
    return {name: options[name] for name in CODE_OPTIONS if is_code(options.get(name))}


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
    count = {} if n is None else {"n": int(n)}
    return make_examples(target, settings_from_plain(options or {}), device=device, **count)


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
        images = load_run_test_data(name, config, run, _path(data_dir), _path(cache_dir)).test_x
    done = write_network(network, path, images, of_run(config, run))
    difference = {"largest_difference": done.largest_difference, "images": done.images}
    return {"text": str(done), **difference}


def compare(folders: dict[str, str]) -> dict[str, Any]:
    """Return the content of comparison.json for evaluations, given their folders by name."""
    return compare_evaluations({name: Path(folder) for name, folder in folders.items()})


def images_from_folder(
    folder: str,
    size: list[int] | None = None,
    colour: bool | None = None,
    max_images: int = MAX_IMAGES,
) -> dict[str, Any]:
    """Return the images of a folder in R's order, n x height x width x channels, their labels, and
    the names of the classes and files. Arguments as in `sense.data.images_from_folder`."""
    shape = None if size is None else (int(size[0]), int(size[1]))
    found = folder_images(folder, size=shape, colour=colour, max_images=int(max_images))
    return {
        "x": found.x.permute(0, 2, 3, 1).contiguous().numpy().astype(np.int32),
        "y": found.y.tolist(),
        "classes": list(found.classes),
        "files": list(found.files),
    }


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
        data = load_run_test_data(name, config, run, _path(data_dir), _path(cache_dir))
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


def _path(path: str | None) -> Path | None:
    return None if path is None else Path(path)


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        torch.set_num_threads(check_threads(int(threads)))


def data_from_r(images: dict[str, Any]) -> Data:
    """Return the data set of R's arguments: a table if they have "features", otherwise images."""
    return table_data_from_r(**images) if "features" in images else image_data_from_r(**images)


def table_data_from_r(
    features: NDArray[Any],
    y: Any,
    classes: list[str],
    names: list[str],
    eps: list[float] | None = None,
    bounds: Any = None,
    x_test: NDArray[Any] | None = None,
    y_test: Any = None,
) -> TableData:
    """Return a table from R: features in their own units, n x d, labels from 0, and the arguments
    of `Scaling.of`. The test rows may be missing."""
    test_labels = None if x_test is None else labels_from_r(y_test)
    options = {"names": tuple(names), "eps": eps, "bounds": bounds}
    return TableData.from_features(
        "table", features, labels_from_r(y), x_test, test_labels, classes, **options
    )


def inputs_from_r(x: NDArray[Any], data: dict[str, Any], *, attacked: bool = True) -> torch.Tensor:
    """Return images, or scaled features, for a fit with this description of its data."""
    if "features" in data:
        return Scaling.from_plain(data["features"])(x, attacked=attacked)
    channels, height, width = data["shape"]
    return images_from_r(x, (channels, height, width))


def image_data_from_r(
    x: NDArray[Any],
    y: Any,
    classes: list[str],
    x_test: NDArray[Any] | None = None,
    y_test: Any = None,
) -> ImageData:
    """Return a data set from R's arrays: images as in `images_from_r`, labels from 0. The test
    images may be missing."""
    train_x, train_y = images_from_r(x, None), labels_from_r(y)
    test_x, test_y = train_x[:0], train_y[:0]
    if x_test is not None:
        channels, height, width = train_x.shape[1:]
        test_x, test_y = images_from_r(x_test, (channels, height, width)), labels_from_r(y_test)
    return ImageData("arrays", train_x, train_y, test_x, test_y, tuple(classes))


def images_from_r(x: NDArray[Any], shape: tuple[int, int, int] | None) -> torch.Tensor:
    """Return images n x channels x height x width from R's order, n x height x width (x channels).

    Integers are taken as bytes from 0 to 255, floating point numbers as pixels from 0 to 1. Raises
    InputError if the images do not have the `shape` (channels, height, width).
    """
    array = np.asarray(x)
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4:
        raise InputError(
            f"images must be an array n x height x width (x channels), got {array.shape}"
        )
    if shape is not None and array.shape[1:] != (*shape[1:], shape[0]):
        raise InputError(
            f"images must be n x {shape[1]} x {shape[2]} x {shape[0]} (height, width, channels), "
            f"as the training images, got {' x '.join(map(str, array.shape))}"
        )
    if np.issubdtype(array.dtype, np.integer):
        if array.size and (array.min() < 0 or array.max() > 255):
            raise InputError(
                f"integer pixels must be from 0 to 255, got {array.min()} to {array.max()}"
            )
        kind: type[np.generic] = np.uint8
    else:
        kind = np.float32
    n, height, width, channels = array.shape
    pixels = np.empty((n, channels, height, width), kind)
    # In R's memory order the first index varies fastest. Small batches fit into the CPU's cache.
    for first in range(0, n, TRANSPOSE_BATCH):
        part = slice(first, first + TRANSPOSE_BATCH)
        pixels[part] = array[part].transpose(0, 3, 1, 2)
    images = torch.from_numpy(pixels)
    check_images(images, "images")
    return images


def labels_from_r(y: Any) -> torch.Tensor:
    """Return labels, whole numbers from 0, as int64."""
    labels = np.atleast_1d(np.asarray(y))
    if labels.dtype.kind not in "biuf" or not np.isfinite(labels).all() or (labels % 1).any():
        raise InputError(f"labels must be whole numbers from 0, got {labels[:5]} ...")
    return torch.from_numpy(labels.astype(np.int64))
