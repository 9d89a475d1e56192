import pytest
import torch

from sense.devices import choose_device, place
from sense.models import build_model


def test_auto_is_an_accelerator_or_the_processor():
    there = torch.accelerator.current_accelerator(check_available=True)
    assert choose_device("auto") == (there or torch.device("cpu"))
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "hpu", ""])
def test_a_device_that_is_not_there_is_named_in_one_line(name):
    with pytest.raises(ValueError, match=f"device '{name}' cannot be used: .") as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


def test_placing_a_model_changes_the_order_in_memory_alone():
    model = build_model("capacity-2", (1, 28, 28), 10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    placed = place(model, torch.device("cpu"))
    assert placed.layers[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(value, before[name]) for name, value in placed.state_dict().items())
