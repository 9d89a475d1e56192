"""A few adversarial images, to be looked at (figure 1 of the paper)."""

import json
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ..devices import choose_device, to_device_for_evaluation
from ..errors import InputError
from ..networks import torch_defaults
from ..process_settings import restored_settings
from ..random_numbers import preserved_random_state
from ..run_folder import RunFolder
from ..weights import weights_sha256
from .batches import batch_seed, choose_images, cut
from .runner import attackable, build_attack, predict, worst_images
from .settings import Settings
from .targets import Target, open_source

EXAMPLES = "examples.json"
NUMBER = 5


@restored_settings()
@torch_defaults()
def make_examples(
    target: Target, settings: Settings, *, n: int = NUMBER, device: str = "auto"
) -> dict[str, Any]:
    """The first n test images, not chosen for the effect, and what the attack makes of them.

    Parameters
    ----------
    target
        From `open_run`.
    settings
        Name one attack; eps and norm are the target's unless given.
    n
        How many, from 1 to the number of test images.
    device
        As in the configuration of a run.

    Returns
    -------
    What examples.json holds (docs/evaluation.md): plain numbers, strings and lists.

    Raises
    ------
    ValueError
        For another number of attacks than one, or options that do not fit.
    """
    settings = settings.complete(target.eps, target.norm)
    names = [name for name in settings.attacks if name != "natural"]
    if len(names) != 1:
        raise InputError(f"examples are made by one attack, got {' '.join(names) or 'none'}")
    choose_images(target.data, None, None)  # says where there are none
    if not 1 <= n <= len(target.data.test_x):
        raise InputError(f"n must be from 1 to {len(target.data.test_x)}, the test images, got {n}")
    where = choose_device(device)
    attack = build_attack(names[0], settings, open_source(settings, where))
    model = to_device_for_evaluation(target.model, where)
    (batch,) = cut(range(n), target.data.test_x, target.data.test_y, n, where)
    model = attackable(model, batch.x, batch.y, [attack])
    with preserved_random_state():
        torch.manual_seed(batch_seed(settings.seed, batch))
        known = predict(model, batch.x)
        x_adv, _ = worst_images(attack, model, batch.x, batch.y, known, settings.seed)
    before, after = seen(model, batch.x), seen(model, x_adv)
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
        "x": pixels(batch.x),
        "x_adv": pixels(x_adv),
    }


@torch.no_grad()
def seen(model: nn.Module, x: Tensor) -> tuple[list[int], list[float]]:
    """The most probable class of each image, and its probability."""
    probability, prediction = model(x).softmax(1).max(1)
    return prediction.tolist(), [round(p, 6) for p in probability.tolist()]


def pixels(x: Tensor) -> list[list[float]]:
    """A row an image, channels first, then height, then width."""
    return [[round(value, 6) for value in row] for row in x.flatten(1).tolist()]


def write_examples(folder: RunFolder, content: dict[str, Any]) -> None:
    """Write examples.json into the folder, which is locked."""
    folder.write({EXAMPLES: json.dumps(content, allow_nan=False) + "\n"})


def settings_of(content: dict[str, Any]) -> Settings:
    """PGD as the evaluation with this evaluation.json had it, else with our defaults."""
    options, pgd = content["options"], content["attacks"].get("pgd", {})
    own = {name: pgd[name] for name in ("steps", "restarts", "step_size") if name in pgd}
    return replace(
        Settings(attacks=("pgd",), **own),
        eps=options["eps"],
        norm=options["norm"],
        seed=options["seed"],
    )
