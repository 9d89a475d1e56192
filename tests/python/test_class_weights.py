from dataclasses import replace

import pytest
import torch

import sense
from sense.config.options import used_by
from sense.data.class_weights import class_weights
from sense.distributed import Shard
from sense.errors import InputError
from sense.methods import METHODS, Batch, build_method
from sense.models import build_model
from sense.train import shard_scale

WEIGHTS = torch.tensor([1.0, 5.0, 0.5])


def problem(n=12):
    torch.manual_seed(0)
    model = build_model("mlp-8", (4,), 3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    x, y = torch.randn(n, 4), torch.arange(n) % 3
    return model, Batch(x, y, torch.arange(n))


def method_of(name, weights):
    config = replace(sense.recipe("table"), method=name)
    if name in (used_by("natural_weight") or ()):
        config = replace(config, natural_weight=0.4)
    bounds = (-torch.inf, torch.inf)
    return build_method(config, 12, bounds, weights, (4,))


def one(examples, i):
    """The example i alone."""
    row = slice(i, i + 1)
    parts = ("x", "y", "x_adv", "natural_logits", "counted")
    values = {name: getattr(examples, name) for name in parts}
    return replace(examples, **{k: v[row] for k, v in values.items() if v is not None})


@pytest.mark.parametrize("name", METHODS)
def test_the_loss_is_the_weighted_mean_of_the_losses_of_single_images(name):
    model, batch = problem()
    plain, weighted = method_of(name, None), method_of(name, WEIGHTS)
    examples = plain.examples(model, batch, 20.0)
    single = torch.stack([plain.loss(model, one(examples, i)) for i in range(12)])
    w = WEIGHTS[batch.y]
    torch.testing.assert_close(weighted.loss(model, examples), (w * single).sum() / w.sum())
    torch.testing.assert_close(plain.loss(model, examples), single.mean())


@pytest.mark.parametrize("name", ["nt", "trades", "mma"])
def test_equal_weights_change_nothing(name):
    model, batch = problem()
    plain, weighted = method_of(name, None), method_of(name, torch.full((3,), 2.0))
    examples = plain.examples(model, batch, 20.0)
    torch.testing.assert_close(weighted.loss(model, examples), plain.loss(model, examples))


def test_balanced_weights_give_every_class_the_same_total():
    y = torch.tensor([0] * 6 + [1] * 3 + [2])
    weights = class_weights("balanced", y, 4)
    assert weights[:3].tolist() == pytest.approx([10 / 24, 10 / 12, 10 / 4])
    totals = weights[:3] * y.bincount()
    assert totals.tolist() == pytest.approx([2.5] * 3)


def test_numbers_are_taken_in_the_order_of_the_labels():
    y = torch.tensor([0, 1])
    assert class_weights((1.0, 3.0), y, 2).tolist() == [1, 3]
    assert class_weights(None, y, 2) is None
    with pytest.raises(InputError, match="class_weights must be 3 numbers, one per class"):
        class_weights((1.0, 3.0), y, 3)


@pytest.mark.parametrize("counts", [[7, 5], [1, 11], [12, 0]])
def test_shards_of_a_batch_add_up_to_its_weighted_mean(counts):
    model, batch = problem()
    method = method_of("nt", WEIGHTS)
    whole = method(model, batch, 0.0).loss
    total = torch.zeros(())
    for rank, index in enumerate(batch.indices.split(counts)):
        shard = Shard(index if len(index) else batch.indices[:1], counts, rank)
        part = Batch(batch.x[shard.index], batch.y[shard.index], shard.index)
        scale = shard_scale(method, batch.y, batch.indices, shard)
        total = total + shard.weight * scale * method(model, part, 0.0).loss
    torch.testing.assert_close(total, whole)


def test_a_rare_class_is_found_with_balanced_weights(tmp_path):
    """Without weights a rare class inside a common one is predicted for few of its images."""
    torch.manual_seed(0)
    rare = torch.randn(40, 1) * 0.5 + 0.8
    x, y = torch.cat([torch.randn(400, 1), rare]), torch.tensor([0] * 400 + [1] * 40)
    data = sense.data.TableData.from_features("t", x, y, None, None, ["common", "rare"])
    config = replace(
        sense.recipe("table"), method="nt", model="linear", epochs=3, pretrain=0, threads=1
    )
    found = {}
    for weights in (None, "balanced"):
        run = tmp_path / str(weights)
        model = sense.fit(replace(config, class_weights=weights), run, data=data)
        with torch.no_grad():
            found[weights] = int((model(data.train_x)[400:].argmax(1) == 1).sum())
    assert found[None] < 5
    assert found["balanced"] > 25
