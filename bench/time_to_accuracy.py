"""Sections time-to-mnist and time-to-cifar10: seconds of training until a network reaches an
accuracy under AutoAttack, compared with R-AT by a plain loop around the fastest peer's PGD.

The contenders train in turn, an epoch each, with the same network, schedule and batches. The
weights of each epoch are kept. They are attacked after the training, in the order of the epochs;
only the seconds of training count. A round is a seed. Rounds that are finished are kept, so that
the same command, when it is run again, measures the others.
"""

import json
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import accumulate
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sense.attacks import autoattack, pgd
from sense.config import Config, recipe
from sense.data import ImageData, load_data, to_float
from sense.data.augment import augment
from sense.devices import to_device
from sense.files import write_atomically
from sense.models import build_model
from sense.networks import saveable_state_dict
from sense.optimizers import build_optimizer, set_learning_rate
from sense.runs import json_text, load, provenance
from sense.schedules import attack_size, learning_rate
from sense.statistics import Proportion, wilson
from sense.train import TrainingStopped, fit
from sense.training import batches

from .networks import Network, torch_layers
from .peer_process import contenders_in_new_process
from .peers import PEERS, Ball, Perturb, available
from .report import Comparison, Figure, Section
from .settings import Settings, cpu_name
from .steps import FORMS, cross_entropy, first_images, plain_loop, timed_options
from .timing import Contender, Times, alternate, fastest

BASELINE = "ours, r-at"
PGD_STEPS = 20  # weights that miss the target under PGD miss it under AutoAttack
ATTACK_BATCH = 250
TIMED_BATCHES, TIMED_ROUNDS = 2, 3  # to find the fastest peer
Round = dict[str, tuple[float | None, str]]  # seconds to the target, and a sentence, by row


@dataclass(frozen=True)
class Task:
    """The options of R-AT, those that our other contender changes, the radius of AutoAttack, and
    the accuracy that is to be reached on n test images."""

    config: Config
    other: dict[str, Any]
    eps: float
    target: float
    n: int = 1000


def task_for(dataset: str, settings: Settings) -> Task:
    """Return what is trained on a data set."""
    if dataset == "mnist":
        config = replace(recipe("mnist-fast"), method="r-at", boundary="revert", bisections=8)
        other = {"method": "sense", "boundary": "bisect", "bisections": 3}
        task = Task(config, other, 0.3, 0.9)
    else:
        config = replace(recipe("cifar10-demo"), method="r-at", train_size=None, pretrain=1)
        task = Task(config, {"method": "n-fgsm"}, 8 / 255, 0.3)
    usual = 0.0 if settings.quick else task.target
    target = usual if settings.target is None else settings.target
    changes: dict[str, Any] = {
        "device": "cpu",
        "threads": settings.threads,
        "monitor_size": 1,
        "warmup": 0,
    }
    changes["epochs"] = settings.epochs or settings.pick(1, config.epochs)
    if settings.quick:
        changes |= {"model": "capacity-1", "pretrain": 0, "steps": 2, "eps_ramp": 0.0}
    config = replace(task.config, **changes)
    return replace(task, config=config, target=target, n=settings.pick(8, task.n))


def run(dataset: str, settings: Settings) -> Section:
    task = task_for(dataset, settings)
    data = data_for(dataset, settings)
    kept = kept_rounds(settings.rounds_folder / f"{dataset}.json", task, settings.minutes)
    if not kept.rounds and available():
        kept.peer = fastest_peer(task.config, data)
    for seed in range(len(kept.rounds) + 1, settings.rounds + 1):
        seeded = replace(task, config=replace(task.config, seed=seed))
        kept.add(one_round(seeded, data, kept.peer, settings.minutes))
    times: Times = {}
    notes = []
    for seed, one in enumerate(kept.rounds[: settings.rounds], 1):
        for row, (seconds, text) in one.items():
            times.setdefault(row, []).extend([] if seconds is None else [seconds])
            notes.append(f"Seed {seed}, {row}: {text}.")
    return section(dataset, task, kept.peer, times, notes, settings.rounds)


@dataclass
class Kept:
    """The rounds that are finished, in a file, and the peer that they were measured with."""

    path: Path
    description: str
    peer: tuple[str, str] | None = None
    rounds: list[Round] = field(default_factory=list)

    def add(self, measured: Round) -> None:
        self.rounds.append(measured)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {"description": self.description, "peer": self.peer, "rounds": self.rounds}
        write_atomically(self.path, json_text(content))


def kept_rounds(path: Path, task: Task, minutes: float) -> Kept:
    """Return the finished rounds of a task by this code on this machine; none if those in the file
    are of another task, machine, or version of the code."""
    commit = provenance("")["commit"]
    description = f"{task}, {minutes:g} minutes, {cpu_name()}, torch {torch.__version__}, {commit}"
    kept = Kept(path, description)
    if path.is_file():
        found = json.loads(path.read_text())
        if found["description"] == description:
            kept.peer = found["peer"] and (found["peer"][0], found["peer"][1])
            kept.rounds = found["rounds"]
    return kept


def section(
    dataset: str,
    task: Task,
    peer: tuple[str, str] | None,
    times: Times,
    notes: list[str],
    rounds: int,
) -> Section:
    """Return the results. Contenders that reached the target in every round are compared."""
    config = task.config
    goal = f"{100 * task.target:g} % of {task.n} test images under AutoAttack, eps {task.eps:.4g}"
    about = (
        f"{config.model} on {dataset}, {config.pretrain} + {config.epochs} epochs of "
        f"{len(times)} contenders in turn, an epoch each. "
        + (f"The fastest peer is {', '.join(peer)}." if peer else "No peer is installed.")
    )
    reached = {row: seconds for row, seconds in times.items() if len(seconds) == rounds}
    compared = (Comparison(f"Seconds of training to {goal}", reached, BASELINE, notes=(about,)),)
    return Section(
        f"time-to-{dataset}",
        compared if BASELINE in reached else (),
        (Figure("contenders that reached the accuracy with every seed", len(reached), ""),),
        notes=(f"To reach: {goal}. {about}", *notes),
    )


def data_for(dataset: str, settings: Settings) -> ImageData:
    """Return the images; for quick sizes the first ones of the MNIST sample."""
    if settings.quick:
        data = load_data("mnist-sample")
        x, y = data.train_x[:256], data.train_y[:256]
        return ImageData(data.name, x, y, data.test_x, data.test_y, data.classes)
    return load_data(dataset, settings.folder_of(dataset))


def fastest_peer(config: Config, data: ImageData) -> tuple[str, str]:
    """Return the peer and the memory layout with the fastest R-AT loop."""
    network = Network(new_model(config, data), data, config, None)
    images = first_images(data, TIMED_BATCHES * config.batch_size)
    make = partial(peer_loops, network, timed_options(config, threads=config.threads), images)
    with contenders_in_new_process(make) as loops:
        name = fastest(alternate(loops, TIMED_ROUNDS), list(loops))
    peer, _, form = name.partition(", ")
    return peer, form


def peer_loops(network: Network, options: Config, images: ImageData) -> dict[str, Contender]:
    """Return an epoch of R-AT by each peer in each layout."""
    ball = Ball(options.eps, options.step_size, options.steps)

    def around(name: str, model: nn.Module) -> Perturb:
        return PEERS[name](model, ball)

    return {
        f"{name}, {form}": plain_loop(
            network, options, images, form, cross_entropy, partial(around, name)
        )
        for name in available()
        for form in FORMS
    }


def one_round(task: Task, data: ImageData, peer: tuple[str, str] | None, minutes: float) -> Round:
    """Train all contenders with one seed. Return the seconds to the target (None if it was not
    reached) and a sentence, by row."""
    config = task.config
    other = replace(config, **task.other)
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        contenders: dict[str, Contender] = {
            BASELINE: our_epochs(config, data, root / BASELINE),
            f"ours, {other.method}": our_epochs(other, data, root / f"ours, {other.method}"),
        }
        if peer:
            row = f"r-at, {peer[0]}, {peer[1]}"
            make = partial(peer_epochs, row, config, data, *peer, root / row)
            contenders |= stack.enter_context(contenders_in_new_process(make))
        times: Times = {row: [] for row in contenders}
        for _ in range(config.pretrain + config.epochs):
            for row, train_epoch in contenders.items():
                if sum(times[row]) < 60 * minutes:
                    times[row].append(train_epoch())
        return {row: first_reached(task, data, root / row, times[row]) for row in contenders}


def our_epochs(config: Config, data: ImageData, folder: Path) -> Contender:
    """Return a contender that trains one more epoch by `fit`, and keeps its weights."""
    lines: list[dict[str, Any]] = []

    def run() -> float:
        before = len(lines)
        with suppress(TrainingStopped):
            fit(
                config,
                folder / "run",
                data=data,
                resume=before > 0,
                on_epoch=lines.append,
                stop=lambda: 1 if len(lines) > before else None,
            )
        keep(load(folder / "run"), folder, len(lines))
        return float(lines[-1]["seconds"])

    return run


def peer_epochs(
    row: str, config: Config, data: ImageData, peer: str, form: str, folder: Path
) -> dict[str, Contender]:
    """Return a contender that trains one more epoch of R-AT around a peer's PGD, with the weights,
    batches and schedules of ours, and keeps its weights."""
    layout = FORMS[form]
    model = torch_layers(new_model(config, data)).to(memory_format=layout).train()  # type: ignore[call-overload]
    optimizer = build_optimizer(config, model)
    x = to_float(data.train_x).contiguous(memory_format=layout)
    PEERS[peer](model, Ball(config.eps, config.step_size, config.steps))  # imports the package
    done = 0

    def run() -> float:
        nonlocal done
        order, began = batches(config, len(x), done), perf_counter()
        eps, step_size = attack_size(config, done + 0.5 - config.pretrain)
        attack = PEERS[peer](model, Ball(eps, step_size, config.steps))
        for step, index in enumerate(order):
            set_learning_rate(optimizer, learning_rate(config, done + step / len(order)), config)
            images, y = augment(x[index], config.augment), data.train_y[index]
            if done >= config.pretrain:
                images = attack(images, y).detach()
                model.train()
            loss = torch.nn.functional.cross_entropy(model(images), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = perf_counter() - began
        done += 1
        keep(model, folder, done)
        return seconds

    return {row: run}


def new_model(config: Config, data: ImageData) -> nn.Module:
    """Return the network with the initial weights of `fit`."""
    torch.manual_seed(config.seed)
    return to_device(build_model(config.model, data.shape, len(data.classes)), torch.device("cpu"))


def keep(model: nn.Module, folder: Path, epoch: int) -> None:
    folder.mkdir(exist_ok=True, parents=True)
    save_file(saveable_state_dict(model.state_dict()), folder / f"{epoch}.safetensors")


def first_reached(
    task: Task, data: ImageData, folder: Path, seconds: list[float]
) -> tuple[float | None, str]:
    """Return the seconds of training up to the first epoch that reaches the target, or None; and
    the accuracy in words."""
    model = new_model(task.config, data)
    last = ""
    for epoch, total in enumerate(accumulate(seconds), 1):
        model.load_state_dict(load_file(folder / f"{epoch}.safetensors"))
        found, attack = robust_accuracy(model.eval(), task, data)
        last = f"{found} under {attack} after epoch {epoch} ({total:.0f} s)"
        if found.estimate >= task.target:
            return total, last
    return None, f"not reached: {last}"


def robust_accuracy(model: nn.Module, task: Task, data: ImageData) -> tuple[Proportion, str]:
    """Return the accuracy on the first n test images under PGD, or under AutoAttack if that under
    PGD reaches the target; and the name of the attack."""
    torch.manual_seed(0)
    x, y = to_float(data.test_x[: task.n]), data.test_y[: task.n]

    def accuracy_under(attack: Callable[..., Tensor]) -> Proportion:
        right = 0
        for images, labels in zip(x.split(ATTACK_BATCH), y.split(ATTACK_BATCH), strict=True):
            found = attack(model, images, labels, eps=task.eps)
            right += int((model(found).argmax(1) == labels).sum())
        return wilson(right, task.n)

    accuracy = accuracy_under(partial(pgd, step_size=task.eps / 8, steps=PGD_STEPS))
    if accuracy.estimate < task.target:
        return accuracy, f"PGD-{PGD_STEPS}"
    return accuracy_under(autoattack), "AutoAttack"
