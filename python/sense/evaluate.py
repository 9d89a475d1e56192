"""How accurate a trained network is, as images are and under attack.

    python -m sense.evaluate RUN                              PGD-100 with 5 restarts, all images
    python -m sense.evaluate RUN --steps 500 --restarts 20 --n 1000

Writes into the run's folder outcomes.csv, a row per test image and attack, and evaluation.json,
the counts with their intervals. Accuracy under an attack bounds robust accuracy from above.
"""

import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import torch
import tyro
from torch import Tensor, nn
from tqdm import tqdm

from .attacks import pgd
from .attacks.checks import check_adversarial
from .checkpoint import write_atomically
from .data import ImageData, load_data, to_float
from .devices import choose_device, place
from .runs import check_same_data, load_model, provenance, read_run, write_json
from .statistics import Proportion, wilson

OUTCOMES = "outcomes.csv"
EVALUATION = "evaluation.json"
BATCH = 250

Help = tyro.conf.arg


@dataclass(frozen=True)
class PGDAttack:
    """PGD with restarts. eps and norm are the run's own unless given; the step size is the
    paper's for MNIST (section 5.2.1)."""

    steps: Annotated[int, Help(help="steps of each restart")] = 100
    restarts: Annotated[int, Help(help="random starts; the worst counts")] = 5
    step_size: Annotated[float, Help(help="length of a step")] = 0.01
    eps: Annotated[float | None, Help(help="radius of the ball; the run's unless given")] = None
    norm: Annotated[
        Literal["inf", "2", "1"] | None, Help(help="norm of the ball; the run's unless given")
    ] = None
    seed: Annotated[int, Help(help="of the random starts")] = 0

    def __post_init__(self) -> None:
        if self.restarts < 1:
            raise ValueError(f"restarts must be a whole number >= 1, got {self.restarts}")


class Outcome(NamedTuple):
    """What the network said of one test image under one attack ("natural" is none)."""

    image: int
    label: int
    attack: str
    prediction: int
    correct: int


def evaluate(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    attack: PGDAttack,
    *,
    device: torch.device | None = None,
    show: bool = False,
) -> list[Outcome]:
    """The outcomes of images x (uint8 or float in [0, 1]) with int64 labels y, natural and under
    the attack, whose eps and norm must be set."""
    assert attack.eps is not None
    assert attack.norm is not None
    device = device or torch.device("cpu")
    model = place(model, device).eval()
    outcomes: dict[str, list[Outcome]] = {"natural": [], "pgd": []}
    with torch.random.fork_rng():
        bar = tqdm(total=len(x), desc="images", disable=None if show else True, leave=False)
        for images in torch.arange(len(x)).split(BATCH):
            # A seed a batch: or one more restart here would change the random starts of the next.
            torch.manual_seed(attack.seed * 1_000_003 + int(images[0]))
            batch, labels = to_float(x[images].to(device)), y[images].to(device)
            for name, predictions in attacked(model, batch, labels, attack):
                outcomes[name] += [
                    Outcome(i, label, name, guess, int(guess == label))
                    for i, label, guess in zip(
                        images.tolist(), labels.tolist(), predictions.tolist(), strict=True
                    )
                ]
            bar.update(len(images))
        bar.close()
    return outcomes["natural"] + outcomes["pgd"]


def attacked(
    model: nn.Module, x: Tensor, y: Tensor, attack: PGDAttack
) -> Iterator[tuple[str, Tensor]]:
    """The predictions for a batch as it is, then for the worst of the restarts: an image that is
    misclassified already is not attacked again."""
    eps, norm = float(attack.eps or 0), float(attack.norm or "inf")
    predictions = predict(model, x)
    yield "natural", predictions.clone()
    for _ in range(attack.restarts):
        standing = (predictions == y).nonzero().squeeze(1)
        if not len(standing):
            break
        x_adv = pgd(model, x[standing], y[standing], eps=eps, step_size=attack.step_size,
                    steps=attack.steps, norm=norm)  # fmt: skip
        check_adversarial(x_adv, x[standing], eps=eps, norm=norm)
        predictions[standing] = predict(model, x_adv)
    yield "pgd", predictions


@torch.no_grad()
def predict(model: nn.Module, x: Tensor) -> Tensor:
    """The most probable class of each image."""
    return model(x).argmax(1)


def evaluate_run(
    folder: Path,
    attack: PGDAttack,
    *,
    n: int | None = None,
    data: ImageData | None = None,
    data_dir: Path | None = None,
    device: str = "auto",
    show: bool = False,
) -> dict[str, Proportion]:
    """Evaluate a run on the first n of its test images (all unless given), and leave
    outcomes.csv and evaluation.json in its folder."""
    config, description = read_run(folder)
    attack = PGDAttack(**{
        **asdict(attack),
        "eps": config.eps if attack.eps is None else attack.eps,
        "norm": attack.norm or config.norm,
    })  # fmt: skip
    data = data or load_data(config.dataset, data_dir or config.data_dir)
    check_same_data(folder, description, data)
    if n is not None and not 1 <= n <= len(data.test_x):
        raise ValueError(f"n must be from 1 to {len(data.test_x)}, the test images, got {n}")
    outcomes = evaluate(
        load_model(folder), data.test_x[:n], data.test_y[:n], attack,
        device=choose_device(device), show=show,
    )  # fmt: skip
    accuracies = summarise(outcomes)
    write_outcomes(folder / OUTCOMES, outcomes)
    write_json(folder / EVALUATION, evaluation(attack, accuracies))
    return accuracies


def summarise(outcomes: list[Outcome]) -> dict[str, Proportion]:
    """The accuracy under each attack, with its Wilson interval."""
    correct: dict[str, list[int]] = {}
    for outcome in outcomes:
        correct.setdefault(outcome.attack, []).append(outcome.correct)
    return {name: wilson(sum(row), len(row)) for name, row in correct.items()}


def evaluation(attack: PGDAttack, accuracies: dict[str, Proportion]) -> dict[str, Any]:
    """What evaluation.json holds."""
    return {
        "attack": {"name": "pgd", **asdict(attack)},
        "accuracy": {name: p._asdict() | {"level": 0.95} for name, p in accuracies.items()},
        "provenance": provenance(),
    }


def write_outcomes(path: Path, outcomes: list[Outcome]) -> None:
    """Write outcomes.csv: image (position in the test set), label, attack, prediction, correct."""

    def write(part: Path) -> None:
        with part.open("w", newline="") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(Outcome._fields)
            rows.writerows(outcomes)

    write_atomically(path, write)


if __name__ == "__main__":
    from .cli import evaluate_main

    evaluate_main()
