"""All that R calls. Arguments and answers are plain: numbers, strings, lists, named lists, arrays
and, for weights, bytes. Nobody else needs this module, and R needs no other."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .attacks.output_checks import check_logits
from .checkpoint import unpack_weights
from .config import Config, default_recipe, from_plain, recipe, remarks
from .data import ImageData, load_data, to_float
from .data.images import check_images
from .description import parse_description
from .devices import check_threads, choose_device, to_device_for_evaluation
from .errors import InputError
from .evaluation.compare import compare as compare_evaluations
from .evaluation.evaluate import EvaluationStopped, evaluate_target
from .evaluation.examples import make_examples
from .evaluation.output_folder import beside_others
from .evaluation.settings import settings_from_plain
from .evaluation.targets import Target
from .interrupts import noted_signals
from .models import build_for_weights
from .models.custom import trusted_model_name
from .monitor import training_part
from .networks import check_network, torch_defaults
from .process_settings import restored_settings
from .progress import epoch_line
from .runs import check_same_data, load_run_test_data, read_run
from .train import TrainingStopped, fit
from .weights import load_matching_weights

PREDICT_BATCH = 500
HELD_OUT = 6  # of images that come without test images every sixth, drawn, is for validation
TASKS = ("train", "predict", "evaluate", "adversarial_examples", "compare")
FIT = "the fit"
IMAGES_AT_ONCE = 256  # taken from R's order of an array to torch's


def answer(task: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What one of `TASKS` gives, as "value"; or "refused", the message of an error of the user's
    input; or "interrupted"; or "fault", the traceback of any other error. R tells them apart."""
    assert task in TASKS
    try:
        return {"value": globals()[task](**arguments)}
    except KeyboardInterrupt:
        return {"interrupted": True}
    except InputError as error:
        return {"refused": str(error)}
    except Exception:
        return {"fault": traceback.format_exc()}


def train(
    options: dict[str, Any],
    base: str | None,
    out: str,
    images: dict[str, Any] | None = None,
    resume: bool = False,
    cache_dir: str | None = None,
    on_epoch: Callable[[str], object] | None = None,
    command: str | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Train, and say which folder the run is in, whether it was stopped before its end, and the
    positions of the images that were held out for validation.

    `images` is what `as_image_data` takes. `on_epoch` is called with a line of text an epoch.
    With `resume`, the options are changes of those of the run in `out`, and `model` is as in
    `predict`.
    """
    folder = Path(out)
    if resume and base is not None:
        raise InputError("a run is resumed with the options it has: leave out the recipe")
    own = read_run(folder)[0] if resume else None if base is None else recipe(base)
    if resume:
        options = dict(options)
        model = model or options.pop("model", None)
        if images is not None and own is not None and own.dataset == "arrays":
            options.pop("dataset", None)  # is said with images that are given again
    if images is not None:
        data = as_image_data(**images)
        if "x_test" not in images and not resume:
            options = {"validation": max(1, len(data.train_x) // HELD_OUT)} | options
        own = own or default_recipe(options.get("dataset"), data.shape[0])
        config = from_plain(options, own)
    else:
        config = from_plain(options, own)
        cache = None if cache_dir is None else Path(cache_dir)
        data = load_data(config.dataset, config.data_dir, cache)
    epochs = config.pretrain + config.epochs

    def report(line: dict[str, Any]) -> None:
        if on_epoch is not None:
            on_epoch(epoch_line(line, epochs))

    with noted_signals() as stop:
        if on_epoch is not None:
            for remark in remarks(config, data.shape[0]):
                on_epoch(f"note: {remark}")
        try:
            fit(
                config,
                folder,
                data=data,
                resume=resume,
                on_epoch=report,
                stop=stop,
                command=command,
                model=model,
            )
        except TrainingStopped:
            return {"stopped": True, "folder": str(folder)}
    held = training_part(data, config)[1].tolist()
    return {"stopped": False, "folder": str(folder), "validation": held}


@restored_settings()
@torch_defaults()
def predict(
    description: str,
    weights: bytes | bytearray,
    x: NDArray[Any],
    device: str = "auto",
    model: str | None = None,
) -> NDArray[np.float64]:
    """Probabilities of the classes, n x classes, for images as `as_images` takes them. `model`
    names the network again where the fit names a factory, which is not called else."""
    config, run = parse_description(description, FIT)
    images = as_images(x, tuple(run["data"]["shape"]))
    where = choose_device(device)
    network = to_device_for_evaluation(_network(config, run, weights, model, FIT), where)
    labels = torch.empty(0, dtype=torch.int64)
    classes = len(run["data"]["classes"])
    network = check_network(network, to_float(images[:1].to(where)), labels, classes=classes)
    parts = []
    with torch.no_grad():
        for part in images.split(PREDICT_BATCH):
            logits = network(to_float(part.to(where)))
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
    beside: bool = False,
) -> dict[str, Any]:
    """Evaluate a fit, leave the files of docs/evaluation.md in the folder `out`, or, where `beside`
    is set and that holds an evaluation with other options, in one in it; and say in which, and
    whether it was stopped before its end.

    `description` and `weights` are the text of a run's config.json and the bytes of its weights;
    `options` those of `sense.evaluation.settings.Settings` in plain types; `images` what
    `as_image_data` takes, of a fit whose images were handed over, or other test images: x_test and
    y_test alone. `name` is what results call it, and `on_line` is called with each line of the
    table. `model` is as in `predict`.
    """
    if threads is not None:
        torch.set_num_threads(check_threads(int(threads)))
    target = as_target(description, weights, Path(out), name, images, data_dir, cache_dir, model)
    settings = settings_from_plain(options or {})
    if beside and not overwrite:
        target = beside_others(target, settings)
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
    """What `make_examples` gives for the first n test images of a fit; the rest as in `evaluate`,
    with one attack."""
    if threads is not None:
        torch.set_num_threads(check_threads(int(threads)))
    target = as_target(description, weights, Path(), name, images, data_dir, cache_dir, model)
    count = {} if n is None else {"n": int(n)}
    return make_examples(target, settings_from_plain(options or {}), device=device, **count)


def compare(folders: dict[str, str]) -> dict[str, Any]:
    """What comparison.json holds, of evaluations by name."""
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
    """A fit as what can be evaluated, with its own test images unless others are given."""
    config, run = parse_description(description, name)
    shape = tuple(run["data"]["shape"])
    if images is not None and "x" not in images:
        data = as_test_images(images["x_test"], images["y_test"], shape, run["data"]["classes"])
    elif images is not None:
        data = as_image_data(**images)
        check_same_data(Path(name), run, data)
    else:
        where = None if data_dir is None else Path(data_dir)
        cache = None if cache_dir is None else Path(cache_dir)
        data = load_run_test_data(name, config, run, where, cache)
    network = _network(config, run, weights, model, name)
    return Target(name, "fit", config.model, network, data, out, run["config"])


def _network(
    config: Config, run: dict[str, Any], weights: bytes | bytearray, model: str | None, name: str
) -> torch.nn.Module:
    """The network of a fit, in evaluation mode."""
    data = run["data"]
    known = trusted_model_name(model, config.model, name)
    network = build_for_weights(known, tuple(data["shape"]), len(data["classes"]))
    return load_matching_weights(
        network, unpack_weights(bytes(weights), f"{name}'s weights"), Path(name)
    )


def as_test_images(
    x_test: NDArray[Any], y_test: Any, shape: tuple[int, int, int], classes: list[str]
) -> ImageData:
    """R's arrays as a data set without training images, for which the test images stand."""
    x, y = as_images(x_test, shape), as_labels(y_test)
    return ImageData("arrays", x, y, x, y, tuple(classes))


def as_image_data(
    x: NDArray[Any],
    y: Any,
    classes: list[str],
    x_test: NDArray[Any] | None = None,
    y_test: Any = None,
) -> ImageData:
    """R's arrays as a data set: images as `as_images` takes them, labels counted from 0. It may be
    without test images."""
    train_x, train_y = as_images(x, None), as_labels(y)
    test_x, test_y = train_x[:0], train_y[:0]
    if x_test is not None:
        channels, height, width = train_x.shape[1:]
        test_x, test_y = as_images(x_test, (channels, height, width)), as_labels(y_test)
    return ImageData("arrays", train_x, train_y, test_x, test_y, tuple(classes))


def as_images(x: NDArray[Any], shape: tuple[int, int, int] | None) -> torch.Tensor:
    """n x height x width (x channels), the order of R's arrays, as n x channels x height x width.

    Whole numbers are taken as bytes of 0 to 255, others as pixels of 0 to 1.
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
            f"as those of the training, got {' x '.join(map(str, array.shape))}"
        )
    if np.issubdtype(array.dtype, np.integer):
        if array.size and (array.min() < 0 or array.max() > 255):
            raise InputError(
                f"whole-number pixels must be from 0 to 255, got {array.min()} to {array.max()}"
            )
        kind: type[np.generic] = np.uint8
    else:
        kind = np.float32
    n, height, width, channels = array.shape
    pixels = np.empty((n, channels, height, width), kind)
    # R's first index runs fastest: a few hundred images at a time stay in the processor's cache.
    for first in range(0, n, IMAGES_AT_ONCE):
        part = slice(first, first + IMAGES_AT_ONCE)
        pixels[part] = array[part].transpose(0, 3, 1, 2)
    images = torch.from_numpy(pixels)
    check_images(images, "images")
    return images


def as_labels(y: Any) -> torch.Tensor:
    """Labels, counted from 0, as int64."""
    labels = np.atleast_1d(np.asarray(y))
    if labels.dtype.kind not in "biuf" or not np.isfinite(labels).all() or (labels % 1).any():
        raise InputError(f"labels must be whole numbers, counted from 0, got {labels[:5]} ...")
    return torch.from_numpy(labels.astype(np.int64))
