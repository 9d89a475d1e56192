"""What the curve and PGD's course found in the evaluation's ball: rows of outcomes.csv like those
of an attack, so that the worst of each image is over them too.

An image that is broken at a smaller radius, or at a step on the way, is broken in the ball.
"""

from collections.abc import Callable, Sequence
from typing import Any

from .outcomes import Record
from .settings import Settings

FROM_CURVE, FROM_CONVERGENCE = "curve", "convergence"
FOUND = (FROM_CURVE, FROM_CONVERGENCE)


Save = Callable[[], object]  # keeps evaluation.json, which must tell of rows before they are there


def add_curve(
    content: dict[str, Any], record: Record, curve: Record, settings: Settings, save: Save
) -> None:
    """What the curve says of each image at its largest radius within the ball."""
    within = [key for key in curve.predictions if 0 < float(key) <= settings.radius]
    if within and FROM_CURVE not in record.predictions:
        largest = max(within, key=float)
        told = {"label": f"{_label(settings)}, radii to {float(largest):.4g}"}
        _add(FROM_CURVE, curve.predictions[largest], told, content, record, settings, save)


def add_convergence(
    content: dict[str, Any], record: Record, first: Sequence[int], settings: Settings, save: Save
) -> None:
    """What broke each of the first images on PGD's course, else what their label is. The others
    were not attacked: such rows have no accuracy of their own."""
    if settings.radius > 0 and FROM_CONVERGENCE not in record.predictions:
        rest = record.predictions["natural"][len(first) :]
        told = {"label": f"{_label(settings)}, step by step", "images": len(first)}
        _add(FROM_CONVERGENCE, [*first, *rest], told, content, record, settings, save)


def is_part(told: dict[str, Any]) -> bool:
    """Whether an attack, as evaluation.json tells it, was tried on the first images only."""
    return "images" in told


def _label(settings: Settings) -> str:
    return f"PGD-{settings.steps} x {settings.restarts}"


def _add(
    name: str,
    predictions: Sequence[int],
    told: dict[str, Any],
    content: dict[str, Any],
    record: Record,
    settings: Settings,
    save: Save,
) -> None:
    before = list(record.predictions) if settings.cascade else []
    kept = [
        next((p for p in row if p != label), found)
        for label, found, *row in zip(
            record.labels, predictions, *(record.predictions[one] for one in before), strict=True
        )
    ]
    attacked = sum(record.standing(["natural"])[: told.get("images")])
    content["attacks"][name] = {
        **told,
        **settings.plain_pgd(),
        "eps": settings.radius,
        "norm": settings.norm,
        "attacked": attacked,
        "seconds": None,
    }
    content["finished"] = False
    save()
    record.add(name, kept)
