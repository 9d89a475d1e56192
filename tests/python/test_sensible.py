import math

import pytest
import torch
import torch.nn.functional as F

import reference
from networks import CountRows, conv_network, images_and_labels, linear_network
from sense.attacks import Stage, pgd, sensible, sensible_with_stages
from sense.attacks.checks import check_ball_and_bounds
from sense.attacks.geometry import (
    per_image_norm,
    projected_uniform_image,
    published_direction,
    random_point,
)

STEPS = 5
RADIUS = {math.inf: 0.03, 2: 0.15, 1: 0.75}  # such that all three stages occur
NORMS = pytest.mark.parametrize("norm", RADIUS)
C = pytest.mark.parametrize("c", [0.3, 0.5, 0.7, 0.9])


def problem(norm=math.inf, n=32, classes=3):
    network = conv_network(classes)
    x, y = images_and_labels(network, n, 1, 8, 8)
    ball = {"eps": RADIUS[norm], "step_size": RADIUS[norm] / 3, "steps": STEPS, "norm": norm}
    return network, x, y, ball


def confidence(network, x, y):
    training = network.training
    probabilities = network.eval()(x).softmax(1)[torch.arange(len(x)), y].detach()
    network.train(training)
    return probabilities


def assert_equals(fast, slow):
    assert fast.stages.tolist() == slow.stages
    torch.testing.assert_close(fast.x_adv, slow.x_adv, rtol=0, atol=1e-10)


@NORMS
@C
@pytest.mark.parametrize("classes", [2, 3, 10])
def test_equals_algorithms_1_and_2(norm, c, classes):
    network, x, y, ball = problem(norm, 16, classes)
    slow = reference.sensible(network, x, y, c=c, **ball)
    assert_equals(sensible_with_stages(network, x, y, c=c, **ball), slow)


@NORMS
@pytest.mark.parametrize("stage_test", ["natural", "start"])
@pytest.mark.parametrize("revert", [True, False])
def test_equals_the_reference_from_a_random_start(norm, stage_test, revert):
    network, x, y, ball = problem(norm)
    options = {"c": 0.6, "stage_test": stage_test, "revert": revert}
    torch.manual_seed(3)
    start = random_point(x, ball["eps"], norm, (0, 1))
    torch.manual_seed(3)
    fast = sensible_with_stages(network, x, y, random_start=True, **options, **ball)
    assert_equals(fast, reference.sensible(network, x, y, start=start, **options, **ball))
    if stage_test == "start":
        stayed = fast.stages == Stage.A
        assert stayed.any()
        assert torch.equal(fast.x_adv[stayed], start[stayed])


@NORMS
@pytest.mark.parametrize("random_start", [False, True])
def test_images_of_each_stage_are_where_definition_3_says(norm, random_start):
    network, x, y, ball = problem(norm, 100)
    c = 0.6
    x_adv, stages, _ = sensible_with_stages(network, x, y, c=c, random_start=random_start, **ball)
    before, after = confidence(network, x, y), confidence(network, x_adv, y)
    stay = stages == Stage.A
    assert set(stages.tolist()) == {0, 1, 2}
    assert stages.dtype == torch.uint8
    assert torch.equal(x_adv[stay], x[stay])
    assert torch.equal(stay, (before <= c) | (network.eval()(x).argmax(1) != y))
    assert (after[~stay] >= c - 1e-12).all()
    assert (after[stages == Stage.C] < before[stages == Stage.C]).all()
    assert (per_image_norm(x_adv - x, norm) <= ball["eps"] + 1e-12).all()
    assert x_adv.min() >= 0
    assert x_adv.max() <= 1


def test_a_reverted_image_is_the_last_iterate_of_pgd_before_log_1_over_c():
    """The iterates are PGD's; an attack of k steps shows the k-th."""
    network, x, y, ball = problem()
    c = 0.6
    reached, stages, _ = sensible_with_stages(network, x, y, c=c, **ball)
    path = [x] + [
        pgd(network, x, y, random_start=False, **{**ball, "steps": k}) for k in range(1, STEPS + 1)
    ]
    certain = torch.stack([confidence(network, z, y) for z in path])
    reverted = (stages == Stage.B).nonzero().squeeze(1).tolist()
    assert reverted
    for i in reverted:
        k = int((certain[:, i] < c).nonzero()[0])
        assert torch.equal(reached[i], path[k - 1][i])


def test_with_c_of_one_no_image_moves():
    network, x, y, ball = problem()
    x_adv, stages, _ = sensible_with_stages(network, x, y, c=1.0, **ball)
    assert torch.equal(x_adv, x)
    assert not stages.any()


@NORMS
@pytest.mark.parametrize("random_start", [False, True])
def test_with_c_of_zero_it_is_pgd_on_the_correctly_classified_images(norm, random_start):
    network, x, y, ball = problem(norm)
    right = network.eval()(x).argmax(1) == y
    torch.manual_seed(2)
    expected = pgd(network, x, y, random_start=random_start, **ball)
    torch.manual_seed(2)
    x_adv, stages, _ = sensible_with_stages(network, x, y, c=0.0, random_start=random_start, **ball)
    start_right = right
    if random_start:  # a start that is itself misclassified is replaced by x
        torch.manual_seed(2)
        start = random_point(x, ball["eps"], norm, (0, 1))
        start_right = right & (network(start).argmax(1) == y)
    assert 0 < start_right.sum() < len(x)
    torch.testing.assert_close(x_adv[start_right], expected[start_right], rtol=0, atol=1e-12)
    assert torch.equal(x_adv[~right], x[~right])
    assert torch.equal(stages == Stage.C, right)


def test_without_reversion_images_with_p_y_above_c_take_every_step():
    network, x, y, ball = problem()
    x_adv, stages, _ = sensible_with_stages(network, x, y, c=0.6, revert=False, **ball)
    moves = confidence(network, x, y) > 0.6
    expected = pgd(network, x, y, random_start=False, **ball)
    torch.testing.assert_close(x_adv[moves], expected[moves], rtol=0, atol=1e-12)
    assert torch.equal(stages == Stage.C, moves)
    assert (confidence(network, x_adv, y)[moves] < 0.6).any()  # steps that revert would undo


@pytest.mark.parametrize(("c", "revert"), [(0.6, True), (0.6, False), (0.0, True), (1.0, True)])
def test_forward_passes_compute_only_images_that_still_move(c, revert):
    network, x, y, ball = problem()
    slow = reference.sensible(network, x, y, c=c, revert=revert, **ball)
    # A forward pass per iterate; the last is not needed if no step is reverted.
    tested = c > 0 and revert
    needed = [
        len(path) - (stage == reference.C and not tested)
        for path, stage in zip(slow.iterates, slow.stages, strict=True)
    ]
    counter = CountRows(network)
    sensible_with_stages(counter, x, y, c=c, revert=revert, **ball)
    assert counter.rows == sum(needed)
    assert counter.passes == max(needed)
    assert max(needed) == (1 if c == 1 else STEPS + tested)
    assert sum(needed) < len(x) * max(needed) or c == 1


@pytest.mark.parametrize("boundary", ["revert", "bisect"])
def test_the_published_l2_form_equals_the_authors_code(boundary):
    network, x, y, ball = problem(2)
    network[6].factor = 150.0  # sure of some images, where the gradient of the mean is below 1e-6
    ball["eps"] = 0.4
    torch.manual_seed(3)
    start = reference.published_l2_start(x, ball["eps"])
    given = {key: ball[key] for key in ("eps", "step_size", "steps")}
    slow = reference.published_l2(network, x, y, c=0.6, start=start, **given)
    torch.manual_seed(3)
    fast = sensible_with_stages(
        network,
        x,
        y,
        c=0.6,
        random_start=True,
        stage_test="start",
        l2_form="published",
        boundary=boundary,
        **ball,
    )
    assert set(slow.stages) == {Stage.A, Stage.B, Stage.C}
    assert fast.stages.tolist() == slow.stages
    same = fast.stages != Stage.B if boundary == "bisect" else torch.ones(len(x)).bool()
    torch.testing.assert_close(fast.x_adv[same], slow.x_adv[same], rtol=0, atol=1e-10)
    torch.manual_seed(3)
    paper = sensible_with_stages(
        network, x, y, c=0.6, random_start=True, stage_test="start", **ball
    )
    assert (paper.x_adv != fast.x_adv).flatten(1).any(1).float().mean() > 0.5


def test_the_published_l2_step_is_shorter_than_one_where_the_gradient_of_the_mean_is_small():
    gradient = torch.zeros(3, 1, 1, 2, dtype=torch.float64)
    gradient[0, 0, 0] = torch.tensor([3.0, 4.0])
    gradient[1, 0, 0] = torch.tensor([3e-5, 4e-5])
    lengths = per_image_norm(published_direction(gradient, batch_size=100), 2)
    assert lengths.tolist() == pytest.approx([1.0, 0.5, 0.0])  # 5e-5 / (100 * 1e-6)


def test_the_published_l2_start_is_in_the_ball_mostly_near_its_surface():
    x = torch.rand(50, 1, 8, 8, dtype=torch.float64)
    distance = per_image_norm(projected_uniform_image(x, 0.5, (0, 1)) - x, 2)
    assert (distance <= 0.5 + 1e-12).all()
    assert (distance > 0.45).all()


@pytest.mark.parametrize("norm", [math.inf, 1])
def test_the_l2_form_only_matters_for_l2(norm):
    network, x, y, ball = problem(norm)
    made = []
    for form in ("paper", "published"):
        torch.manual_seed(1)
        made.append(sensible(network, x, y, c=0.6, random_start=True, l2_form=form, **ball))
    assert torch.equal(*made)


def test_no_forward_pass_is_made_when_no_image_moves():
    network, x, y, ball = problem()
    counter = CountRows(network)
    sensible(counter, x, y, c=0.6, **{**ball, "eps": 1.0, "step_size": 1.0, "steps": 50})
    assert counter.passes < 10


def test_the_loss_of_the_images_is_that_of_eq_11_and_14():
    """Eq. (14) on the images reached, split as eq. (11) splits it: the natural loss on A, the
    adversarial loss on C, and on B at most log(1/c), which eq. (13) would reach."""
    network, x, y, ball = problem(n=100)
    c = 0.6
    x_adv, stages, _ = sensible_with_stages(network, x, y, c=c, **ball)
    pgd_images = pgd(network, x, y, random_start=False, **ball)
    network.eval()
    sense, natural, adversarial = (
        F.cross_entropy(network(z), y, reduction="none") for z in (x_adv, x, pgd_images)
    )
    a, b, full = (stages == stage for stage in Stage)
    torch.testing.assert_close(sense[a], natural[a])
    torch.testing.assert_close(sense[full], adversarial[full])
    assert (sense[b] <= math.log(1 / c) + 1e-12).all()
    truncated = (natural - math.log(1 / c)).clamp_min(0) + adversarial.clamp_max(math.log(1 / c))
    sure = a & (adversarial >= math.log(1 / c))  # eq. (10) supposes that PGD finds a higher loss
    torch.testing.assert_close(sense[sure | full], truncated[sure | full])


BOUNDARIES = ("revert", "noise", "bisect")
BOUNDARY_BALL = {"eps": 0.1, "step_size": 0.03, "steps": 7}


def boundary_case(norm):
    network = conv_network()
    x, y = images_and_labels(network, 60, 1, 8, 8)
    scale = 5 if norm == 2 else 1
    ball = {
        **BOUNDARY_BALL,
        "eps": BOUNDARY_BALL["eps"] * scale,
        "step_size": BOUNDARY_BALL["step_size"] * scale,
    }
    return network, x, y, {**ball, "norm": norm}


def losses(network, x, y):
    network.eval()
    with torch.no_grad():
        return F.cross_entropy(network(x), y, reduction="none")


@pytest.mark.parametrize("norm", [math.inf, 2])
@pytest.mark.parametrize("c", [0.5, 0.7])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_no_moved_image_passes_log_1_over_c(boundary, c, norm):
    network, x, y, ball = boundary_case(norm)
    x_adv, stages, stage_b_gap = sensible_with_stages(network, x, y, c=c, boundary=boundary, **ball)
    check_ball_and_bounds(x_adv, x, eps=ball["eps"], norm=norm)
    at_end = losses(network, x_adv, y)
    moved = stages != Stage.A
    reverted = stages == Stage.B
    assert reverted.sum() > 5
    assert (at_end[moved] <= math.log(1 / c) + 1e-9).all()
    assert torch.equal(x_adv[~moved], x[~moved])
    torch.testing.assert_close(stage_b_gap[reverted], math.log(1 / c) - at_end[reverted])
    assert torch.equal(stage_b_gap.isnan(), ~reverted)


@pytest.mark.parametrize("norm", [math.inf, 2])
def test_noise_and_bisect_keep_the_stages_and_end_nearer_to_log_1_over_c(norm):
    network, x, y, ball = boundary_case(norm)
    results = {
        boundary: sensible_with_stages(network, x, y, c=0.6, boundary=boundary, **ball)
        for boundary in BOUNDARIES
    }
    revert = results["revert"]
    reverted = revert.stages == Stage.B
    for boundary in ("noise", "bisect"):
        found = results[boundary]
        assert torch.equal(found.stages, revert.stages)
        assert torch.equal(found.x_adv[~reverted], revert.x_adv[~reverted])
        assert (found.stage_b_gap[reverted] <= revert.stage_b_gap[reverted] + 1e-12).all()
        assert found.stage_b_gap.nanmean() < 0.8 * revert.stage_b_gap.nanmean()


@pytest.mark.parametrize("norm", [math.inf, 2])
@pytest.mark.parametrize("c", [0.5, 0.7])
def test_bisect_ends_at_p_y_equal_to_c(c, norm):
    """Eq. (13), to the width that 20 halvings of a step leave."""
    network, x, y, ball = boundary_case(norm)
    x_adv, stages, _ = sensible_with_stages(
        network, x, y, c=c, boundary="bisect", bisections=20, **ball
    )
    reverted = stages == Stage.B
    p = torch.exp(-losses(network, x_adv[reverted], y[reverted]))
    torch.testing.assert_close(p, torch.full_like(p, c), rtol=0, atol=1e-4)


def test_bisect_is_exact_on_a_linear_network():
    """Logits 0 and w'x: p_y = c where w'x = log((1 - c) / c) for y = 0."""
    w = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    network = linear_network(w)
    x = torch.tensor([[0.2, 0.8, 0.3]], dtype=torch.float64)
    c = 0.7
    x_adv, stages, _ = sensible_with_stages(
        network,
        x,
        torch.tensor([0]),
        eps=0.5,
        step_size=0.1,
        steps=9,
        c=c,
        boundary="bisect",
        bisections=40,
    )
    assert stages.item() == Stage.B
    assert (x_adv @ w).item() == pytest.approx(math.log((1 - c) / c), abs=1e-9)


def test_bisections_are_forward_passes_of_images_in_stage_b():
    network, x, y, ball = boundary_case(math.inf)
    counts = {}
    for bisections in (0, 5):
        counter = CountRows(network)
        _, stages, _ = sensible_with_stages(
            counter, x, y, c=0.6, boundary="bisect", bisections=bisections, **ball
        )
        counts[bisections] = counter.rows, counter.passes
    reverted = int((stages == Stage.B).sum())
    assert counts[5][0] - counts[0][0] == 5 * reverted
    assert counts[5][1] - counts[0][1] == 5


def test_bisect_without_bisections_is_revert():
    network, x, y, ball = boundary_case(math.inf)
    a = sensible_with_stages(network, x, y, c=0.6, boundary="bisect", bisections=0, **ball)
    b = sensible_with_stages(network, x, y, c=0.6, **ball)
    assert torch.equal(a.x_adv, b.x_adv)


def test_noise_is_random_and_stays_in_the_ball():
    network, x, y, ball = boundary_case(math.inf)
    torch.manual_seed(1)
    a = sensible_with_stages(network, x, y, c=0.6, boundary="noise", **ball)
    torch.manual_seed(2)
    b = sensible_with_stages(network, x, y, c=0.6, boundary="noise", **ball)
    assert not torch.equal(a.x_adv, b.x_adv)
    assert per_image_norm(a.x_adv - x, math.inf).max() <= ball["eps"] + 1e-12


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_in_the_warm_up_no_step_is_reverted(boundary):
    network, x, y, ball = boundary_case(math.inf)
    found = sensible_with_stages(network, x, y, c=0.6, revert=False, boundary=boundary, **ball)
    assert not (found.stages == Stage.B).any()
    assert found.stage_b_gap.isnan().all()
