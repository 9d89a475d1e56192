"""The statistics of the paper, implemented in R and called through rpy2.

Simulate the Three Clusters, train linear classifiers on them adversarially, compute risks and save
the figures:

    from sense import r
    clusters = r.three_clusters(n=5000, p=0.55, seed=1)
    fit = r.fit_linear_at(clusters, "sense", setting="large-step")
    r.risks(fit, eps=1.6)                    # a dict of arrays, for pandas.DataFrame(...)
    r.save_figure("figure6", "figure6.png")

Frames are dicts that map column names to numpy arrays of equal length. Requires rpy2
(`pip install 'sense-at[r]'`), R and the R package sense; rpy2 is imported at the first call.
Arguments are those of the R functions of the same names.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError, MissingPackageError

Frame = dict[str, NDArray[Any]]

FIGURES = ("figure2", "figure3", "figure4", "figure5", "figure6")


@dataclass(frozen=True)
class Clusters:
    """A sample of the Three Clusters: points x (n, 2), labels y of -1 and 1, cluster names, and
    the parameters p, m and sigma."""

    x: NDArray[np.float64]
    y: NDArray[np.int64]
    cluster: NDArray[np.str_]
    law: Mapping[str, float]


@dataclass(frozen=True)
class LinearFit:
    """A trained linear classifier sign(w.x + b). `path` (iterations + 1, 3) has the intercept and
    weights of each iteration; `summary` is one row: the movement of the boundary, and its risks."""

    w: NDArray[np.float64]
    b: float
    path: NDArray[np.float64]
    law: Mapping[str, float]
    summary: dict[str, Any]
    in_r: Any = field(repr=False, compare=False)


def three_clusters(
    n: int = 5000, p: float = 0.55, m: float = 7.0, sigma: float = 0.2, seed: int | None = None
) -> Clusters:
    """Simulate n points; the same seed gives the same points as in R."""
    data = _call("three_clusters", n=n, p=p, m=m, sigma=sigma, seed=seed)
    frame = _frame(data)
    return Clusters(
        x=np.column_stack([frame["x1"], frame["x2"]]),
        y=frame["y"].astype(np.int64),
        cluster=frame["cluster"],
        law={"p": p, "m": m, "sigma": sigma},
    )


def fit_linear_at(clusters: Clusters, method: str = "sense", **options: Any) -> LinearFit:
    """Train by "sense", "r-at" or "nt"; options: c, eps, K, setting, learning_rate, iterations,
    gradient, renew_every, boundary, norm, start."""
    given = {name: _argument(value) for name, value in options.items()}
    fit = _call("fit_linear_at", data=_data_frame(clusters), method=method, **given)
    coefficients = _frame(_call("tidy.linear_at", fit))["estimate"]
    summary = {name: values[0] for name, values in _frame(_call("glance.linear_at", fit)).items()}
    path = fit.rx2("path")
    return LinearFit(
        w=coefficients[1:],
        b=float(coefficients[0]),
        path=np.array(path).reshape(tuple(path.dim), order="F"),
        law=clusters.law,
        summary=summary,
        in_r=fit,
    )


def risks(
    fit: LinearFit,
    *,
    eps: float,
    norm: float = 2.0,
    n: int = 100_000,
    level: float = 0.95,
    seed: int | None = None,
) -> Frame:
    """Return standard, robust and sensible risk under the distribution of the training data: by
    simulation with intervals, and the closed form of the first two (nan for the third)."""
    law: dict[str, Any] = dict(fit.law)
    frame = _frame(
        _call("simulate_risk", fit.in_r, eps=eps, norm=norm, n=n, level=level, seed=seed, **law)
    )
    exact = [_call("linear_risk", fit.in_r, eps=e, norm=norm, **law)[0] for e in (0.0, eps)]
    frame["closed_form"] = np.array([*exact, np.nan])
    return frame


def sensible_examples(
    x: ArrayLike, y: ArrayLike, w: ArrayLike, b: float, *, eps: float, c: float, **options: Any
) -> Frame:
    """Sensible adversarial examples of sign(w.x + b): columns x1, x2, stage and moved; options:
    K, step_size, boundary, misclassified, norm."""
    model = _call("linear_classifier", w=_vector(w), b=float(b))
    points = _matrix(x)
    return _frame(_call("sensible_examples", points, _vector(y), model, eps=eps, c=c, **options))


def study(seeds: int = 10, n: int = 1000, **grid: Any) -> Frame:
    """Return how often the boundary alternates or settles, over seeds. `grid` has the columns
    method, setting, p, gamma and c, each a list or one value."""
    defaults: dict[str, Any] = {
        "method": ["r-at", "sense"],
        "setting": "large-step",
        "p": 0.55,
        "gamma": 8.0,
        "c": 0.9,
    }
    columns = {name: _any_vector(value) for name, value in (defaults | grid).items()}
    rows = _call("data.frame", package="base", **columns)
    runs = _call("study_linear_at", rows, seeds=_int_vector(range(1, seeds + 1)), n=n)
    return _frame(_call("summarise_study", runs))


def save_figure(
    name: str,
    path: str | Path,
    *,
    width: float = 8.0,
    height: float = 6.0,
    dpi: int = 150,
    **options: Any,
) -> Path:
    """Draw one of `FIGURES`, with the options of the R function, and save it; the extension
    of `path` determines the format (png, pdf). Sizes are in inches."""
    if name not in FIGURES:
        raise InputError(f"name must be one of {', '.join(FIGURES)}, got {name!r}")
    plot = _call(name, **{key: _argument(value) for key, value in options.items()})
    _call("ggsave", str(path), plot, width=width, height=height, dpi=dpi, package="ggplot2")
    return Path(path)


@functools.cache
def _robjects() -> Any:
    try:
        import rpy2  # noqa: F401
    except ImportError as error:
        raise MissingPackageError("sense.r needs rpy2: pip install 'sense-at[r]'") from error
    try:
        import rpy2.robjects as robjects
    except Exception as error:  # rpy2 raises various errors if it does not find R
        raise MissingPackageError(
            "sense.r needs R: install R (https://cran.r-project.org) and its package sense "
            f"({' '.join(str(error).split())})"
        ) from error
    return robjects


@functools.cache
def _require_package(package: str) -> None:
    """Raise MissingPackageError if R does not have the package."""
    if not _robjects().r["requireNamespace"](package, quietly=True)[0]:
        remedy = (
            "run R CMD build . && R CMD INSTALL sense_*.tar.gz in its sources"
            if package == "sense"
            else f"run install.packages('{package}') in R"
        )
        raise MissingPackageError(f"sense.r needs the R package {package}: {remedy}")


def _call(function: str, *args: Any, package: str = "sense", **kwargs: Any) -> Any:
    """Call a function of an R package. An R error becomes a ValueError with R's message."""
    robjects = _robjects()
    _require_package(package)
    # Caught in R, as rpy2 passes on only the last line of a message.
    guarded = robjects.r(
        f"""function(...) tryCatch(
          list(value = {package}::{function}(...)),
          error = function(e) list(message = conditionMessage(e)))"""
    )
    named = {key: robjects.NULL if value is None else value for key, value in kwargs.items()}
    answer = guarded(*args, **named)
    if answer.names[0] == "message":
        raise InputError(" ".join(answer[0][0].split()))
    return answer[0]


def _frame(data: Any) -> Frame:
    return {name: _array(data.rx2(name)) for name in data.names}


def _array(column: Any) -> NDArray[Any]:
    robjects = _robjects()
    if isinstance(column, robjects.FactorVector):
        return np.array([column.levels[code - 1] for code in column])
    if isinstance(column, robjects.StrVector):
        missing = robjects.NA_Character
        return np.array(
            [None if value is missing else str(value) for value in column], dtype=object
        )
    return np.array(column)


def _vector(values: ArrayLike) -> Any:
    return _robjects().FloatVector(np.asarray(values, dtype=float).ravel())


def _int_vector(values: Any) -> Any:
    return _robjects().IntVector([int(value) for value in values])


def _any_vector(value: Any) -> Any:
    values = [value] if isinstance(value, str | int | float) else list(value)
    if all(isinstance(item, str) for item in values):
        return _robjects().StrVector(values)
    return _vector(values)


def _argument(value: Any) -> Any:
    return _any_vector(value) if isinstance(value, list | tuple | np.ndarray) else value


def _matrix(x: ArrayLike) -> Any:
    array = np.asarray(x, dtype=float)
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(f"x must have shape (n, 2), got {array.shape}")
    return _robjects().r["matrix"](_vector(array.ravel(order="F")), ncol=2)


def _data_frame(clusters: Clusters) -> Any:
    data = _call(
        "data.frame",
        package="base",
        x1=_vector(clusters.x[:, 0]),
        x2=_vector(clusters.x[:, 1]),
        y=_int_vector(clusters.y),
    )
    law = _robjects().ListVector({key: float(value) for key, value in clusters.law.items()})
    return _robjects().r("function(data, law) structure(data, law = law)")(data, law)
