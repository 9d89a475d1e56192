"""The attacks of an evaluation, and how they are run: batch by batch, over several restarts."""

import importlib.util
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..attacks import (
    autoattack,
    deepfool,
    fgsm,
    margin_pgd,
    pgd,
    square,
    targeted_pgd,
    transfer,
)
from ..attacks.autoattack import STANDARD, standard_parts
from ..attacks.checks import check_ball_and_bounds
from ..attacks.geometry import Bounds, is_unit_range
from ..attacks.modes import attack_mode
from ..attacks.output_checks import check_logits, logits_of
from ..data import to_float
from ..errors import InputError, MissingPackageError
from ..extensions import Code, check_returned_images, is_code
from ..networks import check_network
from ..random_numbers import common_numbers
from ..weights import weights_sha256
from .batch_size import BatchSize
from .outcomes import Record
from .settings import Settings

GRADIENT_ATTACKS = (
    "fgsm",
    "pgd",
    "margin-pgd",
    "targeted-pgd",
    "deepfool",
    "deepfool-l2",
    "autoattack",
)
UNDIVIDED = 2**30  # batch size of AutoAttack: all images that it gets
FROM_PYAUTOATTACK = ("autoattack", "square")
PGD_VARIANTS: dict[str, tuple[str, Callable[..., Tensor]]] = {
    "pgd": ("PGD", pgd),
    "margin-pgd": ("margin PGD", margin_pgd),
    "targeted-pgd": ("targeted PGD", targeted_pgd),
    "transfer": ("transfer PGD", transfer),
}


@dataclass(frozen=True)
class Attack:
    """An attack with its options.

    Attributes
    ----------
    name, label
        The name of `--attacks`, and a readable one such as "PGD-100 x 5".
    function, keywords
        `function(model, x, y, eps=..., norm=..., **keywords)` is one restart.
    eps, norm
        Radius and norm of its ball.
    restarts
        Maximum number of restarts; misclassified images are not attacked again.
    seeded
        Whether the function takes a seed. If not, it uses torch's global random stream.
    options
        The options that evaluation.json records.
    code
        The name of the code of an attack of the user's own.
    bounds
        Of the adversarial images, on the device of the images.
    """

    name: str
    label: str
    function: Callable[..., Tensor]
    eps: float
    norm: float
    keywords: dict[str, Any] = field(default_factory=dict)
    restarts: int = 1
    seeded: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    code: str | None = None
    bounds: Bounds = (0, 1)

    def __call__(self, model: nn.Module, x: Tensor, y: Tensor, seed: int) -> Tensor:
        """Return the adversarial images of one restart. Raises ArithmeticError, or InputError for
        an attack of the user's own, if they are not finite, or outside the ball or the bounds."""
        keywords = self.keywords | ({"seed": seed} if self.seeded else {})
        ball = {"eps": self.eps, "norm": self.norm, "bounds": self.bounds}
        x_adv = self.function(model, x, y, **ball, **keywords)
        if self.code is not None:
            check_returned_images(x_adv, x, f"attack {self.code}")
        try:
            check_ball_and_bounds(x_adv, x, eps=self.eps, norm=self.norm, bounds=self.bounds)
        except ArithmeticError as error:
            if self.code is None:
                raise
            raise InputError(f"attack {self.code}: {error}") from None
        return x_adv

    def plain(self) -> dict[str, Any]:
        """The entry of evaluation.json."""
        ball = {"eps": self.eps, "norm": f"{self.norm:g}"}
        code = {} if self.code is None else {"code": self.code}
        ball = {} if self is NO_ATTACK else ball
        return {"label": self.label, **code, **self.options, **ball}


NO_ATTACK = Attack("natural", "natural", lambda model, x, y, **ball: x, 0.0, math.inf)


def build_attacks(
    settings: Settings,
    source: nn.Module | None = None,
    bounds: Bounds = (0, 1),
    classes: int | None = None,
) -> list[Attack]:
    """Return the attacks of complete settings, without "natural". `source` is the network that
    `transfer` attacks, `classes` the number of classes, on which AutoAttack's parts depend. Raises
    ImportError if a package that an attack needs is not installed."""
    names = [name for name in settings.attacks if name != "natural"]
    return [build_attack(name, settings, source, bounds, classes) for name in names]


def build_attack(
    name: str,
    settings: Settings,
    source: nn.Module | None = None,
    bounds: Bounds = (0, 1),
    classes: int | None = None,
) -> Attack:
    """Return the attack of that name with its options from the settings."""
    return replace(_build_attack(name, settings, source, classes), bounds=bounds)


def _build_attack(
    name: str, settings: Settings, source: nn.Module | None, classes: int | None
) -> Attack:
    if is_code(name):
        return _build_own_attack(name, settings)
    if name in FROM_PYAUTOATTACK and not has_pyautoattack():
        raise MissingPackageError(
            f"{name} needs the package pyautoattack: pip install 'sense-at[attacks]'"
        )
    eps, norm = settings.radius, settings.lp
    if name in PGD_VARIANTS:
        return _build_pgd_variant(name, settings, source)
    if name == "fgsm":
        return Attack(name, "FGSM", fgsm, eps, norm)
    if name == "deepfool":
        if norm == 1:
            raise InputError("deepfool supports the norms inf and 2, got 1: leave it out")
        return Attack(name, "DeepFool", deepfool, eps, norm)
    if name == "deepfool-l2":
        within = eps if settings.l2_eps is None else settings.l2_eps
        return Attack(name, "DeepFool, l2", deepfool, within, 2.0)
    if name == "square":
        queries = {"queries": settings.queries}
        label = f"Square, {settings.queries} queries"
        return Attack(name, label, square, eps, norm, queries, seeded=True, options=queries)
    parts = STANDARD if classes is None else standard_parts(classes)
    standard = parts == STANDARD
    return Attack(
        name,
        "AutoAttack" if standard else "AutoAttack without APGD-T",
        autoattack,
        eps,
        norm,
        {"batch_size": UNDIVIDED, "parts": parts},
        seeded=True,
        options={"version": "standard" if standard else " ".join(parts)},
    )


def _build_pgd_variant(name: str, settings: Settings, source: nn.Module | None) -> Attack:
    label, function = PGD_VARIANTS[name]
    steps, restarts, step_size = (settings.steps, settings.restarts, settings.step(settings.radius))
    keywords: dict[str, Any] = {"steps": steps, "step_size": step_size}
    options = keywords | {"restarts": restarts}
    if name == "transfer":
        assert source is not None
        keywords["source"] = source
        options |= {"source": str(settings.source), "source_sha256": weights_sha256(source)}
    return Attack(
        name,
        f"{label}-{steps} x {restarts}",
        function,
        settings.radius,
        settings.lp,
        keywords,
        restarts,
        options=options,
    )


def _build_own_attack(name: str, settings: Settings) -> Attack:
    """Return the attack of the user's own, `attack(model, x, y, eps=..., norm=...)`, which is also
    called with `bounds` if they are not those of pixels."""
    code = name if isinstance(name, Code) else Code.named(name, "attack")

    def function(
        model: nn.Module, x: Tensor, y: Tensor, *, eps: float, norm: float, bounds: Bounds
    ) -> Tensor:
        own = {} if is_unit_range(bounds) else {"bounds": bounds}
        with attack_mode(model, "evaluation"):
            x_adv = code.code(model, x.clone(), y.clone(), eps=eps, norm=norm, **own)
        return x_adv.detach() if isinstance(x_adv, Tensor) else x_adv

    label = f"{code.partition(':')[2]} (own attack)"
    return Attack(code, label, function, settings.radius, settings.lp, code=str(code))


def has_pyautoattack() -> bool:
    """Whether the package is installed."""
    return importlib.util.find_spec("pyautoattack") is not None


def check_attackable(
    model: nn.Module, x: Tensor, y: Tensor, attacks: Sequence[Attack]
) -> nn.Module:
    """Return the network as one that returns logits. Raises InputError if it cannot be evaluated
    with these attacks, before time is spent."""
    need_gradients = [attack.name for attack in attacks if attack.name in GRADIENT_ATTACKS]
    return check_network(model, x, y, gradients_for=need_gradients[0] if need_gradients else None)


class EvaluatedImages(NamedTuple):
    """The test images of an evaluation: positions, float32 pixels and labels, on the device."""

    images: list[int]
    x: Tensor
    y: Tensor


def choose_images(total: int, n: int | None, draw: int | None) -> list[int]:
    """Return the positions of the images to evaluate, in increasing order: the first n of the
    total, or n drawn at random with the seed `draw`. Default: all.

    Raises ValueError unless 1 <= n <= total.
    """
    if not total:
        raise InputError("the data have no test images to evaluate on: pass some")
    n = total if n is None else n
    if not 1 <= n <= total:
        raise InputError(f"n must be from 1 to {total}, the number of test images, got {n}")
    if draw is None:
        return list(range(n))
    generator = torch.Generator().manual_seed(draw)
    return sorted(torch.randperm(total, generator=generator)[:n].tolist())


def evaluated_images(
    images: Sequence[int], x: Tensor, y: Tensor, device: torch.device
) -> EvaluatedImages:
    """Return the images at these positions of x and y, on the device."""
    chosen = list(images)
    return EvaluatedImages(chosen, to_float(x[chosen].to(device)), y[chosen].to(device))


def run_attack(
    attack: Attack,
    model: nn.Module,
    data: EvaluatedImages,
    settings: Settings,
    record: Record,
    size: BatchSize,
) -> Iterator[tuple[int, float]]:
    """Attack the images that the record does not have yet and add their predictions to it, batch by
    batch. Yields the number of images and the seconds of each batch."""
    earlier = [name for name in record.predictions if name != attack.name]
    if not settings.cascade:
        earlier = earlier[:1]  # natural

    def predictions_after(x: Tensor, y: Tensor, before: Tensor) -> Tensor:
        if attack is NO_ATTACK:
            return predict(model, x)
        with seeded_numbers(settings.seed):
            return attack_images(attack, model, x, y, before, settings.seed)

    began = time.perf_counter()
    for n in record_in_batches(record, attack.name, earlier, data, size, predictions_after):
        yield n, time.perf_counter() - began
        began = time.perf_counter()


def record_in_batches(
    record: Record,
    key: str,
    earlier: Sequence[str],
    data: EvaluatedImages,
    size: BatchSize,
    predictions_after: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Iterator[int]:
    """Add the predictions that the record does not have yet under `key` to it, batch by batch.
    Yields the number of images of each batch.

    `predictions_after(x, y, before)` returns those of a batch, where `before` are the predictions
    after the `earlier` attacks: images that they misclassify are not attacked. Each batch has as
    many images to attack as the size says, with the misclassified ones between them, so that every
    pass is full.
    """
    if record.complete(key):
        return
    known = first_misclassification(record, earlier)
    to_attack = [known[i] == label for i, label in enumerate(record.labels)]
    before = torch.tensor(known, device=data.y.device)
    while (begin := record.done(key)) < len(data.images):

        def attempt(images: int, begin: int = begin) -> Tensor:
            rows = slice(begin, end_of_batch(to_attack, begin, images))
            return predictions_after(data.x[rows], data.y[rows], before[rows])

        predictions = size.run(attempt)
        record.add(key, predictions.tolist())
        yield len(predictions)


def end_of_batch(to_attack: Sequence[bool], begin: int, images: int) -> int:
    """Return the end of the batch that begins at a row and has this number of images to attack."""
    rows = itertools.islice(
        (i for i in range(begin, len(to_attack)) if to_attack[i]), images, images + 1
    )
    return next(rows, len(to_attack))


@contextmanager
def seeded_numbers(seed: int) -> Iterator[None]:
    """Inside, an attack draws the numbers of this seed, which do not depend on the batch: a batch
    more, or a restart more in one batch, changes no random start of another."""
    torch.manual_seed(seed)
    with common_numbers():
        yield


def first_misclassification(record: Record, attacks: Sequence[str]) -> list[int]:
    """Return, for each image, the wrong prediction under the first attack that succeeded, or else
    the label."""
    return first_wrong(record.labels, [record.predictions[name] for name in attacks])


def first_wrong(labels: Sequence[int], rows: Sequence[Sequence[int]]) -> list[int]:
    """Return, for each image, the first prediction in the rows that is not the label, or else the
    label."""
    return [
        next((row[i] for row in rows if row[i] != label), label) for i, label in enumerate(labels)
    ]


def attack_images(
    attack: Attack, model: nn.Module, x: Tensor, y: Tensor, predictions: Tensor, seed: int
) -> Tensor:
    """Return the predictions after the worst restart: int64, shape (n,).

    `predictions` are those before the attack. An image that is misclassified there, or by a
    restart, is not attacked again. Uses torch's global random stream, so the caller seeds it.
    """
    return worst_images(attack, model, x, y, predictions, seed)[1]


def worst_images(
    attack: Attack, model: nn.Module, x: Tensor, y: Tensor, predictions: Tensor, seed: int
) -> tuple[Tensor, Tensor]:
    """Return the images and the predictions of `attack_images`: the first misclassified image, or
    else that of the last restart, or x if the image was not attacked."""
    predictions, worst = predictions.clone(), x.clone()
    for restart in range(attack.restarts):
        correct = (predictions == y).nonzero().squeeze(1)
        if not len(correct):
            break
        x_adv = attack(model, x[correct], y[correct], seed + restart)
        worst[correct], predictions[correct] = x_adv, predict(model, x_adv)
    return worst, predictions


@torch.no_grad()
def predict(model: nn.Module, x: Tensor) -> Tensor:
    """Return the most probable class of each image, in evaluation mode: int64, shape (n,).

    Raises FloatingPointError for logits that are NaN or infinite.
    """
    logits = logits_of(model.eval()(x))
    check_logits(logits, len(x), 0)
    return logits.argmax(1)
