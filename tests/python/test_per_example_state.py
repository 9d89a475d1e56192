import pytest
import torch

from sense.methods.per_example_state import PerExampleState, merge


def test_numbers_are_kept_by_image_whatever_the_order():
    memory = PerExampleState(10, 0.5)
    memory.write(torch.tensor([7, 2, 4]), torch.tensor([0.7, 0.2, 0.4]))
    read = memory.read(torch.tensor([2, 4, 7, 0]), torch.zeros(1))
    torch.testing.assert_close(read, torch.tensor([0.2, 0.4, 0.7, 0.5]))
    assert read.dtype == torch.float32


def test_state_goes_there_and_back_and_is_a_copy():
    memory, other = PerExampleState(5), PerExampleState(5)
    memory.write(torch.tensor([1]), torch.tensor([0.3]))
    state = memory.state_dict()
    memory.write(torch.tensor([1]), torch.tensor([0.9]))
    other.load_state_dict(state)
    assert other.values.tolist() == [0.0, pytest.approx(0.3), 0.0, 0.0, 0.0]
    assert other.updates.tolist() == [0, 1, 0, 0, 0]


def test_the_memory_of_other_images_is_refused():
    with pytest.raises(ValueError, match="remembers 4 training images, there are 5"):
        PerExampleState(5).load_state_dict(PerExampleState(4).state_dict())


def test_processes_that_saw_different_images_merge_to_what_one_would_have():
    one, ranks = PerExampleState(12), [PerExampleState(12) for _ in range(3)]
    for epoch in range(3):
        for rank, part in enumerate(torch.randperm(12).chunk(3)):
            values = part.double() / 10 + epoch
            one.write(part, values)
            ranks[rank].write(part, values)
        whole = merge([memory.state_dict() for memory in ranks])
        for memory in ranks:
            memory.load_state_dict(whole)
        assert torch.equal(whole["values"], one.values)
        assert torch.equal(whole["updates"], one.updates)
