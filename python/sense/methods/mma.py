"""MMA, max-margin adversarial training (Ding et al. 2020): each image is trained on at its own
margin, the distance to the point where p_y = 1/2, if this is less than d_max."""

from collections.abc import Mapping

from torch import Tensor, nn

from ..attacks.losses import soft_margin
from ..attacks.margins import boundary_points, random_start
from ..config import Config
from .base import Batch, Examples, TwoPartMethod
from .per_example_state import PerExampleState

SEARCH_FACTOR = 1.05  # the search for a margin ends at this times d_max
SEARCHES = 10  # number of bisections in the search


class MaxMargin(TwoPartMethod):
    """Minimise (1 - natural_weight) L + natural_weight CE(f(x), y).

    L is the mean over the batch of

    - CE(f(x + d u), y) for images with p_y(x) > 1/2 and margin d < d_max,
    - CE(f(x), y) for images with p_y(x) <= 1/2,
    - 0 for the other images.

    The radius of the PGD that searches for the margin of an image is its last margin, at least
    eps_min. PGD is always in evaluation mode; `attack_mode` is the mode of the search.
    """

    published_mode = "updating"

    def __init__(self, config: Config, n: int) -> None:
        super().__init__(config, n)
        self.margins = PerExampleState(n)

    def examples(self, model: nn.Module, batch: Batch, epoch: float) -> Examples:
        x, y, indices = batch
        config = self.config
        d_max, eps_min = config.d_max, config.eps_min
        assert d_max is not None
        assert eps_min is not None
        logits = model(x)
        correct = soft_margin(logits.detach(), y) < 0

        images, counted, margins = x.clone(), ~correct, x.new_zeros(len(x))
        # Drawn for all images: which of them are correct may differ with the number of processes.
        eps = self.margins.read(indices, x).clamp_min(eps_min)
        start = random_start(x, eps, config.lp, self.bounds)
        if correct.any():
            images[correct], distance = boundary_points(
                model,
                x[correct],
                y[correct],
                eps=eps[correct],
                farthest=SEARCH_FACTOR * d_max,
                steps=config.steps,
                norm=config.lp,
                searches=SEARCHES,
                start=start[correct],
                mode=self.attack_mode,
                bounds=self.bounds,
            )
            counted[correct] = distance < d_max
            margins[correct] = distance
        self.margins.write(indices, margins)
        return Examples(x, y, images, logits, counted, means={"margin": margins})

    def loss(self, model: nn.Module, examples: Examples) -> Tensor:
        natural_weight = self.config.natural_weight
        assert natural_weight is not None
        natural = self.cross_entropy(examples.natural_logits_by(model), examples.y)
        losses = self.cross_entropy(model(examples.x_adv), examples.y, reduction="none")
        margin = losses[examples.counted].sum() / self.total_weight(examples.y)
        return (1 - natural_weight) * margin + natural_weight * natural

    def state_dict(self) -> dict[str, Tensor]:
        return self.margins.state_dict()

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.margins.load_state_dict(state)
