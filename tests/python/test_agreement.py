"""Our attacks compared with foolbox and pyautoattack on 500 images of MNIST, in float32 as used in
practice. `pytest -m slow -s tests/python/test_agreement.py` prints the counts."""

import math

import pytest
import torch

import oracles
from sense.attacks import autoattack_with_verdicts, deepfool, fgsm, pgd
from sense.attacks.geometry import random_point

N, BATCH = 500, 50
RADII = {("nt", math.inf): 0.1, ("nt", 2): 1.5, ("r-at", math.inf): 0.3, ("r-at", 2): 2.5}


def by_fgsm(model, x, y, eps, norm):
    return fgsm(model, x, y, eps=eps, norm=norm), oracles.fgsm(model, x, y, eps=eps, norm=norm)


def by_pgd(model, x, y, eps, norm):
    options = {
        "eps": eps,
        "step_size": eps / 10,
        "steps": 40,
        "norm": norm,
        "start": random_point(x, eps, norm, (0, 1)),
    }
    return pgd(model, x, y, **options), oracles.pgd(model, x, y, **options)


def by_deepfool(model, x, y, eps, norm):
    theirs = oracles.deepfool(model, x, y, norm=norm)
    far = (theirs - x).flatten(1).norm(p=norm, dim=1) > eps
    theirs[far] = x[far]  # foolbox does not compare the distance with eps
    return deepfool(model, x, y, eps=eps, norm=norm), theirs


@pytest.mark.slow
@pytest.mark.parametrize("attack", [by_fgsm, by_pgd, by_deepfool])
@pytest.mark.parametrize(("method", "norm"), RADII)
def test_foolbox_breaks_the_same_images(sample, attack, method, norm):
    model, eps = oracles.trained(method), RADII[method, norm]
    ours, theirs, distances = [], [], []
    for images in torch.arange(N).split(BATCH):
        x, y = sample.test_x[images].float() / 255, sample.test_y[images]
        pair = attack(model, x, y, eps, norm)
        ours.append(oracles.broken(model, pair[0], y))
        theirs.append(oracles.broken(model, pair[1], y))
        distances.append((pair[0] - pair[1]).flatten(1).norm(p=math.inf, dim=1))
    ours, theirs, distances = torch.cat(ours), torch.cat(theirs), torch.cat(distances)
    print(
        f"\n{attack.__name__}, {method}, l{norm}, eps {eps}: {int((ours != theirs).sum())} of {N} "
        f"outcomes differ ({int(ours.sum())} broken by ours, {int(theirs.sum())} by foolbox's); "
        f"a pixel differs by more than 1e-4 in {int((distances > 1e-4).sum())} images"
    )
    assert (ours != theirs).sum() <= N / 100
    assert 20 < ours.sum() < N


@pytest.mark.slow
@pytest.mark.parametrize(
    ("norm", "eps", "n"), [(math.inf, 0.15, N), (2, 2.0, N // 5), (1, 12.0, N // 10)]
)
def test_the_standard_autoattack_equals_pyautoattack_to_the_bit(sample, norm, eps, n):
    model = oracles.trained("nt")
    x, y = sample.test_x[:n].float() / 255, sample.test_y[:n]
    ours = autoattack_with_verdicts(model, x, y, eps=eps, norm=norm)
    theirs = oracles.autoattack(model, x, y, eps=eps, norm=norm, batch_size=250)
    counts = {name: ours.broken_by.count(name) for name in dict.fromkeys(ours.broken_by)}
    differ = int((ours.x_adv != theirs).flatten(1).any(1).sum())
    print(
        f"\nautoattack, nt, l{norm}, eps {eps}: {differ} of {n} images differ; broken by: {counts}"
    )
    assert differ == 0
    assert {"apgd-ce", None} <= set(counts)  # some images are broken, others resist all parts
