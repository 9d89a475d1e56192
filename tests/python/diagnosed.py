"""Shared by the tests of diagnostics: a network without a fault, and evidence from it."""

import torch

from sense.data import to_float
from sense.evaluation.evidence import Evidence
from sense.evaluation.outcomes import CorrectMatrix
from sense.evaluation.runner import attack_images, build_attack
from sense.evaluation.settings import Settings
from sense.runs import load

N = 60
FEW = 32


def honest_network(trained):
    """A network without a fault, and images that it classifies correctly."""
    folder, data = trained
    model = load(folder)
    x, y = to_float(data.test_x[:120]), data.test_y[:120]
    # Pixels are whole grey levels in float32 too, and noise does not change the predictions.
    confident = model(x).softmax(1).gather(1, y.unsqueeze(1)).squeeze(1) > 0.7
    return model, x[confident][:N], y[confident][:N]


def evidence(network, honest, *attacks, n=N, **options):
    """The evidence after these attacks."""
    x, y = honest[1][:n], honest[2][:n]
    settings = Settings(**{"eps": 0.1, "steps": 10, "restarts": 2, "queries": 100, **options})
    settings = settings.complete(None, None)
    network.eval()
    columns = {"natural": torch.ones(n, dtype=torch.bool)}
    for name in attacks:
        torch.manual_seed(1)
        after = attack_images(build_attack(name, settings), network, x, y, y, 0)
        columns[name] = after == y
    torch.manual_seed(2)
    correct = CorrectMatrix(list(range(n)), y.tolist(), columns)
    return Evidence(network, x, y, settings, correct, y.clone(), torch.arange(n))


def evidence_of_outcomes(correct, labels=None, predictions=None, model=None, x=None, **options):
    """The evidence of these outcomes, for checks that need no forward pass."""
    columns = {name: torch.tensor(row, dtype=torch.bool) for name, row in correct.items()}
    natural = columns["natural"]
    labels = torch.arange(len(natural)) % 10 if labels is None else labels
    predictions = torch.where(natural, labels, labels + 1) if predictions is None else predictions
    settings = Settings(**{"eps": 0.1, **options}).complete(None, None)
    matrix = CorrectMatrix(list(range(len(labels))), labels.tolist(), columns)
    subset = natural.nonzero().squeeze(1)
    images = labels if x is None else x
    model = model or torch.nn.Identity()
    return Evidence(model, images, labels, settings, matrix, predictions, subset)
