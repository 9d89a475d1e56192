"""Tables of numeric features in memory, their scaling, and their checks."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..attacks.geometry import Bounds
from ..errors import InputError
from .arrays import NUMBERS
from .base import Data

Features = Any  # a numpy array, a tensor or a data frame, n x d


@dataclass(frozen=True)
class Scaling:
    """How features are scaled for the network: (x - center) / scale, in float32.

    Attributes
    ----------
    names
        The names of the d features.
    center, scale
        Of each feature, in its own units. By default mean and standard deviation of the training
        data, so that eps is in standard deviations.
    low, high
        Bounds of each feature in its own units; -inf and inf for none. Attacked features stay
        inside them.
    """

    names: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        d = len(self.names)
        columns = (self.center, self.scale, self.low, self.high)
        if d == 0 or any(len(column) != d for column in columns):
            raise InputError(
                f"names, center, scale, low and high must have one entry per feature, "
                f"got {[d, *map(len, columns)]}"
            )
        for name, center, scale, low, high in zip(self.names, *columns, strict=True):
            if not (math.isfinite(center) and math.isfinite(scale) and scale > 0):
                raise InputError(
                    f"{name}: center and scale must be finite, and scale more than 0, "
                    f"got {center:g} and {scale:g}"
                )
            if not low <= high:
                raise InputError(
                    f"{name}: bounds must be (low, high) with low <= high, got ({low:g}, {high:g})"
                )

    @classmethod
    def of(
        cls,
        x: Features,
        *,
        names: Sequence[str] | None = None,
        eps: Sequence[float] | None = None,
        bounds: Any = None,
    ) -> "Scaling":
        """Return the scaling of training features.

        Parameters
        ----------
        x
            n x d numbers: a numpy array, a tensor, or a data frame with columns.
        names
            Default: the columns of a data frame, or x1, x2, ...
        eps
            Radius of the ball in each feature, in its own units. Each feature is then divided by a
            multiple of its eps, so that the ball is a cube with the one radius `radius(eps)`.
            Default: features are divided by their standard deviations (n - 1 in the denominator;
            1 for a constant feature).
        bounds
            "range" for the ranges of the training features; (low, high) for all features; d pairs
            (low, high), with -inf and inf for no bound; or None for no bounds.
        """
        table = as_table(x, "features")
        found = tuple(names) if names is not None else feature_names(x, table.shape[1])
        if len(found) != table.shape[1]:
            raise InputError(f"names must be {table.shape[1]}, one per feature, got {len(found)}")
        check_table(table, found, "features")
        sd = _standard_deviations(table)
        scale = sd
        if eps is not None:
            each = _positive(eps, len(found))
            scale = each / _radius(each, sd)
        low, high = _bounds(bounds, table)
        columns = (table.mean(0), scale, low, high)
        scaling = cls(found, *(tuple(map(float, column)) for column in columns))
        scaling.check_inside(table, "features")
        return scaling

    def __call__(self, x: Features, what: str = "features", *, attacked: bool = True) -> Tensor:
        """Return features as the network takes them: float32, n x d.

        The columns of a data frame are found by their names. Raises InputError for other columns,
        for values that are missing or infinite and, if they are to be `attacked`, for values
        outside the bounds.
        """
        table = _columns_of(x, self.names, what)
        check_table(table, self.names, what)
        if attacked:
            self.check_inside(table, what)
        scaled = (table - np.asarray(self.center)) / np.asarray(self.scale)
        return torch.from_numpy(scaled).float().contiguous()

    def undo(self, z: Tensor) -> NDArray[np.float64]:
        """Return scaled features, n x d, in their own units."""
        scaled = z.detach().cpu().double().numpy()
        return scaled * np.asarray(self.scale) + np.asarray(self.center)

    @property
    def bounds(self) -> Bounds:
        """The bounds in scaled units: (-inf, inf) for none, else two tensors of shape (d,)."""
        if not self.is_bounded:
            return (-math.inf, math.inf)
        scaled = [
            torch.from_numpy((np.asarray(bound) - self.center) / np.asarray(self.scale)).float()
            for bound in (self.low, self.high)
        ]
        return scaled[0], scaled[1]

    def radius(self, eps: Sequence[float], what: str = "eps") -> float:
        """Return the radius, in scaled units, of the ball with this eps in each feature's units.

        Raises InputError, in which it is called `what`, if it is not the same number for all
        features."""
        radii = _positive(eps, len(self.names), what) / np.asarray(self.scale)
        if not np.allclose(radii, radii[0], rtol=1e-6):
            names = ", ".join(f"{name} {r:.4g}" for name, r in zip(self.names, radii, strict=True))
            raise InputError(
                f"{what} must be one multiple of the eps that the features were scaled by, "
                f"Scaling.of(x, eps=...), got for {names}"
            )
        return float(radii[0])

    @property
    def is_bounded(self) -> bool:
        """Whether a feature has a bound."""
        return any(map(math.isfinite, (*self.low, *self.high)))

    def is_close(self, other: "Scaling", *, scale: bool, bounds: bool) -> bool:
        """Return whether the scale or the bounds of both are the same, except for rounding."""
        columns = [*(["scale"] if scale else []), *(["low", "high"] if bounds else [])]
        return self.names == other.names and all(
            np.allclose(getattr(self, name), getattr(other, name), rtol=1e-6) for name in columns
        )

    def check_inside(self, table: NDArray[np.float64], what: str) -> None:
        """Raise InputError for a value outside the bounds of its feature."""
        outside = (table < np.asarray(self.low)) | (table > np.asarray(self.high))
        if outside.any():
            row, column = (int(i) for i in np.argwhere(outside)[0])
            raise InputError(
                f"{what}: {self.names[column]} must be from {self.low[column]:g} to "
                f"{self.high[column]:g}, its bounds, got {table[row, column]:g} in row {row} (from "
                "0): widen the bounds, or clip the features"
            )

    def to_plain(self) -> dict[str, list[Any]]:
        """Return the entry `features` of config.json's data; None where there is no bound."""
        return {
            "names": list(self.names),
            "center": list(self.center),
            "scale": list(self.scale),
            "low": [low if math.isfinite(low) else None for low in self.low],
            "high": [high if math.isfinite(high) else None for high in self.high],
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "Scaling":
        """Return the scaling that `to_plain` described. Raises InputError for anything else."""
        names = plain.get("names")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError("features.names must be a list of names")
        missing = {"center": None, "scale": None, "low": -math.inf, "high": math.inf}
        columns = {name: _column(name, plain.get(name), none) for name, none in missing.items()}
        return cls(tuple(names), **columns)


def _column(name: str, values: Any, none: float | None) -> tuple[float, ...]:
    """Return a list of numbers as a tuple, with `none` in place of None."""
    if isinstance(values, list):
        column = [none if value is None else value for value in values]
        if all(type(value) in (int, float) for value in column):
            return tuple(float(value) for value in column if value is not None)
    raise InputError(f"features.{name} must be a list of numbers")


@dataclass(frozen=True)
class TableData(Data):
    """Training and test rows of numeric features with their labels.

        data = TableData.from_features("wine", train_x, train_y, test_x, test_y, classes)
        sense.fit(replace(sense.recipe("table"), eps=0.2), "runs/wine", data=data)

    Attributes
    ----------
    name
        The name of the data set in messages and results.
    train_x, test_x
        Scaled features: float32, n x d. The test set may be empty.
    train_y, test_y
        Labels, whole numbers from 0.
    classes
        The names of the classes, in the order of the labels.
    scaling
        How the features were scaled. It is stored with the run.
    sha256, test_sha256
        SHA-256 of all scaled features and labels, and of the test part alone.
    """

    scaling: Scaling

    @classmethod
    def from_features(
        cls,
        name: str,
        train_x: Features,
        train_y: Any,
        test_x: Features | None,
        test_y: Any,
        classes: Sequence[str],
        *,
        scaling: Scaling | None = None,
        **options: Any,
    ) -> "TableData":
        """Return data from features in their own units: numpy arrays, tensors or data frames.

        `scaling` is that of a run, such as `sense.runs.load_scaling(folder)`; by default it is that
        of the training features, with the `options` of `Scaling.of`: names, eps and bounds (the
        "range" includes the test features). Test features and labels may be None.
        """
        bounds = options.get("bounds")
        if test_x is not None and isinstance(bounds, str) and bounds == "range":
            train = as_table(train_x, "features")
            names = feature_names(train_x, train.shape[1])
            both = np.concatenate([train, _columns_of(test_x, names, f"{name}: test features")])
            options = {**options, "bounds": np.stack([both.min(0), both.max(0)], 1)}
        scaling = Scaling.of(train_x, **options) if scaling is None else scaling
        x = scaling(train_x, f"{name}: training features")
        y = np.asarray(train_y)
        tested = test_x is not None
        return cls(
            name,
            x,
            y,  # type: ignore[arg-type]
            scaling(test_x, f"{name}: test features") if tested else x[:0],
            np.asarray(test_y) if tested else y[:0],  # type: ignore[arg-type]
            tuple(classes),
            scaling,
        )

    @classmethod
    def for_testing(
        cls, name: str, x: Features, y: Any, classes: Sequence[str], scaling: Scaling
    ) -> "TableData":
        """Return a data set with these test features, which are also its training features."""
        return cls.from_features(name, x, y, x, y, classes, scaling=scaling)

    @property
    def inputs(self) -> str:
        return "rows"

    @property
    def bounds(self) -> Bounds:
        return self.scaling.bounds

    def as_inputs(self, x: Any, what: str) -> Tensor:
        if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim != 2:
            raise InputError(
                f"{what} must be a floating point tensor, n x d: use TableData.from_features"
            )
        return x.float()

    def check_inputs(self, x: Tensor, what: str) -> None:
        if not len(x):
            raise InputError(f"{what}: at least one is needed, got none")
        if x.shape[1] != len(self.scaling.names):
            raise InputError(
                f"{what} must have {len(self.scaling.names)} columns, got {x.shape[1]}"
            )
        if not torch.isfinite(x).all():
            raise InputError(f"{what} have a NaN or infinite value")

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "features": self.scaling.to_plain()}


def as_table(x: Features, what: str) -> NDArray[np.float64]:
    """Return features as float64, n x d. Raises InputError for anything that is not numeric."""
    array = x.detach().cpu().numpy() if isinstance(x, Tensor) else np.asarray(x)
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(f"{what} must be n x d, rows by features, got shape {array.shape}")
    if array.dtype.kind not in NUMBERS:
        raise InputError(
            f"{what} must be numbers, got {array.dtype}: code categories as numbers, "
            "or leave them out"
        )
    return array.astype(np.float64)


def feature_names(x: Features, d: int) -> tuple[str, ...]:
    """Return the names of a data frame's columns, or x1, x2, ..."""
    columns = getattr(x, "columns", None)
    return tuple(map(str, columns)) if columns is not None else tuple(f"x{i + 1}" for i in range(d))


def _columns_of(x: Features, names: Sequence[str], what: str) -> NDArray[np.float64]:
    """Return the features of these names as float64, n x d: of a data frame the columns of these
    names, of anything else all columns. Raises InputError for other columns."""
    if hasattr(x, "columns"):
        missing = [name for name in names if name not in list(x.columns)]
        if missing:
            raise InputError(
                f"{what} must have the columns {', '.join(names)}: there is no {missing[0]}"
            )
        x = x[list(names)]
    table = as_table(x, what)
    if table.shape[1] != len(names):
        raise InputError(
            f"{what} must have {len(names)} columns ({', '.join(names)}), got {table.shape[1]}"
        )
    return table


def check_table(table: NDArray[np.float64], names: Sequence[str], what: str) -> None:
    """Raise InputError, which names row and feature, for a missing or infinite value."""
    bad = ~np.isfinite(table)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            f"{what}: {names[column]} is {table[row, column]:g} in row {row} (from 0): "
            "leave out rows with missing values, or impute them"
        )


def _standard_deviations(table: NDArray[np.float64]) -> NDArray[np.float64]:
    sd: NDArray[np.float64] = table.std(0, ddof=1) if len(table) > 1 else np.zeros(table.shape[1])
    return np.where(sd > 0, sd, 1.0)


def _positive(eps: Sequence[float], d: int, what: str = "eps") -> NDArray[np.float64]:
    each = np.asarray(eps, dtype=np.float64)
    if each.shape != (d,) or not (np.isfinite(each) & (each > 0)).all():
        raise InputError(f"{what} must be {d} numbers more than 0, one per feature, got {eps!r}")
    return each


def _radius(each: NDArray[np.float64], sd: NDArray[np.float64]) -> float:
    """Return the radius with which scaled features have standard deviations around 1."""
    return float(np.median(each / sd))


def _bounds(
    bounds: Any, table: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and highest value of each feature."""
    d = table.shape[1]
    if bounds is None:
        return np.full(d, -np.inf), np.full(d, np.inf)
    if isinstance(bounds, str):
        if bounds != "range":
            raise InputError(
                f'bounds must be None, "range", (low, high) or {d} pairs, got {bounds!r}'
            )
        return table.min(0), table.max(0)
    pairs = np.asarray(bounds, dtype=np.float64)
    if pairs.shape not in ((2,), (d, 2)):
        raise InputError(
            f'bounds must be None, "range", (low, high) or {d} pairs (low, high), '
            f"got shape {pairs.shape}"
        )
    pairs = np.broadcast_to(pairs, (d, 2))
    return pairs[:, 0], pairs[:, 1]
