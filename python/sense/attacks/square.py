"""The Square attack (Andriushchenko et al. 2020): random search by logits alone, no gradient."""

import math

import torch
from torch import Tensor, nn

from .adapter import NAMES, Rescaled, check_images, guest, package, put_back, to_unit
from .arguments import public
from .geometry import Bounds


@public()
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
    """Images of the eps ball found without a gradient. As in AutoAttack "standard": one start, the
    first squares over 0.8 of the pixels, and the schedule of their size not stretched to `queries`.

    Parameters
    ----------
    model, x, y, eps, norm, bounds
        As in `pgd`; images of shape (n, channels, height, width).
    queries
        Number of points tried, at most, for each image.
    seed
        Of the search. torch's global generator is neither used nor moved.

    Returns
    -------
    The adversarial images: shape, type and device of x. An image that was not broken is x.

    Raises
    ------
    ImportError
        Where pyautoattack is not installed.
    """
    check_images(x, norm, bounds)
    attack = package("pyautoattack.square").SquareAttack
    if not len(x) or eps == 0:
        return x.clone()
    with guest(model), torch.no_grad():
        found = attack(
            Rescaled(model, x, bounds),
            norm=NAMES[norm],
            n_queries=queries,
            p_init=0.8,
            n_restarts=1,
            eps=eps / (bounds[1] - bounds[0]),
            seed=seed,
            resc_schedule=False,
            device=x.device,
        ).perturb(to_unit(x, bounds), y)
    return put_back(found, x, eps, norm, bounds)
