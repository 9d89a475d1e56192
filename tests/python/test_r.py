"""sense.r against the Python core and against its promises. Skipped without rpy2 and R."""

import builtins
import math

import numpy as np
import pytest
import torch
from torch import nn

from sense import r
from sense.attacks import sensible
from sense.errors import MissingPackageError

# rpy2 3.5 uses a name that it deprecates itself.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:rpy2")


@pytest.fixture(scope="module")
def in_r():
    pytest.importorskip("rpy2", reason="needs rpy2")
    try:
        r._require_package("sense")
    except MissingPackageError as error:
        pytest.skip(str(error))


class Logistic(nn.Module):
    """Two logits whose softmax gives class 1 the probability plogis(w.x + b)."""

    def __init__(self, w, b):
        super().__init__()
        self.w = torch.tensor(w, dtype=torch.float64)
        self.b = b

    def forward(self, x):
        score = x @ self.w + self.b
        return torch.stack([torch.zeros_like(score), score], dim=1)


def python_points(x, y, w, b, *, eps, step_size, steps, c, norm):
    labels = torch.tensor((y + 1) // 2)
    points = sensible(
        Logistic(w, b),
        torch.tensor(x),
        labels,
        eps=eps,
        step_size=step_size,
        steps=steps,
        c=c,
        norm=norm,
        bounds=(-math.inf, math.inf),
    )
    return points.numpy()


@pytest.mark.parametrize("norm", [2.0, math.inf])
@pytest.mark.parametrize(
    ("steps", "step_size", "c"), [(1, 0.6, 0.8), (4, 0.15, 0.8), (7, 0.11, 0.55), (6, 0.2, 0.95)]
)
def test_the_sensible_step_equals_that_of_the_attack(in_r, norm, steps, step_size, c):
    clusters = r.three_clusters(400, m=2.0, sigma=0.9, seed=1)
    w, b, eps = [1.5, 0.6], -0.2, 0.6
    frame = r.sensible_examples(
        clusters.x,
        clusters.y,
        w,
        b,
        eps=eps,
        c=c,
        K=steps,
        step_size=step_size,
        norm=norm,
        boundary="revert",
    )
    core = python_points(
        clusters.x, clusters.y, w, b, eps=eps, step_size=step_size, steps=steps, c=c, norm=norm
    )
    ours = np.column_stack([frame["x1"], frame["x2"]])
    assert set(frame["stage"]) == {"A", "B", "C"}
    np.testing.assert_allclose(ours, core, rtol=0, atol=1e-8)
    # Projection instead of reversion moves stage B, and stage B only.
    projected = r.sensible_examples(
        clusters.x, clusters.y, w, b, eps=eps, c=c, K=steps, step_size=step_size, norm=norm
    )
    there = np.column_stack([projected["x1"], projected["x2"]])
    apart = np.abs(there - core).max(axis=1) > 1e-8
    assert apart.any()
    assert (frame["stage"][apart] == "B").all()


def test_clusters_and_fit_are_those_of_r(in_r):
    clusters = r.three_clusters(300, seed=4)
    assert clusters.x.shape == (300, 2)
    assert ((clusters.cluster == "C") == (clusters.y == -1)).all()
    np.testing.assert_array_equal(r.three_clusters(300, seed=4).x, clusters.x)
    fit = r.fit_linear_at(clusters, "r-at", setting="large-step", iterations=40)
    assert fit.path.shape == (41, 3)
    np.testing.assert_allclose(fit.path[-1], [fit.b, *fit.w])
    assert fit.summary["method"] == "r-at"


def test_one_iteration_of_training_is_a_torch_gradient_step(in_r):
    clusters = r.three_clusters(300, m=2.0, sigma=0.9, seed=4)
    start = [0.1, 1.2, 0.4]
    fit = r.fit_linear_at(clusters, "r-at", iterations=1, learning_rate=0.5, eps=0.3, start=start)
    v = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    x, y = torch.tensor(clusters.x), torch.tensor(clusters.y)
    away = x - 0.3 * y[:, None] * v[1:].detach() / v[1:].detach().norm()
    torch.log1p(torch.exp(-y * (away @ v[1:] + v[0]))).mean().backward()
    np.testing.assert_allclose(fit.path[1], (v - 0.5 * v.grad).detach().numpy(), atol=1e-12)


def test_risks_have_intervals_and_closed_forms(in_r):
    clusters = r.three_clusters(300, p=0.7, m=3.0, sigma=0.6, seed=2)
    fit = r.fit_linear_at(clusters, "nt", iterations=5)
    frame = r.risks(fit, eps=0.5, n=20_000, level=0.9999, seed=1)
    assert list(frame["kind"]) == ["standard", "robust", "sensible"]
    exact = frame["closed_form"][:2]
    assert (frame["lower"][:2] <= exact).all()
    assert (exact <= frame["upper"][:2]).all()
    assert exact[0] < exact[1]


def test_figures_are_saved(in_r, tmp_path):
    path = r.save_figure("figure6", tmp_path / "six.png", n=100, iterations=[0, 300], dpi=40)
    assert path.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="figure2, figure3"):
        r.save_figure("figure7", tmp_path / "seven.png")


def test_a_study_is_a_frame(in_r):
    frame = r.study(seeds=2, n=200, method=["r-at", "sense"])
    assert list(frame["method"]) == ["r-at", "sense"]
    assert (frame["alternates_lower"] <= frame["alternates"]).all()


def test_errors_of_r_keep_their_message(in_r):
    with pytest.raises(ValueError, match=r"`p` must be one number, greater than 0"):
        r.three_clusters(10, p=2.0)
    with pytest.raises(ValueError, match="shape"):
        r.sensible_examples([1.0, 2.0], [1], [1, 0], 0, eps=1, c=0.9)


def test_without_rpy2_the_error_says_what_to_install(monkeypatch):
    real_import = builtins.__import__

    def no_rpy2(name, *args, **kwargs):
        if name.startswith("rpy2"):
            raise ImportError("No module named 'rpy2'")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_rpy2)
    r._robjects.cache_clear()
    r._require_package.cache_clear()
    with pytest.raises(ImportError) as caught:
        r.three_clusters(10)
    assert str(caught.value) == "sense.r needs rpy2: pip install 'sense-at[r]'"


def test_without_r_the_error_says_what_to_install(in_r, monkeypatch):
    real_import = builtins.__import__

    def no_r(name, *args, **kwargs):
        if name == "rpy2.robjects":
            raise ValueError("r_home is None")
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_r)
    r._robjects.cache_clear()
    r._require_package.cache_clear()
    with pytest.raises(
        MissingPackageError, match=r"^sense\.r needs R: install R .*package sense"
    ) as caught:
        r.three_clusters(10)
    assert "\n" not in str(caught.value)
