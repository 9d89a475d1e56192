import pytest
import torch

from sense.methods.per_example_state import PerExampleState, merge


def test_numbers_are_kept_per_image_in_any_order():
    state = PerExampleState(10, 0.5)
    state.write(torch.tensor([7, 2, 4]), torch.tensor([0.7, 0.2, 0.4]))
    read = state.read(torch.tensor([2, 4, 7, 0]), torch.zeros(1))
    torch.testing.assert_close(read, torch.tensor([0.2, 0.4, 0.7, 0.5]))
    assert read.dtype == torch.float32


def test_a_state_is_saved_as_a_copy_and_restored():
    state, other = PerExampleState(5), PerExampleState(5)
    state.write(torch.tensor([1]), torch.tensor([0.3]))
    saved = state.state_dict()
    state.write(torch.tensor([1]), torch.tensor([0.9]))
    other.load_state_dict(saved)
    assert other.values.tolist() == [0.0, pytest.approx(0.3), 0.0, 0.0, 0.0]
    assert other.updates.tolist() == [0, 1, 0, 0, 0]


def test_the_state_of_another_number_of_images_is_refused():
    with pytest.raises(ValueError, match="the state of 4 training images, but there are 5"):
        PerExampleState(5).load_state_dict(PerExampleState(4).state_dict())


def test_empty_states_merge_to_an_empty_state():
    assert merge([{}, {}]) == {}


def test_states_of_several_processes_merge_to_the_state_of_one():
    one, several = PerExampleState(12), [PerExampleState(12) for _ in range(3)]
    for epoch in range(3):
        for state, part in zip(several, torch.randperm(12).chunk(3), strict=True):
            values = part.double() / 10 + epoch
            one.write(part, values)
            state.write(part, values)
        merged = merge([state.state_dict() for state in several])
        for state in several:
            state.load_state_dict(merged)
        assert torch.equal(merged["values"], one.values)
        assert torch.equal(merged["updates"], one.updates)
