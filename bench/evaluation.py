"""Section evaluation: PGD on the MNIST sample and AutoAttack on CIFAR10, compared with peers."""

import copy
import importlib.util
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from sense.attacks import autoattack
from sense.data import ImageData, load_data, to_float
from sense.evaluation.evaluate import evaluate
from sense.evaluation.settings import Settings as Evaluation
from sense.runs import load

from .networks import Network, cifar_cnn, torch_layers
from .peers import PEERS, Ball, available, import_quietly
from .report import Comparison, Section
from .settings import ROOT, Settings
from .steps import FORMS
from .timing import Contender, alternate, timed

RUN = ROOT / "inst/extdata/mnist-demo/sense"  # SENSE-AT of `make demo`, whose weights are stored
EPS, STEP_SIZE = 0.3, 0.01
AUTOATTACK_EPS = 8 / 255
Counts = dict[str, int]  # number of correctly classified images under attack, by contender
FEWER_STEPS = "not the same: APGD and FAB take 10 steps, not 100"


def run(settings: Settings) -> Section:
    data = load_data("mnist-sample")
    model = load(RUN).eval()
    n = settings.pick(20, 500)
    usual = Ball(EPS, STEP_SIZE, settings.pick(3, 40), restarts=2)
    comparisons = [pgd_comparison(model, data, n, usual, available(), settings.pick(1, 3))]
    if not settings.quick:
        thorough = [name for name in ("foolbox", "torchattacks") if name in available()]
        ball = Ball(EPS, STEP_SIZE, 100, restarts=5)
        comparisons.append(pgd_comparison(model, data, 1000, ball, thorough, rounds=1))
        comparisons += autoattack_comparison(cifar_cnn(settings, 2), n)
    return Section("evaluation", tuple(comparisons))


def pgd_comparison(
    model: nn.Module, data: ImageData, n: int, ball: Ball, peers: Sequence[str], rounds: int
) -> Comparison:
    """Compare our evaluation of the first n test images with each peer's PGD with the same steps
    and restarts, in both memory layouts. A single round has no warm-up: it takes minutes."""
    x, y = data.test_x[:n], data.test_y[:n]
    correct: Counts = {}
    contenders: dict[str, Contender] = {"ours": timed(lambda: our_pgd(model, x, y, ball, correct))}
    for name in peers:
        for layout, form in FORMS.items():
            own = torch_layers(model).to(memory_format=form).eval()  # type: ignore[call-overload]
            attack = PEERS[name](own, ball)
            row = f"{name}, {layout}"
            contenders[row] = timed(counting(row, correct, own, attack, x, y, form))
    times = alternate(contenders, rounds, warm_up=rounds > 1)
    same = {name: f"{k} / {len(x)} correct" for name, k in correct.items()}
    for name, k in correct.items():
        check_close(name, k, correct["ours"], len(x))
    return Comparison(
        f"PGD-{ball.steps} with {ball.restarts} restarts, capacity-3, {n} images of the MNIST "
        "sample",
        times,
        "ours",
        same=same,
        notes=("Each attack draws its own random starts, so the counts differ by a few images.",),
    )


def our_pgd(model: nn.Module, x: Tensor, y: Tensor, ball: Ball, correct: Counts) -> None:
    options = Evaluation(
        steps=ball.steps, restarts=ball.restarts, step_size=ball.step_size, eps=ball.eps, norm="inf"
    )
    correct["ours"] = evaluate(model, x, y, options).accuracy["pgd"].k


def counting(
    name: str,
    correct: Counts,
    model: nn.Module,
    attack: Callable[[Tensor, Tensor], Tensor],
    x: Tensor,
    y: Tensor,
    form: torch.memory_format,
) -> Callable[[], None]:
    """Attack batches of 250, as `sense.evaluate` does; count the correctly classified images."""

    def work() -> None:
        right = 0
        for images, labels in zip(x.split(250), y.split(250), strict=True):
            x_adv = attack(to_float(images).contiguous(memory_format=form), labels)
            model.eval()
            with torch.no_grad():
                right += int((model(x_adv).argmax(1) == labels).sum())
        correct[name] = right

    return work


def check_close(name: str, found: int, ours: int, n: int) -> None:
    """Raise ArithmeticError if an attack with the same steps finds a different accuracy."""
    if abs(found - ours) > max(3, 0.05 * n):
        raise ArithmeticError(f"{name}: {found} of {n} images are correct, by our attack {ours}")


def autoattack_comparison(network: Network, n: int) -> list[Comparison]:
    """Compare the standard AutoAttack here, by pyautoattack, and by torchattacks, which takes fewer
    steps. Without pyautoattack there is no comparison."""
    if not importlib.util.find_spec("pyautoattack"):
        return []
    x, y = network.data.test_x[:n], network.data.test_y[:n]
    makers = {"ours": our_autoattack, "pyautoattack": pyautoattack}
    if importlib.util.find_spec("torchattacks"):
        makers["torchattacks"] = torchattacks_autoattack
    correct: Counts = {}
    contenders: dict[str, Contender] = {}
    for name, make in makers.items():
        form = FORMS["channels_last" if name == "ours" else "contiguous"]
        model = network.model if name == "ours" else torch_layers(network.model)
        own = copy.deepcopy(model).to(memory_format=form).eval()  # type: ignore[call-overload]
        contenders[name] = timed(counting(name, correct, own, make(own), x, y, form))
    times = alternate(contenders, 2, warm_up=False)
    same = {name: f"{k} / {len(x)} correct" for name, k in correct.items()}
    check_close("pyautoattack", correct["pyautoattack"], correct["ours"], len(x))
    if "torchattacks" in same:
        same["torchattacks"] += f"; {FEWER_STEPS}"
    return [
        Comparison(
            f"AutoAttack, eps 8/255, {network.config.model}, {len(x)} images of "
            f"{network.data.name}",
            times,
            "ours",
            same=same,
            notes=(network.description,),
        )
    ]


def our_autoattack(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda x, y: autoattack(model, x, y, eps=AUTOATTACK_EPS)


def pyautoattack(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    attack = import_quietly("pyautoattack").AutoAttack(
        model, eps=AUTOATTACK_EPS, norm="Linf", seed=0
    )
    return lambda x, y: attack.run_standard_evaluation(x, y)[0]


def torchattacks_autoattack(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    return import_quietly("torchattacks").AutoAttack(
        model, eps=AUTOATTACK_EPS, n_classes=10, seed=0
    )
