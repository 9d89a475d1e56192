"""SenseClassifier: scikit-learn's conventions, and the same numbers as the functions below it."""

import pickle
import sys
import warnings

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine, make_classification
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from torch import nn

import sense
from sense.attacks import pgd
from sense.errors import InputError, MissingPackageError, TakenError
from sense.runs import read_run

ONE_THREAD = {"threads": 1, "monitor_size": 16}


def quick(**changes):
    """A classifier that is trained in a fraction of a second."""
    given = {"model": "mlp-16", "epochs": 8, "pretrain": 2, "steps": 3, "step_size": 0.1}
    options = {"options": ONE_THREAD, "random_state": 0}
    return sense.SenseClassifier(**(given | options | changes))


@pytest.fixture(scope="module")
def iris():
    x, y = load_iris(return_X_y=True)
    return train_test_split(x, np.array(["setosa", "versicolor", "virginica"])[y], random_state=0)


@pytest.fixture(scope="module")
def fitted(iris):
    x, _, y, _ = iris
    return quick(eps=0.2, epochs=40, batch_size=16).fit(x, y)


# Checks of scikit-learn that it skips here, with its reason.
SKIPPED = {
    "check_array_api_input": "SCIPY_ARRAY_API is not set",
    "check_classifier_data_not_an_array": "pandas is not installed",
}


def test_every_check_of_scikit_learn_passes():
    results = check_estimator(
        quick(epochs=6, pretrain=0, steps=2, model="mlp-8"), on_fail=None, on_skip=None
    )
    assert len(results) > 50
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed == {}
    for result in results:
        if result["status"] == "skipped":
            assert SKIPPED[result["check_name"]] in str(result["exception"])


def test_tables_are_learned_with_labels_of_any_type(iris, fitted):
    _, x, _, y = iris
    assert fitted.score(x, y) > 0.9
    assert list(fitted.classes_) == ["setosa", "versicolor", "virginica"]
    assert (fitted.n_features_in_, fitted.n_iter_, len(fitted.history_)) == (4, 42, 42)
    assert (fitted.predict(x) == fitted.classes_[fitted.predict_proba(x).argmax(1)]).all()
    logits = fitted.decision_function(x)
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    expected = exponentials / exponentials.sum(1, keepdims=True)
    assert np.allclose(fitted.predict_proba(x), expected, atol=1e-12)


def test_the_network_is_that_of_sense_fit_with_these_options(iris, fitted, tmp_path):
    x, x_test, y, _ = iris
    codes = np.searchsorted(fitted.classes_, y)
    data = sense.data.TableData.from_features("table", x, codes, None, None, tuple(fitted.classes_))
    network = sense.fit(fitted.config_, tmp_path / "run", data=data)
    for name, weights in network.state_dict().items():
        assert torch.equal(weights, fitted.network_.state_dict()[name])
    assert fitted.config_.eps == 0.2
    assert fitted.config_.lr == sense.recipe("table").lr
    by_hand = network(data.scaling(x_test)).double().softmax(1).detach().numpy()
    assert np.array_equal(by_hand, fitted.predict_proba(x_test))


def test_two_classes_have_one_decision():
    x, y = make_classification(80, 5, random_state=3)
    classifier = quick().fit(x, y)
    decision = classifier.decision_function(x)
    assert decision.shape == (80,)
    assert ((decision > 0) == (classifier.predict(x) == 1)).all()


def test_the_same_random_state_gives_the_same_classifier(iris):
    x, x_test, y, _ = iris
    np.random.seed(1)
    draws = np.random.get_state()[1].copy()
    first, second, other = (
        quick(random_state=seed, epochs=2).fit(x, y).predict_proba(x_test) for seed in (4, 4, 5)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert (np.random.get_state()[1] == draws).all()  # numpy's global numbers are left alone
    drawn = quick(random_state=None, epochs=2)
    assert drawn.fit(x, y).config_.seed != drawn.fit(x, y).config_.seed
    np.random.seed(1)
    a = quick(random_state=None, epochs=2).fit(x, y).config_.seed
    np.random.seed(1)
    assert quick(random_state=None, epochs=2).fit(x, y).config_.seed == a


def test_parameters_can_be_read_set_and_cloned(iris):
    x, _, y, _ = iris
    options = {"validation_size": 20, "keep": "best"} | ONE_THREAD
    classifier = quick(eps=0.1, options=options)
    copied = clone(classifier)
    assert copied.get_params() == classifier.get_params()
    assert copied.set_params(eps=0.3).eps == 0.3
    fitted = copied.fit(x, y)
    assert fitted.config_.keep == "best"
    assert fitted.get_params() == classifier.get_params() | {"eps": 0.3}
    with pytest.raises(InputError, match="options has eps, which the parameter eps sets too"):
        quick(eps=0.1, options={"eps": 0.3}).fit(x, y)
    with pytest.raises(InputError, match="unknown option epoch"):
        quick(options={"epoch": 3}).fit(x, y)
    with pytest.raises(InputError, match="eps must be 0 or more, got -1"):
        quick(eps=-1.0).fit(x, y)


@pytest.mark.parametrize("package", [pickle, joblib])
def test_a_fitted_classifier_is_stored_and_read_back(iris, fitted, tmp_path, package):
    x = iris[1]
    with (tmp_path / "classifier").open("wb") as file:
        package.dump(fitted, file)
    with (tmp_path / "classifier").open("rb") as file:
        again = package.load(file)
    assert np.array_equal(again.predict_proba(x), fitted.predict_proba(x))
    assert again.robust_score(x, iris[3], steps=3) == fitted.robust_score(x, iris[3], steps=3)


def test_pipelines_cross_validation_and_grid_search():
    x, y = load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), quick(epochs=4))
    assert cross_val_score(pipeline, x, y, cv=3).min() > 0.85
    search = GridSearchCV(quick(epochs=2), {"eps": [0.05, 0.2], "c": [0.3, 0.6]}, cv=2)
    search.fit(x, y)
    assert set(search.best_params_) == {"eps", "c"}
    assert search.best_estimator_.config_.eps == search.best_params_["eps"]
    probabilities = cross_val_score(quick(epochs=2), x, y, cv=2, scoring="neg_log_loss")
    assert np.isfinite(probabilities).all()


def test_robust_accuracy_is_that_of_sense_evaluate_in_the_units_of_training(iris, fitted):
    _, x, _, y = iris
    evaluation = fitted.evaluate(x, y, steps=10, restarts=1, step_size=0.05)
    codes = torch.from_numpy(np.searchsorted(fitted.classes_, y))
    scaled = fitted.scaling_(x)
    expected = sense.evaluate(
        fitted.network_,
        scaled,
        codes,
        eps=0.2,
        steps=10,
        restarts=1,
        step_size=0.05,
        bounds=(-np.inf, np.inf),
    )
    assert evaluation.outcomes == expected.outcomes
    assert evaluation.accuracy["natural"].k == (fitted.predict(x) == y).sum()
    score = fitted.robust_score(x, y, steps=10, restarts=1, step_size=0.05)
    assert score == evaluation.accuracy["worst"].estimate <= fitted.score(x, y)
    assert fitted.robust_score(x, y, eps=3.0, steps=10) < 0.5
    attacked = pgd(
        fitted.network_,
        scaled,
        codes,
        eps=1.0,
        step_size=0.2,
        steps=20,
        bounds=(-np.inf, np.inf),
    )
    k = int((fitted.network_(attacked).argmax(1) == codes).sum())
    assert fitted.robust_score(x, y, eps=1.0, steps=20) <= k / len(y) + 0.06
    with pytest.raises(InputError, match="labels that were not in training"):
        fitted.evaluate(x, np.array(["rose"] * len(x)))


def test_bounds_and_weights_of_classes_reach_training(iris):
    x, _, y, _ = iris
    classifier = quick(bounds="range", class_weight={"setosa": 2.0, "virginica": 0.5}, epochs=2)
    classifier.fit(x, y)
    assert np.allclose(classifier.scaling_.low, x.min(0))
    assert classifier.config_.class_weights == (2.0, 1.0, 0.5)
    assert quick(class_weight="balanced", epochs=1).fit(x, y).config_.class_weights == "balanced"


def test_errors_name_the_parameters_of_the_classifier(iris, tmp_path):
    x, _, y, _ = iris
    quick(run_folder=tmp_path / "run", epochs=1).fit(x, y)
    with pytest.raises(TakenError, match=r"run_folder .* choose another folder$"):
        quick(run_folder=tmp_path / "run", epochs=1).fit(x, y)
    with pytest.raises(InputError, match="each a number, or balanced, got"):
        quick(class_weight="balance", epochs=1).fit(x, y)


@pytest.mark.parametrize("channels", [False, True])
def test_images_are_learned_and_attacked_within_their_bounds(channels):
    digits = load_digits()
    x = (digits.images / 16).astype(np.float32)
    x = x[:, None] if channels else x
    classifier = quick(
        model=lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(64, classes)),
        eps=0.1,
        step_size=0.05,
        epochs=4,
        batch_size=32,
        lr=0.1,
    )
    classifier.fit(x[:1000], digits.target[:1000])
    assert classifier.score(x[1000:], digits.target[1000:]) > 0.8
    assert classifier.n_features_in_ == 64
    assert classifier.scaling_ is None
    robust = classifier.robust_score(x[1000:1200], digits.target[1000:1200], steps=5, restarts=1)
    assert robust < classifier.score(x[1000:1200], digits.target[1000:1200])
    with pytest.raises(InputError, match="pixels from 0 to 1"):
        classifier.predict(16 * x)
    with pytest.raises(InputError, match=r"must be \(1, 8, 8\) as in training, got \(1, 8, 7\)"):
        classifier.predict(x[..., :7])


def test_a_copy_of_a_network_is_trained(iris):
    x, _, y, _ = iris
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    before = network[0].weight.clone()
    classifier = quick(model=network, epochs=2)
    assert classifier.fit(x, y) is classifier
    assert torch.equal(network[0].weight, before)
    assert not torch.equal(classifier.network_[0].weight, before)


def test_nothing_is_printed_unless_asked_for_and_nothing_is_left_behind(
    iris, capfd, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    x, _, y, _ = iris
    quick(epochs=1).fit(x, y)
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    quick(epochs=2, pretrain=0, verbose=True).fit(x, y)
    assert capfd.readouterr().out.count("epoch") == 2


def test_the_run_can_be_kept_and_loaded(iris, tmp_path):
    x, x_test, y, _ = iris
    classifier = quick(epochs=1, run_folder=tmp_path / "run").fit(x, y)
    assert read_run(tmp_path / "run")[0].resolved() == classifier.config_
    network = sense.load(tmp_path / "run")
    scaled = classifier.scaling_(x_test)
    assert torch.equal(network(scaled), classifier.network_(scaled))
    with pytest.raises(FileExistsError):
        quick(epochs=1, run_folder=tmp_path / "run").fit(x, y)


def test_use_before_fit_is_scikit_learns_error():
    with pytest.raises(NotFittedError):
        quick().evaluate(np.zeros((2, 4)), [0, 1])


def test_one_class_is_refused():
    with pytest.raises(InputError, match="y has one class: a"):
        quick().fit(np.random.default_rng(0).random((9, 2)), ["a"] * 9)


def test_sklearn_itself_gives_no_warning(iris):
    x, _, y, _ = iris
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        repr(quick(epochs=1).fit(x, y))


def test_without_scikit_learn_the_error_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "sense.classifier")
    with pytest.raises(MissingPackageError, match=r"pip install 'sense-at\[sklearn\]'"):
        _ = sense.SenseClassifier


def test_numbers_of_numpy_are_parameters_too(iris):
    x, _, y, _ = iris
    search = GridSearchCV(
        quick(), {"epochs": np.arange(1, 3), "eps": np.array([0.1])}, cv=2, error_score="raise"
    )
    assert type(search.fit(x, y).best_estimator_.config_.epochs) is int


def test_rows_outside_the_bounds_are_predicted_but_not_attacked(iris):
    x, test_x, y, test_y = iris
    classifier = quick(bounds="range", epochs=2).fit(x, y)
    wide = test_x * 10
    assert classifier.predict(wide).shape == (len(wide),)
    with pytest.raises(InputError, match="its bounds"):
        classifier.evaluate(wide, test_y)


def test_weights_of_unknown_classes_and_a_norm_without_eps_are_refused(iris, fitted):
    x, test_x, y, test_y = iris
    with pytest.raises(InputError, match=r"class_weight has 'rose'.*setosa"):
        quick(class_weight={"setosa": 1.0, "rose": 5.0}).fit(x, y)
    for norm in (2, "2", 2.0):
        with pytest.raises(InputError, match="set eps for norm"):
            fitted.evaluate(test_x, test_y, norm=norm)
    assert fitted.evaluate(test_x, test_y, norm="inf", steps=2).settings.norm == "inf"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (7, "or a function of .*, got 7"),
        (["mlp"], "or a function of .*, got \\['mlp'\\]"),
        (lambda shape, classes: "mlp", "must return a torch module, it returned a str"),
    ],
)
def test_what_is_no_network_is_refused(iris, model, message):
    x, _, y, _ = iris
    with pytest.raises(InputError, match=message):
        sense.SenseClassifier(model=model).fit(x, y)


def test_the_bounds_of_an_evaluation_are_those_of_training(iris, fitted):
    _, test_x, _, test_y = iris
    with pytest.raises(InputError, match="the parameter bounds of the classifier"):
        fitted.evaluate(test_x, test_y, bounds=(0, 1))
