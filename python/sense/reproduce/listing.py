"""The list of experiments: what each needs, how long it took here, and its result."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..files import parse_json, read_file
from .experiment import SCALES, Experiment
from .experiments import EXPERIMENTS

LIMIT = 1 << 24  # bytes
WIDTH = max(map(len, EXPERIMENTS))
VERDICTS = ("holds", "does not hold", "open")


def stored_folder() -> Path | None:
    """Return the folder of the results that come with the package: in a checkout of the source, or
    in the installed R package. None if there is none, as in an installed Python package."""
    root = Path(__file__).resolve().parents[3]
    for folder in (root / "inst/extdata/reproduce", root / "extdata/reproduce"):
        if folder.is_dir():
            return folder
    return None


def stored_description(name: str, scale: str) -> dict[str, Any] | None:
    """Return the JSON of a stored result, None if there is none."""
    folder = stored_folder()
    path = None if folder is None else folder / f"{name}-{scale}.json"
    if path is None or not path.is_file():
        return None
    return parse_json(read_file(path, LIMIT), path)


def listing() -> Iterator[str]:
    """Yield the lines of the list."""
    yield "The tables and figures of the paper, and what is stored of them:"
    yield ""
    for experiment in EXPERIMENTS.values():
        yield _line(experiment)
    yield ""
    yield "Scales:"
    yield from (f"  {name:<6} {text}" for name, text in SCALES.items())
    yield ""
    yield "python -m sense.reproduce NAME --scale SCALE [--hours]"


def markdown_table() -> str:
    """Return the list as a table in Markdown, with the results at the scale cpu: that of
    docs/reproduce.md."""
    lines = [
        "| name | what | place in the paper | needs | stored at the scale cpu |",
        "|---" * 5 + "|",
    ]
    for experiment in EXPERIMENTS.values():
        found = stored_description(experiment.name, "cpu")
        stored = "" if found is None else outcome(found)
        stored = "drawn by R in seconds" if experiment.is_drawn_by_r else stored
        needs = ", ".join(experiment.needs)
        cells = (f"`{experiment.name}`", experiment.title, experiment.place, needs, stored)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def markdown_claims(name: str) -> str | None:
    """Return the claims about the stored result at the scale cpu as a table in Markdown, for
    docs/reproduce.md. None if there is no result."""
    found = stored_description(name, "cpu")
    if found is None:
        return None
    rows = [f"| {one['text']} | {one['place']} | {one['verdict']} |" for one in found["claims"]]
    return "\n".join([f"| claim about `{name}` | place | verdict |", "|---|---|---|", *rows])


def markdown() -> str:
    """Return all tables of docs/reproduce.md that depend on stored results."""
    claims = (markdown_claims(name) for name in EXPERIMENTS)
    return "\n\n".join([markdown_table(), *filter(None, claims)])


def _line(experiment: Experiment) -> str:
    needs = ", ".join(experiment.needs) or "nothing"
    head = f"{experiment.name:<{WIDTH}} {experiment.title} ({experiment.place}); needs {needs}"
    if experiment.is_drawn_by_r:
        return f"{head}; seconds"
    stored = [(scale, stored_description(experiment.name, scale)) for scale in SCALES]
    outcomes = [
        f"\n{'':{WIDTH}} {scale}: {outcome(found)}" for scale, found in stored if found is not None
    ]
    return head + ("".join(outcomes) or "; not run yet")


def outcome(description: dict[str, Any]) -> str:
    """Return in words what a result took, and how many claims hold."""
    seconds = description["seconds"]
    hours = (seconds["training"] + seconds["attacks"]) / 3600
    counts = Counter(claim["verdict"] for claim in description["claims"])
    verdicts = ", ".join(f"{counts[one]} {one}" for one in VERDICTS if counts[one])
    networks, missing = (
        f"{n} network{'' if n == 1 else 's'}"
        for n in (description["networks"], len(description["missing"]))
    )
    text = f"{hours:.1f} core-hours, {networks}; claims: {verdicts}"
    return text + (f"; {missing} missing" if description["missing"] else "")
