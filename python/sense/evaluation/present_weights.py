"""Whether a stored evaluation is one of the weights that its run has now.

A run that was evaluated can be trained further. What is stored then is no result of its network.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..checkpoint import WEIGHTS, weights_file_sha256
from ..errors import InputError
from ..extensions import is_code
from ..models.custom import CUSTOM_MODEL
from ..run_folder import RunFolder
from ..runs import CONFIG, load, read_run
from ..weights import weights_sha256

NUMBERED = re.compile(r"evaluation-[1-9][0-9]*")  # a folder inside that of the run


def is_of_present_weights(content: dict[str, Any], run: Path) -> bool:
    """Whether the content of an evaluation.json is one of the weights in the folder of a run.

    Evaluations of older versions have no checksum of the file. For these the values are compared,
    if the network is one of this package; code of others is not run, and their evaluations count.
    """
    now, target = weights_file_sha256(run), content["target"]
    stored = target.get("weights_file_sha256")
    if now is None or stored == now:
        return True
    if target["weights_sha256"] is None:
        return stored is None
    values = _values_sha256(run.absolute(), now)
    return stored is None if values is None else values == target["weights_sha256"]


def check_present_weights(folder: Path, content: dict[str, Any]) -> None:
    """Raise InputError if the evaluation in a folder is one of weights that the run, in the same
    folder or in that above it, does not have any more."""
    run = run_of(folder)
    if run is not None and not is_of_present_weights(content, run):
        raise InputError(
            f"the evaluation in {folder} is one of other weights than {run} has now, such as those "
            "before it was trained further. Evaluate again: python -m sense.evaluate "
            f"{run} --overwrite"
        )


def run_of(folder: Path) -> Path | None:
    """Return the run that an evaluation is stored with: its own folder, or that above a numbered
    one. None if there is none."""
    places = [folder, folder.absolute().parent] if NUMBERED.fullmatch(folder.name) else [folder]
    for place in places:
        files = RunFolder(place)
        if files.has(CONFIG) and files.has(WEIGHTS):
            return place
    return None


@lru_cache(maxsize=4096)
def _values_sha256(run: Path, file_sha256: str) -> str | None:
    """Return the checksum of the values in a file of weights with this checksum, "" if they cannot
    be loaded. None if the network is not one of this package."""
    name = read_run(run)[0].model
    if is_code(name) or re.fullmatch(CUSTOM_MODEL, name):
        return None
    try:
        return weights_sha256(load(run))
    except InputError:
        return ""
