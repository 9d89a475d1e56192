"""The Square attack (Andriushchenko et al. 2020): random search that uses logits and no
gradient."""

import math

import torch
from torch import Tensor, nn

from .adapter import (
    NAMES,
    UnitRangeModel,
    check_images,
    import_pyautoattack,
    preserved_state,
    to_image_range,
    to_unit_range,
)
from .arguments import checked_attack
from .geometry import Bounds


@checked_attack()
def square(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    *,
    eps: float,
    norm: float = math.inf,
    queries: int = 5000,
    seed: int = 0,
    bounds: Bounds = (0, 1),
) -> Tensor:
    """Return images of the eps ball that were found without a gradient. As in AutoAttack "standard"
    there is one start, the first squares cover 0.8 of the pixels, and the schedule of their size
    does not depend on `queries`.

    Parameters
    ----------
    model, x, y, eps, norm, bounds
        As in `pgd`; images of shape (n, channels, height, width).
    queries
        Maximum number of queries (forward passes) per image.
    seed
        Seed of the search. torch's global generator is neither used nor changed.

    Returns
    -------
    The adversarial images: shape, type and device of x. An image that is not broken is x.

    Raises
    ------
    ImportError
        If pyautoattack is not installed.
    """
    check_images(x, norm, bounds)
    attack = import_pyautoattack("pyautoattack.square").SquareAttack
    if not len(x) or eps == 0:
        return x.clone()
    with preserved_state(model), torch.no_grad():
        found = attack(
            UnitRangeModel(model, x, bounds),
            norm=NAMES[norm],
            n_queries=queries,
            p_init=0.8,
            n_restarts=1,
            eps=eps / (bounds[1] - bounds[0]),
            seed=seed,
            resc_schedule=False,
            device=x.device,
        ).perturb(to_unit_range(x, bounds), y)
    return to_image_range(found, x, eps, norm, bounds)
