"""Sentences about options of an evaluation that have no effect."""

from .runner import PGD_VARIANTS
from .settings import Settings


def unused_options(settings: Settings, images: int) -> list[str]:
    """Return a sentence for each option that is set but is not used.

    Parameters
    ----------
    settings
        The settings of the evaluation.
    images
        The number of images that are evaluated.
    """
    attacks = set(settings.attacks)
    curves = bool(settings.curve) or settings.convergence is not None
    with_pgd = bool(attacks.intersection(PGD_VARIANTS)) or curves
    diagnosed = settings.diagnostics
    used = {
        "steps": (with_pgd or diagnosed, "without a variant of PGD"),
        "restarts": (with_pgd, "without a variant of PGD"),
        "step_size": (with_pgd or diagnosed, "without a variant of PGD"),
        "queries": ("square" in attacks or diagnosed, "without square"),
        "l2_eps": ("deepfool-l2" in attacks, "without deepfool-l2"),
        "source": ("transfer" in attacks, "without transfer"),
        "source_model": ("transfer" in attacks, "without transfer"),
        "draw": (settings.n is not None, "without n: all images are evaluated"),
    }
    changed = [name for name in used if getattr(settings, name) != getattr(Settings, name, None)]
    found = [f"{name} has no effect {used[name][1]}" for name in changed if not used[name][0]]
    if (settings.convergence or 0) > images:
        found.append(f"convergence {settings.convergence} is more than all {images} images")
    return found
