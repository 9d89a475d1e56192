"""ResNet-18 and PreActResNet-18: their size by hand, and literal versions of their equations."""

import pytest
import torch
import torch.nn.functional as F

from sense.models import build_model

WIDTHS = (64, 128, 256, 512)
NAMES = ("resnet18", "preact-resnet18")


def size_by_hand(name, channels, classes):
    """3 x 3 convolutions, 1 x 1 convolutions of the shortcuts, two numbers of each batch norm, and
    the linear layer."""
    pairs = list(zip((64, *WIDTHS), WIDTHS, strict=False))  # inputs and outputs of each group
    convolutions = 9 * (channels * 64 + sum(a * b + 3 * b * b for a, b in pairs))
    shortcuts = sum(a * b for a, b in pairs if a != b)
    if name == "resnet18":
        norms = 64 + sum(4 * b for _, b in pairs) + sum(b for a, b in pairs if a != b)
    else:
        norms = sum(a + 3 * b for a, b in pairs) + 512
    return convolutions + shortcuts + 2 * norms + 512 * classes + classes


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channels", "classes"), [(3, 10), (1, 7), (3, 100)])
def test_the_size_is_that_counted_by_hand(name, channels, classes):
    with torch.device("meta"):
        model = build_model(name, (channels, 32, 32), classes)
    size = sum(p.numel() for p in model.parameters())
    assert size == size_by_hand(name, channels, classes)


def literal(name, state, x):
    """The logits from the weights alone, in evaluation mode, block after block."""

    def norm(x, at):
        keys = ("running_mean", "running_var", "weight", "bias")
        mean, var, weight, bias = (state[f"{at}.{key}"].view(1, -1, 1, 1) for key in keys)
        return (x - mean) / (var + 1e-5).sqrt() * weight + bias

    def conv(x, at, stride=1):
        weight = state[f"{at}.weight"]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    x = conv(x, "conv")
    if name == "resnet18":
        x = norm(x, "norm").relu()
    for block in range(8):
        at, stride = f"blocks.{block}", 2 if block in (2, 4, 6) else 1
        if name == "resnet18":
            out = norm(conv(x, f"{at}.conv1", stride), f"{at}.norm1").relu()
            out = norm(conv(out, f"{at}.conv2"), f"{at}.norm2")
            if stride == 2:
                x = norm(conv(x, f"{at}.shortcut.0", 2), f"{at}.shortcut.1")
            x = (out + x).relu()
        else:
            active = norm(x, f"{at}.norm1").relu()
            out = norm(conv(active, f"{at}.conv1", stride), f"{at}.norm2").relu()
            x = conv(out, f"{at}.conv2") + (conv(active, f"{at}.shortcut", 2) if stride == 2 else x)
    if name == "preact-resnet18":
        x = norm(x, "norm").relu()
    return x.mean((2, 3)) @ state["output.weight"].T + state["output.bias"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 9, 12)])
def test_the_logits_are_those_of_the_equations(name, shape):
    torch.manual_seed(3)
    model = build_model(name, shape, 10).double().train()
    model(torch.rand(6, *shape).double())  # running statistics that are not 0 and 1
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias)
    x = torch.rand(3, *shape).double()
    with torch.no_grad():
        found = model.eval()(x)
        assert torch.allclose(found, literal(name, model.state_dict(), x), rtol=1e-9)
    assert found.std() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_the_last_group_has_an_eighth_of_the_pixels_of_each_side(name):
    model = build_model(name, (3, 32, 32), 10).eval()
    seen = []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, out: seen.append(tuple(out.shape[1:])))
    model(torch.rand(1, 3, 32, 32))
    groups = ((64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4))
    assert seen == [shape for shape in groups for _ in range(2)]
