"""Where an evaluation goes that was given no folder: to the target's own, and where that holds one
with other options, to a folder in it."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch

from ..run_folder import RunFolder
from .batches import choose_images
from .runner import build_suite
from .settings import Settings
from .summary import ALIKE, EVALUATION, describe, differences, read_evaluation
from .targets import Target, open_source

ANOTHER = "evaluation-{}"
MADE_OF = (("target", "weights_sha256"), ("data", "sha256"))


def beside_others(target: Target, settings: Settings) -> Target:
    """The target with a folder that holds no evaluation with other options: its own, else
    evaluation-2, evaluation-3 ... in it. One of the same options goes on where it is.

    Another network, or other data, in the target's own folder is left to be refused.
    """
    if not RunFolder(target.folder).has(EVALUATION):
        return target
    settings = settings.complete(target.eps, target.norm)
    images = choose_images(target.data, settings.n, settings.draw)
    suite = build_suite(settings, open_source(settings, torch.device("cpu")))
    now = describe(target, settings, len(images), suite, None)
    own = read_evaluation(target.folder)
    if any(own[part].get(name) != now[part][name] for part, name in MADE_OF):
        return target
    for folder in _folders(target.folder):
        held = RunFolder(folder)
        before = read_evaluation(held) if held.has(EVALUATION) else None
        if before is None or not (
            differences(before, now, tuple(ALIKE)) or _other_curves(before, settings)
        ):
            return replace(target, folder=folder)
    raise AssertionError("there is always another number")


def _folders(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (folder / ANOTHER.format(i) for i in count(2))


def _other_curves(before: dict[str, object], settings: Settings) -> bool:
    """Whether the curve, or PGD's course, is there with other options than those asked for."""
    return any(
        asked is not None and before[part] not in (None, asked)
        for part, asked in settings.plain_parts().items()
    )
