import torch

from sense.evaluation.weights import weights_sha256


def test_the_hash_is_of_the_values_by_name_and_shape():
    layer = torch.nn.Linear(4, 3)
    before = weights_sha256(layer)
    assert weights_sha256(layer) == before
    assert weights_sha256(torch.nn.Sequential(layer)) != before
    with torch.no_grad():
        layer.bias[1] += 1e-6
    assert weights_sha256(layer) != before


def test_where_the_weights_lie_does_not_matter():
    layer = torch.nn.Conv2d(3, 4, 2)
    before = weights_sha256(layer)
    layer.to(memory_format=torch.channels_last)
    assert weights_sha256(layer) == before
    norm = torch.nn.BatchNorm2d(2)
    before = weights_sha256(norm)
    norm(torch.rand(3, 2, 4, 4))  # its count, a number without dimensions, is weight too
    assert weights_sha256(norm) != before
