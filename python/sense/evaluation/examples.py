"""A few adversarial examples to look at (figure 1 of the paper): examples.json."""

import json
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..attacks.geometry import bounds_on
from ..data import Data, TableData
from ..devices import choose_device, to_device_for_evaluation
from ..errors import InputError
from ..networks import torch_defaults
from ..process_settings import restored_settings
from ..random_numbers import preserved_random_state
from ..run_folder import RunFolder
from ..weights import weights_sha256
from .runner import (
    build_attack,
    check_attackable,
    choose_images,
    evaluated_images,
    predict,
    seeded_numbers,
    worst_images,
)
from .settings import Settings
from .targets import Target, open_source

EXAMPLES = "examples.json"
DEFAULT_N = 5


@restored_settings()
@torch_defaults()
def make_examples(
    target: Target, settings: Settings, *, n: int | None = None, device: str = "auto"
) -> dict[str, Any]:
    """Return the first n test images (not selected by the result) and their adversarial examples.

    Parameters
    ----------
    target
        From `open_run`.
    settings
        With one attack. Default eps and norm: the target's.
    n
        Number of images, from 1 to the number of test images. Default: `DEFAULT_N`, or all if these
        are fewer.
    device
        As in the options of training.

    Returns
    -------
    The content of examples.json (docs/evaluation.md): plain numbers, strings and lists.

    Raises
    ------
    ValueError
        If the settings do not have exactly one attack, or do not fit the target.
    """
    settings = settings.complete(target.eps, target.norm, target.data.bounds)
    names = [name for name in settings.attacks if name != "natural"]
    if len(names) != 1:
        raise InputError(f"examples need exactly one attack, got {' '.join(names) or 'none'}")
    available = len(target.data.test_x)
    images = choose_images(available, min(DEFAULT_N, available) if n is None else n, None)
    torch_device = choose_device(device)
    attack = build_attack(
        names[0],
        settings,
        open_source(settings, torch_device),
        bounds_on(target.data.bounds, torch_device),
        len(target.data.classes),
    )
    model = to_device_for_evaluation(target.model, torch_device)
    batch = evaluated_images(images, target.data.test_x, target.data.test_y, torch_device)
    model = check_attackable(model, batch.x, batch.y, [attack])
    with preserved_random_state(), seeded_numbers(settings.seed):
        known = predict(model, batch.x)
        x_adv, _ = worst_images(attack, model, batch.x, batch.y, known, settings.seed)
    before, after = (
        _predict_with_probability(model, batch.x),
        _predict_with_probability(model, x_adv),
    )
    return {
        "model": f"{target.name}, {target.model_name}",
        "weights_sha256": weights_sha256(target.model),
        "attack": attack.plain(),
        "classes": list(target.data.classes),
        "shape": list(target.data.shape),
        "images": {
            "image": batch.images,
            "label": batch.y.tolist(),
            "prediction": before[0],
            "probability": before[1],
            "attacked": after[0],
            "attacked_probability": after[1],
        },
        **_inputs(target.data, batch.x, x_adv),
    }


def _inputs(data: Data, x: Tensor, x_adv: Tensor) -> dict[str, Any]:
    """The entries x and x_adv: pixels, or features in their own units with their names."""
    if isinstance(data, TableData):
        rows = {name: data.scaling.undo(z).tolist() for name, z in (("x", x), ("x_adv", x_adv))}
        return {**rows, "features": list(data.scaling.names)}
    return {"x": _pixel_rows(x), "x_adv": _pixel_rows(x_adv)}


@torch.no_grad()
def _predict_with_probability(model: nn.Module, x: Tensor) -> tuple[list[int], list[float]]:
    """The most probable class of each image, and its probability."""
    probability, prediction = model(x).softmax(1).max(1)
    return prediction.tolist(), [round(p, 6) for p in probability.tolist()]


def _pixel_rows(x: Tensor) -> list[list[float]]:
    """A row per image, in the order channels, height, width."""
    return [[round(value, 6) for value in row] for row in x.flatten(1).tolist()]


def write_examples(folder: RunFolder, content: dict[str, Any]) -> None:
    """Write examples.json into the folder, which is locked."""
    folder.write({EXAMPLES: json.dumps(content, allow_nan=False) + "\n"})


def settings_of(content: dict[str, Any]) -> Settings:
    """PGD with the options of this evaluation.json, or the default options if it has no PGD."""
    options, pgd = content["options"], content["attacks"].get("pgd", {})
    own = {name: pgd[name] for name in ("steps", "restarts", "step_size") if name in pgd}
    return replace(
        Settings(attacks=("pgd",), **own),
        eps=options["eps"],
        norm=options["norm"],
        seed=options["seed"],
    )
