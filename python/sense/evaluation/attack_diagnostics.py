"""Signs that the attacks that were tried are too weak for the network.

Each counts images that stand under attacks that were tried and fall to another one. A warning is
of points of accuracy over all evaluated images.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from ..attacks import autoattack_with_verdicts, pgd
from ..attacks.autoattack import MIN_CLASSES, Part
from ..attacks.geometry import random_point
from .case import FEWEST, Case, Check, Looked, check_share, skipped, too_few
from .runner import build_attack, has_pyautoattack

QUERIES = 1000  # of Square an image, for gradient-free
TARGET_STEPS = 20  # of PGD towards each other class, for stronger-attack without pyautoattack
BEYOND = 32  # images that only Square breaks, on which AutoAttack's attacks by gradient are tried

# From where on a share of images is a warning.
ONE_STEP_BETTER = 0.01
NO_GRADIENT_BETTER = 0.002  # (AutoAttack)
STRONGER_BETTER = 0.01
LOSS_RISES = 0.05  # by so much: a loss of log 2 breaks an image, or more
RISING = 0.1  # of the images that stand

STEPPED = ("pgd", "margin-pgd", "targeted-pgd")
STRONGER = ("autoattack", "targeted-pgd", "margin-pgd", "deepfool", "square")
APGD: tuple[Part, ...] = ("apgd-ce", "apgd-t")
BY_GRADIENT: tuple[Part, ...] = (*APGD, "fab-t")


def one_step(case: Case) -> Check:
    """Does one step break what many do not?"""
    many = [name for name in STEPPED if name in case.right]
    if not many or case.settings.radius == 0:
        return skipped("one-step", "no attack of many steps was tried")
    if case.settings.cascade and not case.before(many, ["fgsm"]):
        return skipped("one-step", "in a cascade FGSM has to come last")
    if "fgsm" in case.right:
        looked, before = case.everything, case.under(many)
    else:
        looked, before = case.some, case.standing(many)
    if looked.n < FEWEST:
        return too_few("one-step", looked.n)
    fell = ~case.right["fgsm"] if "fgsm" in case.right else case.broken_by("fgsm", before)
    broken = int((before & fell).sum())
    found = (
        f"one step (FGSM) breaks {broken} of {int(before.sum())} images that stand under many "
        f"steps, {looked.points(broken)}"
    )
    return check_share(
        "one-step",
        broken,
        looked,
        ONE_STEP_BETTER,
        f"{found}: the loss is rough or masked, or the steps are too few, and the accuracy under "
        "attacks of many steps is too high",
        found,
    )


def gradient_free(case: Case) -> Check:
    """Does Square, which sees no gradient, break what no attack by gradient does? Images that stand
    under a weak attack by gradient are no sign of that: those that Square breaks are given to
    AutoAttack's own attacks by gradient, and what these break too does not count."""
    by_gradient = [name for name in (*STEPPED, "fgsm", "deepfool") if name in case.right]
    if not by_gradient or case.settings.radius == 0:
        return skipped("gradient-free", "no attack by gradient was tried")
    if case.settings.cascade and not case.before(by_gradient, ["square"]):
        return skipped("gradient-free", "in a cascade Square has to come last")
    if not has_pyautoattack():
        return skipped("gradient-free", "Square needs the package pyautoattack")
    looked = case.everything if "square" in case.right else case.some
    if looked.n < FEWEST:
        return too_few("gradient-free", looked.n)
    looked, images, before = _broken_by_square(case, looked, by_gradient)
    beyond = len(images) - _broken_by_parts(case, images, BY_GRADIENT)
    broken = (
        f"Square breaks {len(images)} of {before} images that stand under attacks by gradient "
        f"({', '.join(by_gradient)})"
    )
    if len(images):
        broken += f", AutoAttack's APGD and FAB all but {beyond} of these"
    return check_share(
        "gradient-free",
        beyond,
        looked,
        NO_GRADIENT_BETTER,
        f"{broken}, {looked.points(beyond)}: the gradients mislead (masking), and robust accuracy "
        "is lower than shown",
        broken,
    )


def convergence(case: Case) -> Check:
    """Does the loss go on rising when the steps double?"""
    settings = case.settings
    if "pgd" not in case.right or settings.radius == 0:
        return skipped("convergence", "PGD was not tried")
    standing = case.standing(["pgd"]).to(case.labels.device)
    x, y = case.x[standing], case.y[standing]
    if len(standing) >= FEWEST and not len(x):
        return Check(
            "convergence", "ok", 0.0, RISING, "no image stands that more steps could break"
        )
    if len(x) < FEWEST:
        return too_few("convergence", len(x), "images that stand under PGD")
    more = build_attack("pgd", settings)
    start = random_point(x, settings.radius, settings.lp, (0, 1))
    keywords = {"eps": more.eps, "norm": more.norm, **more.keywords}
    once = pgd(case.model, x, y, start=start, **keywords)
    twice = pgd(case.model, x, y, start=once, **keywords)  # goes on: as if with 2 K steps
    with torch.no_grad():
        before, after = (F.cross_entropy(case.model(z), y, reduction="none") for z in (once, twice))
        broken = int((case.model(twice).argmax(1) != y).sum())
    rising = int((after - before > LOSS_RISES).sum())
    both = (
        f"the loss of {rising} of {len(x)} images that stand rises by more than {LOSS_RISES} "
        f"when {settings.steps} steps become {2 * settings.steps}, and {broken} of them fall"
    )
    return check_share(
        "convergence",
        rising,
        Looked(len(x), 1.0),
        RISING,
        f"PGD has not converged: {both}; take more steps",
        both,
    )


def stronger_attack(case: Case) -> Check:
    """Is PGD beaten by an attack that is known to be stronger?"""
    if "pgd" not in case.right or case.settings.radius == 0:
        return skipped("stronger-attack", "PGD was not tried")
    tried = [name for name in STRONGER if name in case.right]
    if case.settings.cascade and not case.before(["pgd"], tried):
        return skipped("stronger-attack", "in a cascade PGD has to come first")
    if tried:
        looked, before, what = case.everything, case.under(["pgd"]), " and ".join(tried)
        broken = int((before & ~case.under(tried)).sum())
    else:
        looked, before = case.some, case.standing(["pgd"])
        if looked.n < FEWEST:
            return too_few("stronger-attack", looked.n)
        what, broken = _broken_by_stronger(case, before)
    return check_stronger(broken, int(before.sum()), looked, tried, what)


def check_stronger(
    broken: int, standing: int, looked: Looked, tried: list[str], what: str
) -> Check:
    """The verdict on PGD, from how many of the images that stand under it fall to what was tried.
    It takes no passes of the network: stored evaluations are judged by it too."""
    if looked.n < FEWEST:
        return too_few("stronger-attack", looked.n)
    found = f"{broken} of {standing} images that stand under PGD fall to {what}"
    hint = "" if "autoattack" in tried else "; see what AutoAttack says"
    return check_share(
        "stronger-attack",
        broken,
        looked,
        STRONGER_BETTER,
        f"{found}: PGD overstates robust accuracy by {looked.points(broken)}, or more{hint}",
        f"{found}, {looked.points(broken)}",
    )


OF_ATTACK: tuple[Callable[[Case], Check], ...] = (
    one_step,
    gradient_free,
    convergence,
    stronger_attack,
)


def _broken_by_square(
    case: Case, looked: Looked, by_gradient: list[str]
) -> tuple[Looked, Tensor, int]:
    """Which of all evaluated images Square breaks, of those that stand under these attacks, and how
    many stand. After BEYOND broken ones no further image is looked at."""
    if "square" in case.right:
        before = case.under(by_gradient)
        broken = before & ~case.right["square"]
        where = torch.arange(looked.n)
    else:
        before, where = case.standing(by_gradient), case.where
        queries = min(case.settings.queries, QUERIES)
        broken = case.broken_by("square", before, queries=queries)
    if int(broken.sum()) > BEYOND:
        end = int(broken.nonzero()[BEYOND - 1]) + 1
        looked, before, where, broken = (
            looked._replace(n=end),
            before[:end],
            where[:end],
            broken[:end],
        )
    return looked, where[broken], int(before.sum())


def _broken_by_stronger(case: Case, standing: Tensor) -> tuple[str, int]:
    """A stronger attack than PGD, and how many of the images for further passes that stand it
    breaks."""
    if has_pyautoattack():
        return "AutoAttack's APGD", _broken_by_parts(case, case.where[standing], APGD)
    options = {"steps": TARGET_STEPS, "restarts": 1, "step_size": None}
    return "targeted PGD", int(case.broken_by("targeted-pgd", standing, **options).sum())


def _broken_by_parts(case: Case, images: Tensor, parts: tuple[Part, ...]) -> int:
    """How many of these images these parts of AutoAttack break."""
    if not len(images):
        return 0
    where = images.to(case.labels.device)
    x, y = case.images[where], case.labels[where]
    with torch.no_grad():
        classes = case.model(x[:1]).shape[1]
    parts = tuple(part for part in parts if classes >= MIN_CLASSES.get(part, 0))
    found = autoattack_with_verdicts(
        case.model,
        x,
        y,
        eps=case.settings.radius,
        norm=case.settings.lp,
        parts=parts,
        batch_size=case.settings.batch,
        seed=case.settings.seed,
    )
    return sum(name is not None for name in found.broken_by)
