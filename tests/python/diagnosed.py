"""Shared by the tests of signs: an honest network, and cases made of it."""

import torch

from sense.data import to_float
from sense.evaluation.case import Case
from sense.evaluation.runner import attack_images, build_attack
from sense.evaluation.settings import Settings
from sense.runs import load_model

N = 60
FEW = 32


def honest_network(trained):
    """The plain network, which deserves no warning, and images that are all naturally right."""
    folder, data = trained
    model = load_model(folder)
    x, y = to_float(data.test_x[:120]), data.test_y[:120]
    # Of whole grey levels in float32 too, and right by a margin that noise does not undo.
    sure = model(x).softmax(1).gather(1, y.unsqueeze(1)).squeeze(1) > 0.7
    return model, x[sure][:N], y[sure][:N]


def case(network, honest, *attacks, n=N, **options):
    """What is to be judged after these attacks."""
    x, y = honest[1][:n], honest[2][:n]
    settings = Settings(**{"eps": 0.1, "steps": 10, "restarts": 2, "queries": 100, **options})
    settings = settings.complete(None, None)
    network.eval()
    right = {"natural": torch.ones(n, dtype=torch.bool)}
    for name in attacks:
        torch.manual_seed(1)
        after = attack_images(build_attack(name, settings), network, x, y, y, 0)
        right[name] = after == y
    torch.manual_seed(2)
    return Case(network, x, y, settings, right, y.clone(), torch.arange(n))


def told(right, labels=None, guesses=None, **options):
    """A case of outcomes alone: no sign of it makes a pass."""
    rows = {name: torch.tensor(row, dtype=torch.bool) for name, row in right.items()}
    labels = torch.arange(len(rows["natural"])) % 10 if labels is None else labels
    guesses = torch.where(rows["natural"], labels, labels + 1) if guesses is None else guesses
    settings = Settings(**{"eps": 0.1, **options}).complete(None, None)
    where = rows["natural"].nonzero().squeeze(1)
    return Case(torch.nn.Identity(), labels, labels, settings, rows, guesses, where)
