"""Sensible adversarial training as a classifier of scikit-learn."""

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .config import Config, default_recipe, from_plain
from .config.options import Dataset
from .data import ImageData, TableData, to_float
from .data.images import as_images, check_images
from .devices import to_device_for_evaluation
from .errors import InputError, MissingPackageError, TakenError
from .evaluation.evaluate import Evaluation, evaluate
from .evaluation.settings import settings_from_plain
from .files import temporary_folder
from .models.custom import custom_model_name
from .networks import torch_defaults
from .process_settings import restored_settings
from .runs import read_run
from .train import fit

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
except ImportError as error:
    raise MissingPackageError(
        "SenseClassifier needs scikit-learn 1.6 or newer: pip install 'sense-at[sklearn]'"
    ) from error

PREDICT_BATCH = 500
# Parameters that are options of `Config`, and the names of those that scikit-learn calls otherwise.
OPTIONS = ("eps", "c", "norm", "steps", "step_size", "epochs", "pretrain", "batch_size", "lr")


class SenseClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A network that is trained by sensible adversarial training, or another method.

        clf = sense.SenseClassifier(eps=0.2, c=0.7, random_state=0).fit(x, y)
        clf.predict_proba(x_test)
        clf.robust_score(x_test, y_test)       # share of rows that PGD cannot break
        clf.evaluate(x_test, y_test)           # the accuracies, with intervals

    X is a table of numeric features, n x d, or images, n x height x width or n x channels x height
    x width: bytes, or floating point from 0 to 1. Features are scaled inside, by the means and
    standard deviations of the training rows, so that eps is in standard deviations. Pixels are not.

    An attack acts on what the classifier is given. In a `Pipeline` this is the output of the step
    before it: after a `StandardScaler` eps is in standard deviations of the scaled features, and
    after a PCA it is a radius in the space of components, which says little about the features.

    Parameters
    ----------
    method
        As `--method` of `python -m sense.train --help`.
    model
        The network: its name, as `--model`; a torch module, of which a copy is trained; or a
        function of (shape, classes) that returns one. Default: "mlp" for a table, that of
        `default_recipe` for images.
    eps, c, norm, steps, step_size, epochs, pretrain, batch_size, lr
        As the options of these names. Default: those of the recipe "table", or of `default_recipe`
        for images.
    class_weight
        "balanced", or a dict of the weight of each class. Default: all are 1.
    bounds
        Bounds of attacked features, as in `Scaling.of`: "range", (low, high) or a pair for each
        feature. Default: none. Pixels are always from 0 to 1.
    options
        A dict of further options of `Config`, such as {"validation_size": 100, "keep": "best"}.
    random_state
        Seed of the weights, the order of rows and the random starts. The same number gives the same
        classifier. Default: drawn from numpy's global random state.
    run_folder
        A new folder, in which the run is kept, to be evaluated, reported or resumed by the other
        commands. Default: a temporary one, which is deleted after training.
    verbose
        Print a line for each epoch.

    Attributes
    ----------
    classes_
        The labels, sorted.
    network_
        The trained network, on the CPU. It takes scaled features, or pixels from 0 to 1.
    scaling_
        The scaling of features; None for images.
    n_features_in_, feature_names_in_
        Number of features or pixels; names of features, if X is a data frame.
    n_iter_
        Number of epochs, those of natural training before the method included.
    config_
        All options of training.
    history_
        The metrics of each epoch, a list of dicts.
    """

    def __init__(
        self,
        method: str = "sense",
        *,
        model: str | nn.Module | Callable[..., nn.Module] | None = None,
        eps: float | None = None,
        c: float | None = None,
        norm: str | float | None = None,
        steps: int | None = None,
        step_size: float | None = None,
        epochs: int | None = None,
        pretrain: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        class_weight: str | Mapping[Any, float] | None = None,
        bounds: Any = None,
        options: Mapping[str, Any] | None = None,
        random_state: Any = None,
        run_folder: str | Path | None = None,
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.model = model
        self.eps = eps
        self.c = c
        self.norm = norm
        self.steps = steps
        self.step_size = step_size
        self.epochs = epochs
        self.pretrain = pretrain
        self.batch_size = batch_size
        self.lr = lr
        self.class_weight = class_weight
        self.bounds = bounds
        self.options = options
        self.random_state = random_state
        self.run_folder = run_folder
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> "SenseClassifier":  # noqa: N803
        """Train a network on rows or images X with labels y of any type."""
        if are_images(X):
            images = as_images(X if isinstance(X, Tensor) else np.asarray(X))
            self.n_features_in_ = int(np.prod(images.shape[1:]))
            classes, codes = self._labels(y, len(images))
            none = images[:0], torch.from_numpy(codes[:0])
            data: Any = ImageData("arrays", images, torch.from_numpy(codes), *none, classes)
            self.scaling_ = None
        else:
            X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)  # noqa: N806
            classes, codes = self._labels(y, len(X))
            data = TableData.from_features(
                "table",
                X,
                codes,
                None,
                None,
                classes,
                names=getattr(self, "feature_names_in_", None),
                bounds=self.bounds,
            )
            self.scaling_ = data.scaling
        self.shape_ = data.shape
        config, model = self._config(data), self._network(data)
        if model is not None:
            config = replace(config, model=custom_model_name(model))
        self.history_: list[dict[str, Any]] = []
        folder = temporary_folder() if self.run_folder is None else nullcontext(self.run_folder)
        with folder as out:
            run = Path(out) / "run" if self.run_folder is None else out
            try:
                network = fit(
                    config,
                    run,
                    data=data,
                    model=model,
                    on_epoch=self.history_.append,
                    show=bool(self.verbose),
                )
            except TakenError:
                raise TakenError(
                    f"run_folder {run} holds a run already, or another training uses it: choose "
                    "another folder"
                ) from None
            self.config_ = read_run(run)[0].resolved()
        self.network_ = network.cpu()
        self.n_iter_ = len(self.history_)
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Return the most probable class of each row, shape (n,)."""
        most_probable = self._logits(X).argmax(1).numpy()
        return self.classes_[most_probable]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the probability of each class, shape (n, classes)."""
        return self._logits(X).softmax(1).numpy()

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Return the logits, shape (n, classes); for two classes their difference, shape (n,)."""
        logits = self._logits(X).numpy()
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def evaluate(self, X: Any, y: Any, **options: Any) -> Evaluation:  # noqa: N803
        """Return natural and robust accuracy with their intervals, as `sense.evaluate`.

        The options are those of `sense.evaluate`. Defaults: eps (or, if it is set, the option
        eval_eps) and norm of training, in the units of `fit`.
        """
        x = self._inputs(X, attacked=True)
        y = column_or_1d(y)
        if "bounds" in options:
            raise InputError(
                "bounds are those of training, the parameter bounds of the classifier: leave them "
                f"out of evaluate, got {options['bounds']!r}"
            )
        unknown = set(np.unique(y)) - set(self.classes_)
        if unknown:
            raise InputError(f"y has labels that were not in training: {sorted(unknown)}")
        ball = {"eps": self.config_.claimed_eps, "norm": self.config_.norm}
        norm = settings_from_plain({"norm": options.get("norm", ball["norm"])}).norm
        if "eps" not in options and norm != ball["norm"]:
            raise InputError(f"set eps for norm {norm}: training had norm {ball['norm']}")
        return evaluate(
            self.network_,
            x,
            np.searchsorted(self.classes_, y),
            bounds=(0, 1) if self.scaling_ is None else self.scaling_.bounds,
            **(ball | options),
        )

    def robust_score(self, X: Any, y: Any, eps: float | None = None, **options: Any) -> float:  # noqa: N803
        """Return the share of rows that are correctly classified under the worst of the attacks.

        It is an upper bound of robust accuracy. Default: PGD with the eps of `evaluate`. That
        takes the same options and gives the intervals.
        """
        radius = {} if eps is None else {"eps": eps}
        return self.evaluate(X, y, **(radius | options)).accuracy["worst"].estimate

    def _labels(self, y: Any, n: int) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Set `classes_` and return the names of the classes, and the labels as numbers from 0."""
        y = column_or_1d(y, warn=True)
        if len(y) != n:
            raise InputError(f"X and y must have the same length, got {n} and {len(y)}")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise InputError(f"a classifier needs two classes or more, y has one class: {y[0]}")
        return tuple(map(str, self.classes_)), codes.astype(np.int64)

    def _config(self, data: Any) -> Config:
        """Return the options of training."""
        dataset: Dataset = "arrays" if isinstance(data, ImageData) else "table"
        base = default_recipe(dataset, data.shape[0] if dataset == "arrays" else None)
        given = {name: getattr(self, name) for name in OPTIONS}
        chosen = {name: value for name, value in given.items() if value is not None}
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        chosen |= {"method": self.method, "dataset": dataset, "seed": seed, "train_size": None}
        if isinstance(self.model, str):
            chosen["model"] = self.model
        twice = [name for name in self.options or {} if name in chosen and name in OPTIONS]
        if twice:
            raise InputError(
                f"options has {twice[0]}, which the parameter {twice[0]} sets too: leave one out"
            )
        weights = self.class_weight
        if isinstance(weights, Mapping):
            if unknown := set(weights) - set(self.classes_.tolist()):
                raise InputError(
                    f"class_weight has {next(iter(unknown))!r}, which is none of the classes "
                    f"{self.classes_.tolist()}"
                )
            weights = tuple(float(weights.get(label, 1.0)) for label in self.classes_)  # type: ignore[assignment]
        if weights is not None:
            chosen["class_weights"] = weights
        return from_plain(chosen | dict(self.options or {}), replace(base, dataset=dataset))

    def _network(self, data: Any) -> nn.Module | None:
        """Return the network to train; None if it has a name."""
        if self.model is None or isinstance(self.model, str):
            return None
        if isinstance(self.model, nn.Module):
            return copy.deepcopy(self.model)
        if not callable(self.model):
            raise InputError(
                "model must be the name of a network, a torch module, or a function of (shape, "
                f"classes) that returns one, got {self.model!r}"
            )
        network = self.model(data.shape, len(self.classes_))
        if not isinstance(network, nn.Module):
            raise InputError(
                f"the function model must return a torch module, it returned a "
                f"{type(network).__name__}"
            )
        return network

    def _inputs(self, X: Any, *, attacked: bool) -> Tensor:  # noqa: N803
        """Return rows as the network takes them, float32. Rows that are `attacked` must be inside
        the bounds."""
        check_is_fitted(self)
        if self.scaling_ is not None:
            rows = validate_data(self, X, dtype=np.float64, reset=False)
            return self.scaling_(rows, attacked=attacked)
        images = as_images(X if isinstance(X, Tensor) else np.asarray(X))
        check_images(images, "X")
        if tuple(images.shape[1:]) != tuple(self.shape_):
            raise InputError(
                f"images must be {self.shape_} as in training, got {tuple(images.shape[1:])}"
            )
        return to_float(images)

    @restored_settings()
    @torch_defaults()
    def _logits(self, X: Any) -> Tensor:  # noqa: N803
        """Return the logits, float64, shape (n, classes)."""
        x = self._inputs(X, attacked=False)
        network = to_device_for_evaluation(self.network_, torch.device("cpu"))
        with torch.no_grad():
            return torch.cat([network(part).double() for part in x.split(PREDICT_BATCH)])


def are_images(X: Any) -> bool:  # noqa: N803
    """Return whether X has the dimensions of images, not those of a table."""
    ndim = getattr(X, "ndim", None)
    return (np.asarray(X).ndim if ndim is None else ndim) in (3, 4)
