"""Each method against its authors' own program, on the same network, batch and random draws.

    python bench/authors.py CLONES

CLONES is a folder with clones of these repositories, whose files are read and run, not copied:
yaodongyu/TRADES, YisenWang/MART, JungeumKim/SENSE, BorealisAI/mma_training, BorealisAI/advertorch,
yogeshbalaji/Instance_Adaptive_Adversarial_Training. One step each in float64 on a random network
with batch norm and dropout, by the published mode of the attack; printed are the largest
differences of the loss, of its gradient in any parameter, of any running statistic and of what is
remembered of the images. `x.cuda()` is made to do nothing, and torchvision, which advertorch
imports for other things, is stood in for.

What is left of TRADES in l2 is a 1e-7 in torch.renorm, of MMA single precision in its search.
"""

import sys
import types
import warnings
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests/python")]

from networks import conv_network, images_and_labels  # noqa: E402
from sense.config import Config  # noqa: E402
from sense.methods import Batch, build_method  # noqa: E402

N, TRAINING_SET, SEED = 24, 50, 3
ATTACK = {"eps": 0.03, "step_size": 0.01, "steps": 4}


class NoOptimizer:
    """Some losses ask for an optimizer only to set gradients to zero."""

    def zero_grad(self) -> None: ...


class Anything:
    def __init__(self, *_: Any) -> None: ...


def run_file(path: Path, **names: Any) -> dict[str, Any]:
    """The names that a file defines, without its relative imports and those of advertorch."""
    kept = [
        line for line in path.read_text().splitlines()
        if not line.startswith(("from .", "from advertorch", "from attacks", "import datasets",
                                "import models", "import utils", "import torchvision"))
    ]  # fmt: skip
    exec(compile("\n".join(kept), str(path), "exec"), names)
    return names


def step(config: Config, epoch: int = 0, draws_before: int = 0, **remembered: Tensor) -> Any:
    """Our loss, the network after it, and the method."""
    network = conv_network()
    x, y = images_and_labels(network, N, 1, 8, 8)
    method: Any = build_method(config, TRAINING_SET)
    if remembered:
        method.load_state_dict({**remembered, "updates": torch.zeros(TRAINING_SET).long()})
    torch.manual_seed(SEED)
    for _ in range(draws_before):
        torch.randn_like(x)
    return method(network, Batch(x, y, POSITION), epoch).loss, network, method


def theirs() -> tuple[nn.Sequential, Tensor, Tensor]:
    network = conv_network()
    x, y = images_and_labels(network, N, 1, 8, 8)
    torch.manual_seed(SEED)
    return network, x, y


def report(
    name: str, ours: Any, loss: Tensor | None, network: nn.Module, memory: Any = None
) -> None:
    """`loss` None: their program has written gradients into the network itself."""
    found, mine, method = ours
    gradients = torch.autograd.grad(found, list(mine.parameters()))
    if loss is None:
        expected: Any = [parameter.grad for parameter in network.parameters()]
    else:
        expected = torch.autograd.grad(loss, list(network.parameters()))
    parts = [
        "loss  –     " if loss is None else f"loss {(found - loss).abs().item():.1e}",
        f"gradient {largest(gradients, expected):.1e}",
        f"statistics {largest(list(mine.buffers()), list(network.buffers())):.1e}",
    ]
    if memory is not None:
        parts.append(f"memory {largest([method.state_dict()['values'][POSITION]], [memory]):.1e}")
    print(f"{name:<24} {'  '.join(parts)}")


def largest(a: Any, b: Any) -> float:
    return max(float((p - q).abs().max()) for p, q in zip(a, b, strict=True))


POSITION = torch.randperm(TRAINING_SET, generator=torch.Generator().manual_seed(1))[:N]
REMEMBERED = 0.05 * torch.rand(
    TRAINING_SET, dtype=torch.float64, generator=torch.Generator().manual_seed(2)
)


def trades_and_mart(clones: Path) -> None:
    trades = run_file(clones / "TRADES/trades.py")["trades_loss"]
    options = {"step_size": 0.01, "perturb_steps": 4, "beta": 6.0}
    for norm, distance, eps in (("inf", "l_inf", 0.03), ("2", "l_2", 0.2)):
        config = Config(method="trades", beta=6.0, norm=norm, **{**ATTACK, "eps": eps})
        # Their l2 attack draws a first start that it does not use.
        ours = step(config, draws_before=int(norm == "2"))
        network, x, y = theirs()
        loss = trades(network, x, y, NoOptimizer(), epsilon=eps, distance=distance, **options)
        report(f"TRADES, {distance}", ours, loss, network)

    mart = run_file(clones / "MART/mart.py")["mart_loss"]
    ours = step(Config(method="mart", beta=5.0, **ATTACK))
    network, x, y = theirs()
    options["beta"] = 5.0
    report("MART", ours, mart(network, x, y, NoOptimizer(), epsilon=0.03, **options), network)


def sense_and_sense_trade(clones: Path) -> None:
    tools = run_file(clones / "SENSE/sense/utils/utils_sense.py")
    adversary = run_file(clones / "SENSE/sense/SENSE.py", **tools)["SENSE"]
    for method in ("sense", "sense-trades"):
        ours = step(Config(method=method, c=0.6, random_start=True, stage_test="start",
                           natural_weight=0.0, **ATTACK))  # fmt: skip
        network, x, y = theirs()
        attack = adversary(network, 0.03, 0.01, 4, 0.6)
        if method == "sense":
            loss = F.cross_entropy(network(attack(x, y)), y)
        else:
            logits = network(x)
            loss = attack.trade_kl(network(attack(x, y, logits)), logits).mean()
        report(method.upper(), ours, loss, network)


def iaat(clones: Path) -> None:
    folder = clones / "Instance_Adaptive_Adversarial_Training"
    attacker = run_file(folder / "attacks/pgd_adaptive.py")["PGDAttackerAdaptive"]()
    trainer_class = run_file(folder / "trainers/trainer_adaptive.py")["TrainerAdaptive"]
    for epoch, name in ((1, "IAAT, warm-up"), (5, "IAAT")):
        config = Config(method="iaat", warmup=2, gamma=0.01, radius_rate=0.3,
                        attack_mode="published", **ATTACK)  # fmt: skip
        ours = step(config, epoch, values=REMEMBERED)
        network, x, y = theirs()
        trainer = trainer_class.__new__(trainer_class)
        trainer.model, trainer.attacker, trainer.epoch = network, attacker, epoch
        trainer.epsilon_memory = REMEMBERED.clone()
        trainer.args = types.SimpleNamespace(
            warmup=2, attack_eps=0.03, gamma=0.01, attack_steps=4, attack_lr=0.01, beta=0.3
        )
        radii = trainer.epsilon_select(x, y, POSITION)
        length = torch.clamp(radii / (0.5 * 4), min=0.01)
        loss = F.cross_entropy(network(attacker.attack(x, y, network, 4, length, radii)), y)
        report(name, ours, loss, network, trainer.epsilon_memory[POSITION])


def mma(clones: Path) -> None:
    sys.modules["torchvision"] = types.ModuleType("torchvision")
    sys.modules["torchvision.transforms"] = transforms = types.ModuleType("transforms")
    transforms.__getattr__ = lambda _: Anything  # type: ignore[method-assign]
    sys.modules["torchvision"].transforms = transforms  # type: ignore[attr-defined]
    sys.path[:0] = [str(clones / "advertorch"), str(clones / "mma_training")]
    from advertorch.attacks import L2PGDAttack, LinfPGDAttack
    from advertorch.loss import SoftLogitMarginLoss
    from anpgd import ANPGD
    from trainer import Trainer

    for norm, scale, attack in (("inf", 1.0, LinfPGDAttack), ("2", 5.0, L2PGDAttack)):
        d_max, eps_min = 0.05 * scale, 0.01 * scale
        config = Config(method="mma", steps=4, d_max=d_max, eps_min=eps_min, norm=norm,
                        attack_mode="published")  # fmt: skip
        ours = step(config, values=REMEMBERED)
        network, x, y = theirs()
        pgd = attack(network, loss_fn=SoftLogitMarginLoss(reduction="sum"), eps=0.0, nb_iter=4,
                     eps_iter=0.0, rand_init=True, clip_min=0.0, clip_max=1.0)  # fmt: skip
        search = ANPGD(
            pgd, mineps=eps_min, maxeps=1.05 * d_max, num_search_steps=10, eps_iter_scale=2.5,
            search_loss_fn=SoftLogitMarginLoss(reduction="none"),
        )  # fmt: skip
        trainer = Trainer(
            network, "cpu", nn.CrossEntropyLoss(), torch.optim.SGD(network.parameters(), lr=0.0),
            types.SimpleNamespace(targets=y), nn.CrossEntropyLoss(reduction="none"),
            hinge_maxeps=d_max, adversary=search, verbose=False,
        )  # fmt: skip
        trainer.dct_eps = {int(i): float(REMEMBERED[i]) for i in POSITION}
        torch.manual_seed(SEED)
        trainer.train_one_batch(x.clone(), POSITION, y)
        margins = torch.tensor([trainer.dct_eps[int(i)] for i in POSITION])
        report(f"MMA, l{norm}", ours, None, network, margins)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    clones = Path(sys.argv[1])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[method-assign,assignment]
    for compare in (trades_and_mart, sense_and_sense_trade, iaat, mma):
        compare(clones)


if __name__ == "__main__":
    main()
