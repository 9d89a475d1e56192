"""The Square attack (Andriushchenko et al. 2020): random search that uses logits and no
gradient."""

import math

import torch
from torch import Tensor, nn

from .adapter import (
    NAMES,
    UnitRange,
    UnitRangeModel,
    check_images,
    import_pyautoattack,
    preserved_state,
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
        As in `pgd`; images of shape (n, channels, height, width), or features of shape (n, d).
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
    check_images(x, norm)
    attack = import_pyautoattack("pyautoattack.square").SquareAttack
    if not len(x) or eps == 0:
        return x.clone()
    unit = UnitRange(x, eps, norm, bounds)
    with preserved_state(model), torch.no_grad():
        found = attack(
            UnitRangeModel(model, unit),
            norm=NAMES[norm],
            n_queries=queries,
            p_init=0.8,
            n_restarts=1,
            eps=eps / unit.width,
            seed=seed,
            resc_schedule=False,
            device=x.device,
        ).perturb(unit.to_unit(x), y)
    return unit.restore(found, x, eps, norm)
