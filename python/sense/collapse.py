"""Training that has collapsed, found from the accuracies on the monitored images after an epoch.

There are two kinds of collapse, and the entry `collapse` of an epoch's metrics names one of them.

- "one-class": the network predicts one class for nearly all images of several classes.
- "catastrophic-overfitting" (Wong et al. 2020), of the methods with one step per image: the network
  withstands the step that it is trained with, but not PGD in the same ball.

Both rules need more than a share: an exact binomial test excludes that the share comes from the
choice of the monitored images. Of a network that has hardly been trained nothing is concluded.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from .statistics import LEVEL, binomial_p_value, clopper_pearson

ONE_CLASS = 0.8  # share of images with one predicted class, above which a network has collapsed
MOST_FREQUENT_LABEL = 0.5  # share of images with one label, above which nothing is concluded
# Share of the images that withstand the step which must withstand PGD too. In training that does
# not collapse it was 0.4 or more in every epoch, and after a collapse 0.1 or less.
WITHSTAND_PGD = 0.25
MINIMUM_UPDATES = 300  # of the weights, before anything is concluded
P_VALUE = 0.001  # largest p-value: a run has hundreds of epochs

NAMES = {"one-class": "one class", "catastrophic-overfitting": "catastrophic overfitting"}
REMEDIES = {
    "one-class": "train again with a lower --lr, a longer --eps-ramp or more --pretrain",
    "catastrophic-overfitting": (
        "train again with a smaller --fgsm-step or --eps, with n-fgsm or r-at, or keep the best "
        "epoch (--validation-size and --keep)"
    ),
}


def find_collapse(
    labels: Tensor, predictions: Tensor, robust_correct: int, one_step_correct: int | None
) -> str | None:
    """Return the kind of collapse that these results on the monitored images show, None for none.

    Parameters
    ----------
    labels, predictions
        The label of each image, and its prediction without an attack. Shape (n,).
    robust_correct
        Number of images that are correctly classified under PGD in the ball of training.
    one_step_correct
        The same after one step of the length of training; None for a method with more steps. If
        it is less than half of those that are correct without an attack, the network has not yet
        learned to withstand the step.
    """
    n, most_labels = len(labels), int(labels.bincount().max())
    correct = int((predictions == labels).sum())
    if most_labels > MOST_FREQUENT_LABEL * n:
        return None
    if is_one_class(int(predictions.bincount().max()), n):
        return "one-class"
    if one_step_correct is None or one_step_correct < correct / 2:
        return None
    if is_catastrophic(one_step_correct, robust_correct, n, most_labels):
        return "catastrophic-overfitting"
    return None


def is_one_class(most: int, n: int) -> bool:
    """Return whether the whole exact interval of the share of images with the class that is
    predicted most often, `most` of n, is above `ONE_CLASS`."""
    return most > ONE_CLASS * n and clopper_pearson(most, n, LEVEL).lower > ONE_CLASS


def is_catastrophic(one_step: int, robust: int, n: int, most_labels: int) -> bool:
    """Return whether fewer than `WITHSTAND_PGD` of the images that withstand one step withstand
    PGD. A network whose accuracy after one step is not better than chance shows nothing."""
    if robust >= WITHSTAND_PGD * one_step or one_step <= most_labels:
        return False
    lost = binomial_p_value(one_step - robust, one_step, 1 - WITHSTAND_PGD)
    return max(lost, binomial_p_value(one_step, n, most_labels / n)) <= P_VALUE


def new_collapse(metrics: Sequence[dict[str, Any]]) -> str | None:
    """Return a sentence if a collapse begins in the last of these epochs."""
    before, now = [None, *(line.get("collapse") for line in metrics)][-2:]
    if now is None or now == before:
        return None
    return f"epoch {metrics[-1]['epoch']}: {_sentence(metrics[-1])}; {REMEDIES[now]}"


def collapse_summary(metrics: Sequence[dict[str, Any]]) -> str | None:
    """Return a sentence about the collapsed epochs of a run, None if there are none."""
    collapsed = [line for line in metrics if line.get("collapse")]
    if not collapsed:
        return None
    kept = metrics[-1].get("kept_epoch", metrics[-1]["epoch"])
    line = next(line for line in metrics if line["epoch"] == kept)
    if line.get("collapse"):
        return (
            f"the weights of this run are those of a collapsed network (epoch {kept}): "
            f"{_sentence(line)}; {REMEDIES[line['collapse']]}"
        )
    epochs = ", ".join(str(line["epoch"]) for line in collapsed)
    return (
        f"training collapsed for a time (epoch {epochs}); the weights of this run, of epoch "
        f"{kept}, do not show it"
    )


def _sentence(line: dict[str, Any]) -> str:
    n, kind = line["monitored"], line["collapse"]
    under_pgd = line.get("trained_eps_correct", line["robust_correct"])
    if kind == "one-class":
        return "the network predicts one class for nearly all monitored images"
    return (
        f"catastrophic overfitting: of {n} monitored images {line['one_step_correct']} are "
        f"correctly classified after one step, and {under_pgd} under PGD"
    )
