import math

import pytest
import torch

import reference
from sense.attacks.geometry import ascent_direction, per_image_norm, project, random_point

NORMS = pytest.mark.parametrize("norm", [math.inf, 2, 1])
WIDE = (-9.0, 9.0)  # bounds that clip nothing here


def points(n=200, d=12):
    x = torch.rand(n, d, dtype=torch.float64)
    return x, x + torch.randn_like(x) * torch.rand(n, 1, dtype=torch.float64)


def assert_uniform(u):
    """Kolmogorov and Smirnov's distance, at their 0.1 % level."""
    u, n = u.sort().values, len(u)
    steps = torch.arange(n + 1, dtype=u.dtype) / n
    distance = max((steps[1:] - u).max(), (u - steps[:-1]).max())
    assert distance < 1.95 / math.sqrt(n)


@NORMS
def test_projection_is_in_the_ball_and_the_bounds_and_is_idempotent(norm):
    x, z = points()
    once = project(z, x, 0.3, norm, (0, 1))
    assert (per_image_norm(once - x, norm) <= 0.3 + 1e-12).all()
    assert once.min() >= 0
    assert once.max() <= 1
    torch.testing.assert_close(project(once, x, 0.3, norm, (0, 1)), once, rtol=0, atol=1e-12)


@NORMS
def test_projection_does_not_change_a_point_inside(norm):
    x, z = points()
    inside = x + 0.3 * (z - x) / per_image_norm(z - x, norm)[:, None] * torch.rand(len(x), 1)
    torch.testing.assert_close(project(inside, x, 0.3, norm, WIDE), inside, rtol=0, atol=1e-12)


@NORMS
@pytest.mark.parametrize("eps", [0.0, 0.05, 0.7, 50.0])
def test_projection_equals_the_reference(norm, eps):
    x, z = points(60)
    slow = [reference.project(a, b, eps, norm, (0, 1)) for a, b in zip(z, x, strict=True)]
    torch.testing.assert_close(
        project(z, x, eps, norm, (0, 1)), torch.stack(slow), rtol=0, atol=1e-12
    )


@NORMS
def test_no_point_of_the_ball_is_nearer_than_the_projection(norm):
    x, z = points(20)
    nearest = project(z, x, 0.4, norm, WIDE)
    for _ in range(200):
        other = random_point(x, 0.4, norm, WIDE)
        assert ((z - nearest).norm(dim=1) <= (z - other).norm(dim=1) + 1e-12).all()


def test_l1_projection_of_equal_coordinates_keeps_them_equal():
    x = torch.zeros(1, 4)
    assert project(x + 5, x, 1.0, 1, WIDE).tolist() == [[0.25] * 4]


@NORMS
def test_ascent_direction_has_unit_length_and_ascends(norm):
    gradient = torch.randn(50, 2, 3, 3)
    step = ascent_direction(gradient, norm)
    torch.testing.assert_close(per_image_norm(step, norm), torch.ones(50))
    assert ((step * gradient).sum((1, 2, 3)) > 0).all()


@NORMS
@pytest.mark.parametrize("scale", [0.0, 1e-30])
def test_a_vanishing_gradient_gives_no_nan(norm, scale):
    gradient = scale * torch.ones(3, 4)
    step = ascent_direction(gradient, norm)
    expected = 0.0 if scale == 0 else 1.0
    torch.testing.assert_close(per_image_norm(step, norm), torch.full((3,), expected))


@NORMS
def test_random_point_is_in_the_ball_and_the_bounds(norm):
    x = torch.rand(500, 1, 4, 4)
    z = random_point(x, 0.5, norm, (0, 1))
    assert (per_image_norm(z - x, norm) <= 0.5 + 1e-6).all()
    assert z.min() >= 0
    assert z.max() <= 1


@NORMS
@pytest.mark.parametrize("d", [1, 3, 16])
def test_random_radius_fills_the_ball_evenly(norm, d):
    """Volume grows with the d-th power of the radius, so (radius / eps)^d is uniform."""
    x = torch.zeros(4000, d, dtype=torch.float64)
    assert_uniform((per_image_norm(random_point(x, 0.7, norm, WIDE), norm) / 0.7) ** d)


def test_random_direction_is_uniform():
    x = torch.zeros(4000, 3, dtype=torch.float64)
    cube, ball, octahedron = (random_point(x, 1.0, norm, WIDE) for norm in (math.inf, 2, 1))
    for i in range(3):
        assert_uniform((cube[:, i] + 1) / 2)
        # Archimedes: each coordinate of a uniform point of the sphere is uniform.
        assert_uniform((ball[:, i] / ball.norm(dim=1) + 1) / 2)
        # A share of a uniform point of the simplex exceeds t with probability (1 - t)^2.
        share = octahedron[:, i].abs() / octahedron.abs().sum(1)
        assert_uniform((1 - share) ** 2)
        assert abs((octahedron[:, i] > 0).double().mean() - 0.5) < 0.03  # 3.8 sd


@NORMS
def test_a_ball_of_radius_zero_is_its_centre(norm):
    x = torch.rand(5, 7)
    assert torch.equal(random_point(x, 0.0, norm, (0, 1)), x)
