import torch
from sense.attacks.state import Stage, State


def start(n=4):
    return State.at(torch.zeros(n, 1, 2, 2), torch.ones(n, dtype=torch.bool), crossings=True)


def points(*values):
    return torch.tensor(values)[:, None, None, None].expand(-1, 1, 2, 2)


def bools(*values):
    return torch.tensor(values).bool()


def test_an_image_stays_goes_back_or_goes_on():
    """Image 0 stays at x; 1 is turned back by the first step, 2 by the second; 3 never."""
    state = start().tested(points(0.0, 0, 0, 0), torch.tensor([9.0, 1, 1, 1]), bools(1, 0, 0, 0), 3)
    assert state.stage.tolist() == [Stage.A, Stage.C, Stage.C, Stage.C]
    state = state.tested(
        points(0.1, 0.1, 0.1, 0.1), torch.tensor([0.0, 8, 2, 2]), bools(0, 1, 0, 0), 2
    )
    state = state.tested(
        points(0.2, 0.2, 0.2, 0.2), torch.tensor([0.0, 0, 7, 3]), bools(0, 0, 1, 0), 1
    )
    assert state.stage.tolist() == [Stage.A, Stage.B, Stage.B, Stage.C]
    assert state.stage.dtype == torch.uint8
    assert state.alive.tolist() == [False, False, False, True]
    torch.testing.assert_close(state.inside, points(0, 0, 0.1, 0.2))
    assert state.loss.tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(state.outside[1:3], points(0.1, 0.2))
    assert state.left[1:3].tolist() == [2, 1]


def test_part_of_a_batch_goes_on_and_is_written_back():
    whole = start(3)
    part = whole.rows(torch.tensor([2, 0]))
    part = part.tested(points(0.5, 0.6), torch.tensor([1.0, 2]), bools(0, 0), 5)
    after = whole.with_rows(torch.tensor([2, 0]), part)
    torch.testing.assert_close(after.inside, points(0.6, 0, 0.5))
    assert after.loss.tolist() == [2, 0, 1]
    assert not whole.inside.any()


def test_crossings_are_in_the_order_of_their_steps_then_of_the_batch():
    state = start(5)._replace(
        stage=torch.tensor([1, 0, 1, 2, 1], dtype=torch.uint8),
        left=torch.tensor([2, 9, 3, 9, 3]),
        inside=points(0.0, 1, 2, 3, 4),
    )
    crossing = state.crossing()
    assert crossing.images.tolist() == [2, 4, 0]
    assert crossing.left.tolist() == [3, 3, 2]
    ended = state.ended(crossing.images, points(20.0, 40, 0.5), torch.tensor([1.0, 2, 3]))
    torch.testing.assert_close(ended.inside, points(0.5, 1, 20, 3, 40))
    assert ended.loss.tolist() == [3, 0, 1, 0, 2]
