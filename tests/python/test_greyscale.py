import pytest
import torch
import torch.nn.functional as F
from torch import nn

from sense.models import build_model
from sense.models.greyscale import MIN_KERNELS, GreyscaleConv2d


def gradients(layer, x, weights):
    """Of a weighted sum of the output, by image, kernel and bias."""
    x = x.clone().requires_grad_()
    out = layer(x)
    return out, torch.autograd.grad((out * weights).sum(), [x, layer.weight, layer.bias])


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("kernel", "padding"), [(3, 0), (5, 2), ((3, 2), 1)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_output_and_gradients_equal_those_of_torch(
    kernel, padding, dtype, tolerance, channels_last
):
    plain = nn.Conv2d(1, MIN_KERNELS, kernel, padding=padding).to(dtype)
    grey = GreyscaleConv2d(1, MIN_KERNELS, kernel, padding=padding).to(dtype)
    grey.load_state_dict(plain.state_dict())
    if channels_last:
        plain, grey = (layer.to(memory_format=torch.channels_last) for layer in (plain, grey))
    x = torch.rand(5, 1, 9, 7, dtype=dtype)
    weights = torch.randn_like(plain(x))
    expected, derivatives = gradients(plain, x, weights)
    found, own = gradients(grey, x, weights)
    assert "WithImageGradient" in type(found.grad_fn).__name__  # or this would compare torch twice
    assert torch.equal(found, expected)
    for mine, torchs in zip(own, derivatives, strict=True):
        torch.testing.assert_close(mine, torchs, rtol=0, atol=tolerance)


def test_torchs_own_convolution_is_used_elsewhere():
    for layer, x in (
        (GreyscaleConv2d(1, MIN_KERNELS - 1, 3), torch.rand(2, 1, 8, 8, requires_grad=True)),
        (GreyscaleConv2d(3, MIN_KERNELS, 3), torch.rand(2, 3, 8, 8, requires_grad=True)),
        (GreyscaleConv2d(1, MIN_KERNELS, 3), torch.rand(2, 1, 8, 8)),
    ):
        assert "Convolution" in type(layer(x).grad_fn).__name__


def test_second_derivatives_raise_an_error():
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    out = GreyscaleConv2d(1, MIN_KERNELS, 3)(x).square().sum()
    (gradient,) = torch.autograd.grad(out, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def plain_small_cnn(model, x):
    """As TRADES's authors write it: ReLU before pooling, torch's own convolutions."""
    parameters = model.state_dict()

    def layer(z, at):
        return F.relu(
            F.conv2d(z, parameters[f"features.{at}.weight"], parameters[f"features.{at}.bias"])
        )

    z = F.max_pool2d(layer(layer(x, 0), 2), 2)
    z = F.max_pool2d(layer(layer(z, 5), 7), 2).flatten(1)
    for name in ("hidden1", "hidden2"):
        z = F.relu(F.linear(z, parameters[f"{name}.weight"], parameters[f"{name}.bias"]))
    return F.linear(z, parameters["output.weight"], parameters["output.bias"])


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_small_cnn_equals_the_network_of_trades_with_its_gradients(dtype, tolerance):
    model = build_model("small-cnn", (1, 28, 28), 10).to(dtype).eval()
    nn.init.normal_(model.output.weight)
    x, y = torch.rand(6, 1, 28, 28, dtype=dtype, requires_grad=True), torch.arange(6)
    found, expected = model(x), plain_small_cnn(model, x)
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance)
    ours, plain = (
        torch.autograd.grad(F.cross_entropy(logits, y, reduction="sum"), x)[0]
        for logits in (found, expected)
    )
    assert ours.abs().max() > 0.01
    torch.testing.assert_close(ours, plain, rtol=0, atol=tolerance)
