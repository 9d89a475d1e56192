"""Training, called from R."""

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..callbacks import Callback
from ..collapse import collapse_summary, new_collapse
from ..config import Config, default_recipe, from_plain, notes, recipe
from ..config.options import CODE_OPTIONS, check_named_code, with_named_code
from ..config_files import config_from_file, features_of_file
from ..data import Data, Scaling, TableData, load_data
from ..description import options_of_run, parse_description
from ..errors import InputError, OtherDataError
from ..extensions import is_code
from ..interrupts import noted_signals
from ..monitor import training_part
from ..progress import epoch_line
from ..runs import read_metrics, read_run
from ..train import TimeOverWarning, TrainingStopped, fit, time_over_note
from ..training import Training
from .data import FIT, data_from_r, path_or_none, table_as_in_run

VALIDATION_PART = 6  # without test images, one in 6 training images is held out for validation


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
    start, options, model = _start(folder, options, recipe_name, resume, model, base, config_file)
    data: Data
    if images is None:
        config = from_plain(options, start)
        data = load_data(config.dataset, config.data_dir, path_or_none(cache_dir))
    else:
        if resume and start is not None and start.dataset in ("arrays", "table"):
            options.pop("dataset", None)  # R names it whenever images are passed
        features = _stored_features(folder if resume else None, base, config_file)
        if features is not None and "features" in images:
            new_eps = not resume and "eps" in options
            data = table_as_in_run(images, features, resume=resume, eps=new_eps)
        else:
            data = data_from_r(images)
        if "x_test" not in images and not resume and base is None:
            options = {"validation_size": max(1, len(data.train_x) // VALIDATION_PART)} | options
        start = start or default_recipe(options.get("dataset"), data.shape[0])
        if isinstance(data, TableData):
            config = _table_config(start, options, images.get("eps"), data.scaling, resume)
        else:
            config = from_plain(options, start)
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


def _start(
    folder: Path,
    options: dict[str, Any],
    recipe_name: str | None,
    resume: bool,
    model: str | None,
    base: str | None,
    config_file: str | None,
) -> tuple[Config | None, dict[str, Any], str | None]:
    """Return the options that training starts from, None for those of the default recipe; the
    options that replace them; and the name of the network, if it is given. Arguments as in
    `train`."""
    if resume and recipe_name is not None:
        raise InputError("a run is resumed with its own options: leave out the recipe")
    if config_file is not None:
        if resume or recipe_name is not None:
            raise InputError("config has all options: leave out the recipe, or the run to resume")
        return config_from_file(config_file, options), dict(options), model
    if base is not None:
        start = options_of_run(base, FIT)
        check_named_code(start, options, FIT)
        return start, dict(options), model
    if not resume:
        return recipe(recipe_name) if recipe_name else None, dict(options), model
    options = dict(options)
    model = model or options.pop("model", None)
    code = named_code(options)
    rest = {name: value for name, value in options.items() if name not in code}
    return with_named_code(read_run(folder)[0], code), rest, model


def _stored_features(
    run: Path | None, base: str | None, config_file: str | None
) -> dict[str, Any] | None:
    """Return the scaling of a table in the config.json that the options come from, if it is of
    one."""
    if run is not None:
        description = read_run(run)[1]
    elif base is not None:
        description = parse_description(base, FIT)[1]
    elif config_file is not None:
        return features_of_file(config_file)
    else:
        return None
    return description["data"].get("features")


def _table_config(
    start: Config, options: dict[str, Any], eps: Any, scaling: Scaling, resume: bool
) -> Config:
    """Return the options of a run on a table. Radii for each feature, in its own unit, become one
    in those of the scaled features."""
    scaled = dict(options)
    if eps is not None:
        scaled["eps"] = scaling.radius(eps)
        if resume:  # it differs by rounding at most
            if not math.isclose(scaled["eps"], start.eps, rel_tol=1e-6):
                raise OtherDataError("the run has another eps of its features")
            scaled["eps"] = start.eps
    if isinstance(options.get("eval_eps"), list):
        scaled["eval_eps"] = scaling.radius(options["eval_eps"], "eval_eps")
    config = from_plain(scaled, start)
    if resume or "eps" not in scaled:
        return config
    # A step of the table's recipe is a quarter of its eps.
    return from_plain({"step_size": config.eps / 4 or config.step_size} | scaled, start)


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
