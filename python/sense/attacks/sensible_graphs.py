"""The steps of the sensible adversary in CUDA graphs: `sensible` describes the attack.

A graph has a fixed number of images. Each pass takes the images that still move, and fills up with
finished images, whose results it leaves as they are. The device counts the images that still move.
Python reads each count `LAG` passes later, so that the device has work while Python reads, and then
takes the graph of the smallest size that holds them.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..graphs import Graphs
from ..transfers import LateValue
from .bisection import bisect
from .geometry import Bounds, ascent_direction, broadcast, project, published_direction
from .losses import divergence
from .stages import Stage

LAG = 2  # passes
MIN_SIZE = 8  # images of the smallest graph
REFERENCE = 4  # position of the reference among the tensors that do not change


class State(NamedTuple):
    """Where the images are after a pass; each tensor has one entry per image.

    Attributes
    ----------
    z
        The points after the next step, which the next pass tests.
    reached, loss
        The last points that were accepted, and their losses.
    past
        The points that were reverted, of images in stage B.
    moving, stages
        Whether an image still moves (bool); its stage (uint8).
    """

    z: Tensor
    reached: Tensor
    loss: Tensor
    past: Tensor
    moving: Tensor
    stages: Tensor


class Attack(NamedTuple):
    """What does not change during an attack. `threshold` is log(1/c), `limit` the loss at which a
    step is reverted (inf: never)."""

    network: Callable[[Tensor], Tensor]
    norm: float
    bounds: Bounds
    threshold: float
    limit: float
    published: bool
    batch_size: int

    @property
    def name(self) -> tuple[object, ...]:
        """All of it that a recorded pass depends on."""
        return ("sensible", *self[1:])


def attack_in_graphs(
    graphs: Graphs,
    attack: Attack,
    z: Tensor,
    x: Tensor,
    y: Tensor,
    reference: Tensor | None,
    *,
    eps: float,
    step_size: float,
    steps: int,
    stays_at_start: bool,
    tests_x: bool,
    bisections: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the adversarial images, their stages and the gaps of stage B, from the start z.

    `stays_at_start`: images in stage A end at z, not at x. `tests_x`: stage A is tested at x as
    well as at z. `bisections`: number of bisections of a reverted step.
    """
    n = len(x)
    moving = torch.ones_like(y, dtype=torch.bool)
    if tests_x:
        z, moving = graphs.run((*attack.name, "start"), make_start(attack), z, x, y)
    state = State(
        z,
        z if stays_at_start else x,
        x.new_zeros(n),
        z,
        moving,
        torch.zeros_like(y, dtype=torch.uint8),
    )
    # Inputs of the graphs, since they change from epoch to epoch with --eps-ramp.
    given: tuple[Tensor, ...] = (x, y, x.new_full((), eps), x.new_full((), step_size))
    if reference is not None:
        given = (*given, reference.detach())
    options = reference is None, bool(bisections)
    sizes = sizes_of(n) if graphs.compacts else [n]
    counts: list[LateValue] = []
    for step in range(steps + 1):
        first, last = step == 0, step == steps
        if last and attack.limit == math.inf:  # no step is tested, so no forward pass is needed
            accepted = torch.where(broadcast(state.moving, x), state.z, state.reached)
            stages = torch.where(state.moving, Stage.C, state.stages)
            state = state._replace(reached=accepted, stages=stages)
            break
        most = int(counts[step - LAG].read()[0]) if len(counts) >= LAG else n
        if not most:
            break
        size = min(size for size in sizes if size >= most)
        make = make_pass(attack, size, n, first, last, bool(bisections))
        *found, count = graphs.run(
            (*attack.name, *options, size, first, last), make, *state, *given
        )
        state = State(*found)
        if graphs.compacts:
            counts.append(LateValue(count))
    if bisections:
        most = int(counts[0].read()[0]) if counts else n
        size = min(size for size in sizes if size >= most)
        make = make_bisection(attack, size, n, bisections)
        kind = (*attack.name, *options, size, bisections)
        state = State(*graphs.run(kind, make, *state, *given))
    gap = (attack.threshold - state.loss).where(state.stages == Stage.B, math.nan)
    # The graphs' own tensors are overwritten by the next attack.
    return state.reached.clone(), state.stages.clone(), gap


def sizes_of(n: int) -> list[int]:
    """Return the numbers of images that graphs have for a batch of n: n, n / 2, n / 4 ..."""
    sizes = [n]
    while sizes[-1] // 2 >= MIN_SIZE:
        sizes.append(-(-sizes[-1] // 2))
    return sizes


def make_start(attack: Attack) -> Callable[..., tuple[Tensor, ...]]:
    """Return the test of a random start: x replaces a start in stage A, and images in stage A at x
    do not move."""

    def test(z: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            replaced, stays = (in_stage_a(attack, attack.network(point), y) for point in (z, x))
        return torch.where(broadcast(replaced, x), x, z), ~stays

    return test


def in_stage_a(attack: Attack, logits: Tensor, y: Tensor) -> Tensor:
    """Return which images are misclassified or have p_y <= c. Bool, shape (n,)."""
    loss = F.cross_entropy(logits, y, reduction="none")
    return (logits.argmax(1) != y) | (loss >= attack.threshold)


def make_pass(
    attack: Attack, size: int, n: int, first: bool, last: bool, keeps_past: bool
) -> Callable[..., tuple[Tensor, ...]]:
    """Return a pass of `size` of n images: it tests their points and takes the next step."""

    def one_pass(*tensors: Tensor) -> tuple[Tensor, ...]:
        state, given = State(*tensors[: len(State._fields)]), tensors[len(State._fields) :]

        def advance_some(state: State, given: tuple[Tensor, ...]) -> State:
            return advance(attack, state, given, first, last, keeps_past)

        state = on_rows(state.moving, size, n, advance_some, state, given)
        return (*state, state.moving.sum())

    return one_pass


def make_bisection(
    attack: Attack, size: int, n: int, bisections: int
) -> Callable[..., tuple[Tensor, ...]]:
    """Return the bisection of the reverted steps of at most `size` of n images."""

    def one_pass(*tensors: Tensor) -> tuple[Tensor, ...]:
        state, given = State(*tensors[: len(State._fields)]), tensors[len(State._fields) :]

        def bisect_some(state: State, given: tuple[Tensor, ...]) -> State:
            inside, loss = bisect(
                lambda z: attack_loss(attack, z, given),
                state.reached,
                state.past,
                state.loss,
                limit=attack.threshold,
                bisections=bisections,
            )
            reverted = state.stages == Stage.B
            return state._replace(
                reached=torch.where(broadcast(reverted, inside), inside, state.reached),
                loss=torch.where(reverted, loss.to(state.loss), state.loss),
            )

        return on_rows(state.stages == Stage.B, size, n, bisect_some, state, given)

    return one_pass


def on_rows(
    first: Tensor,
    size: int,
    n: int,
    change: Callable[[State, tuple[Tensor, ...]], State],
    state: State,
    given: tuple[Tensor, ...],
) -> State:
    """Return the state after a change of `size` of the n images: those marked in `first` (bool,
    shape (n,)), then others."""
    if size == n:
        return change(state, given)
    rows = first.to(torch.uint8).argsort(descending=True, stable=True)[:size]
    changed = change(
        State(*(t[rows] for t in state)), tuple(t[rows] if t.dim() else t for t in given)
    )
    return State(*(old.index_copy(0, rows, new) for old, new in zip(state, changed, strict=True)))


def attack_loss(attack: Attack, z: Tensor, given: tuple[Tensor, ...]) -> Tensor:
    """Return the loss that the steps after the first climb. Shape (n,)."""
    logits = attack.network(z)
    if len(given) > REFERENCE:
        return divergence(given[REFERENCE], logits)
    return F.cross_entropy(logits, given[1], reduction="none")


def advance(
    attack: Attack,
    state: State,
    given: tuple[Tensor, ...],
    first: bool,
    last: bool,
    keeps_past: bool,
) -> State:
    """Test z of each image, then take the next step, except after the last."""
    x, y, eps, step_size, *_ = given
    z = state.z.detach().requires_grad_(not last)
    moved = state.moving
    with torch.set_grad_enabled(not last):
        if first:
            logits = attack.network(z)
            loss = F.cross_entropy(logits, y, reduction="none")
            stops = (logits.argmax(1) != y) | (loss >= attack.threshold)
        else:
            loss = attack_loss(attack, z, given)
            stops = loss > attack.limit
    moving, points = moved & ~stops, z.detach()
    state = state._replace(
        moving=moving,
        reached=torch.where(broadcast(moving, x), points, state.reached),
        loss=torch.where(moving, loss.detach().to(x.dtype), state.loss),
        stages=torch.where(moving, Stage.C, state.stages),
    )
    if not first:
        stages = torch.where(moved & stops, Stage.B, state.stages)
        state = state._replace(stages=stages)
        if keeps_past:
            past = torch.where(broadcast(moved & stops, x), points, state.past)
            state = state._replace(past=past)
    if last:
        return state
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    if attack.published:
        unit = published_direction(gradient, attack.batch_size)
    else:
        unit = ascent_direction(gradient, attack.norm)
    moved_to = unit.mul_(step_size).add_(state.reached)
    return state._replace(z=project(moved_to, x, eps, attack.norm, attack.bounds))
