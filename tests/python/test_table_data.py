import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import sense
from sense.attacks import autoattack_with_verdicts, pgd, square
from sense.attacks.checks import check_ball_and_bounds
from sense.config.options import MethodName
from sense.data import Scaling, TableData
from sense.errors import InputError, OtherDataError
from sense.evaluation.stored_evaluation import evaluate_run
from sense.runs import load_scaling

METHODS = MethodName.__args__
INF = math.inf


class Frame:
    """What `Scaling` needs of a data frame."""

    def __init__(self, **columns):
        self.of = columns

    @property
    def columns(self):
        return list(self.of)

    def __getitem__(self, names):
        return Frame(**{name: self.of[name] for name in names})

    def __array__(self, *_, **__):
        return np.stack(list(self.of.values()), 1)


def rows(n=90, classes=3, d=4, seed=0):
    """Classes around their own centres, in units of different sizes."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    centres = 2 * rng.normal(size=(classes, d))
    x = (centres[y] + rng.normal(size=(n, d))) * 10.0 ** np.arange(d) + 100
    return x, y


def table(classes=3, n=90, **options):
    x, y = rows(n, classes)
    half = n // 2
    names = [str(i) for i in range(classes)]
    return TableData.from_features("t", x[:half], y[:half], x[half:], y[half:], names, **options)


def quick(**options):
    return replace(
        sense.recipe("table"), pretrain=1, epochs=2, steps=3, device="cpu", threads=1, **options
    )


def test_features_are_standardised_as_by_the_formula():
    x, _ = rows()
    scaling = Scaling.of(x)
    expected = (x - x.mean(0)) / x.std(0, ddof=1)
    torch.testing.assert_close(scaling(x), torch.from_numpy(expected).float())
    np.testing.assert_allclose(scaling.undo(scaling(x)), x, rtol=1e-4)
    assert scaling.names == ("x1", "x2", "x3", "x4")
    assert scaling.bounds == (-INF, INF)


def test_a_constant_feature_is_only_centred():
    x = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert Scaling.of(x).scale == (math.sqrt(2), 1.0)
    assert Scaling.of(x)(x)[:, 1].tolist() == [0, 0]


def test_one_eps_per_feature_is_a_cube_of_one_radius():
    x, _ = rows()
    eps = [0.5, 20.0, 10.0, 3000.0]
    scaling = Scaling.of(x, eps=eps)
    radius = scaling.radius(eps)
    np.testing.assert_allclose(np.array(scaling.scale) * radius, eps)
    moved = scaling(x) + radius
    np.testing.assert_allclose(scaling.undo(moved) - x, np.broadcast_to(eps, x.shape), rtol=1e-3)
    sd = scaling(x).std(0)
    assert sd.min() <= 1 <= sd.max()  # the network sees numbers around 1
    with pytest.raises(InputError, match="eps must be one multiple of the eps that"):
        scaling.radius([1.0, 1.0, 1.0, 1.0])


def test_bounds_are_scaled_like_the_features():
    x, _ = rows()
    for bounds in ("range", [(low, high) for low, high in zip(x.min(0), x.max(0), strict=True)]):
        scaling = Scaling.of(x, bounds=bounds)
        low, high = scaling.bounds
        assert torch.equal(scaling(x).amin(0), low)
        assert torch.equal(scaling(x).amax(0), high)
    low, high = Scaling.of(x, bounds=(-INF, 1e6)).bounds
    assert (low == -INF).all()
    assert torch.isfinite(high).all()


def test_columns_are_found_by_their_names():
    x, _ = rows(d=2)
    frame = Frame(a=x[:, 0], b=x[:, 1])
    scaling = Scaling.of(frame)
    assert scaling.names == ("a", "b")
    turned = Frame(other=x[:, 0], b=x[:, 1], a=x[:, 0])
    assert torch.equal(scaling(turned), scaling(x))
    with pytest.raises(InputError, match="must have the columns a, b: there is no b"):
        scaling(Frame(a=x[:, 0]))


def test_the_range_of_training_and_test_rows_is_that_of_each_feature_by_name():
    x, y = rows(d=2)
    train, test = x[:45], x[45:]
    frames = (
        Frame(a=train[:, 0], b=train[:, 1]),
        Frame(b=test[:, 1], other=y[45:], a=test[:, 0]),
    )
    for parts in ((train, test), frames):
        data = TableData.from_features(
            "t", parts[0], y[:45], parts[1], y[45:], "abc", bounds="range"
        )
        assert data.scaling.low == tuple(x.min(0))
        assert data.scaling.high == tuple(x.max(0))


def test_bounds_may_be_an_array():
    x, _ = rows()
    bounds = np.stack([x.min(0), x.max(0)], 1)
    expected = table(bounds="range").scaling
    assert table(bounds=bounds).scaling == table(bounds=bounds.tolist()).scaling == expected


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (np.array([[1.0, np.nan], [0, 1]]), {}, "x2 is nan in row 0 .*: leave out rows with"),
        (np.array([["a"], ["b"]]), {}, "must be numbers, got <U1: code categories"),
        (np.zeros(3), {}, r"must be n x d, rows by features, got shape \(3,\)"),
        (np.eye(2), {"bounds": (0.5, 1)}, "x2 must be from 0.5 to 1, its bounds, got 0 in row 0"),
        (np.eye(2), {"bounds": "unit"}, 'bounds must be None, "range"'),
        (np.eye(2), {"bounds": (1, 0)}, "low <= high"),
        (np.eye(2), {"eps": [1.0]}, "eps must be 2 numbers more than 0, one per feature"),
        (np.eye(2), {"eps": [1.0, 0.0]}, "eps must be 2 numbers more than 0"),
        (np.eye(2), {"names": ["a"]}, "names must be 2"),
    ],
)
def test_features_that_cannot_be_used_are_refused(x, options, message):
    with pytest.raises(InputError, match=message):
        Scaling.of(x, **options)


def test_the_scaling_survives_json_with_and_without_bounds():
    x, _ = rows()
    for bounds in (None, "range", (-INF, 1e7)):
        scaling = Scaling.of(x, bounds=bounds)
        plain = json.loads(json.dumps(scaling.to_plain(), allow_nan=False))
        assert Scaling.from_plain(plain) == scaling


@pytest.mark.parametrize("part", ["names", "center", "scale", "low", "high"])
@pytest.mark.parametrize("value", [None, "text", [None, "x", 1, 2], [1.0], [True] * 4])
def test_a_damaged_scaling_is_refused(part, value):
    plain = Scaling.of(rows()[0], bounds="range").to_plain()
    with pytest.raises(InputError):
        Scaling.from_plain({**plain, part: value})


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_on_a_table(tmp_path, method):
    bounds = "range" if method in ("sense", "iaat", "mart") else None
    data = table(bounds=bounds)
    model = sense.fit(quick(method=method, replays=2), tmp_path / "run", data=data)
    assert model(data.test_x).shape == (45, 3)
    assert load_scaling(tmp_path / "run") == data.scaling


@pytest.mark.parametrize("norm", ["2", "1"])
@pytest.mark.parametrize("method", ["sense", "trades", "mma"])
def test_other_norms_train_on_a_table(tmp_path, method, norm):
    if norm == "1" and method in ("trades", "mma"):
        return
    sense.fit(quick(method=method, norm=norm), tmp_path / "run", data=table())


def test_attacks_in_training_keep_the_bounds(tmp_path, monkeypatch):
    seen = []
    network = nn.Linear(4, 3)
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    data = table(bounds="range")
    sense.fit(
        quick(method="r-at", eps=3.0, step_size=2.0), tmp_path / "run", data=data, model=network
    )
    low, high = data.bounds
    x = torch.cat(seen)
    assert (x >= low).all()
    assert (x <= high).all()
    assert (x == high).sum() > len(data.train_x)  # the attack reached them


@pytest.mark.parametrize("method", ["sense", "mma"])
def test_a_run_on_a_table_is_resumed_bit_for_bit(tmp_path, method):
    data, config = table(bounds="range"), quick(method=method, class_weights="balanced")
    whole = sense.fit(config, tmp_path / "whole", data=data)
    steps = iter([None, None, 1])
    with pytest.raises(sense.train.TrainingStopped):
        sense.fit(config, tmp_path / "parts", data=data, stop=lambda: next(steps))
    parts = sense.fit(config, tmp_path / "parts", data=data, resume=True)
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "other",
    [
        {"bounds": "range"},
        {"eps": [1.0, 2.0, 3.0, 4.0]},
        {"names": ("a", "b", "c", "d")},
        {"unit": 2.0},
    ],
)
def test_a_run_is_not_resumed_with_features_that_are_scaled_otherwise(tmp_path, other):
    x, y = rows()
    unit = other.pop("unit", 1.0)
    config, classes = quick(schedule="constant"), ["0", "1", "2"]
    sense.fit(config, tmp_path / "run", data=TableData.from_features("t", x, y, x, y, classes))
    data = TableData.from_features("t", unit * x, y, unit * x, y, classes, **other)
    before = (tmp_path / "run/config.json").read_bytes()
    with pytest.raises(OtherDataError, match=r"other data|another scaling"):
        sense.fit(replace(config, epochs=3), tmp_path / "run", data=data, resume=True)
    assert (tmp_path / "run/config.json").read_bytes() == before


def test_scalings_are_compared_except_for_rounding():
    x, _ = rows()
    one, other = Scaling.of(x), Scaling.of(x, bounds="range")
    assert not one.is_bounded
    assert other.is_bounded
    assert one.is_close(other, scale=True, bounds=False)
    assert not one.is_close(other, scale=False, bounds=True)
    assert not one.is_close(Scaling.of(2 * x), scale=True, bounds=True)
    assert one.is_close(Scaling.of(x * (1 + 1e-12)), scale=True, bounds=True)


@pytest.mark.parametrize("classes", [2, 3, 4, 100])
def test_two_to_a_hundred_classes_are_trained_and_attacked(tmp_path, classes):
    pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")
    data = table(classes, n=400 if classes == 100 else 80)
    sense.fit(quick(), tmp_path / "run", data=data)
    attacks = ["fgsm", "pgd", "margin-pgd", "targeted-pgd", "deepfool", "square", "autoattack"]
    content = evaluate_run(
        tmp_path / "run",
        sense.evaluation.settings.Settings(
            attacks=tuple(attacks), steps=3, restarts=1, queries=20, n=30, diagnostics=False
        ),
        data=data,
    )
    version = content["attacks"]["autoattack"]["version"]
    few = {2: "apgd-ce fab-t square", 3: "apgd-ce apgd-dlr fab-t square"}
    assert version == few.get(classes, "standard")
    correct = {name: entry["k"] for name, entry in content["accuracy"].items()}
    assert correct["worst"] <= min(correct["autoattack"], correct["pgd"]) <= correct["natural"]


def test_the_folder_of_a_run_takes_features_in_their_own_units(tmp_path):
    x, y = rows()
    data = table()
    sense.fit(quick(), tmp_path / "run", data=data)
    by_folder = sense.evaluate(tmp_path / "run", x[45:], y[45:], attacks=["pgd"], steps=3)
    model = sense.load(tmp_path / "run")
    by_hand = sense.evaluate(
        model,
        data.scaling(x[45:]),
        data.test_y,
        attacks=["pgd"],
        steps=3,
        eps=0.2,
        bounds=data.bounds,
    )
    assert by_folder.outcomes == by_hand.outcomes
    with pytest.raises(InputError, match="pass features x and labels y"):
        sense.evaluate(tmp_path / "run")


def linear_problem(d, n=40):
    """A linear network of two classes: the worst perturbation is known."""
    torch.manual_seed(0)
    network = nn.Linear(d, 2).eval()
    x = 3 * torch.randn(n, d)
    y = network(x).argmax(1)
    w = (network.weight[1] - network.weight[0]).detach()
    gap = network(x).detach()
    margin = (gap[:, 1] - gap[:, 0]).abs()
    return network, x, y, w, margin


@pytest.mark.parametrize("d", [1, 2, 7, 30])
@pytest.mark.parametrize("norm", [INF, 2.0, 1.0])
def test_autoattack_finds_exactly_the_points_within_eps_of_a_linear_boundary(d, norm):
    pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")
    network, x, y, w, margin = linear_problem(d)
    dual = {INF: 1, 2.0: 2, 1.0: INF}[norm]
    distance = margin / torch.linalg.vector_norm(w, dual)
    eps = float(distance.median()) * 1.001
    found = autoattack_with_verdicts(network, x, y, eps=eps, norm=norm, bounds=(-INF, INF))
    clear = (distance / eps - 1).abs() > 1e-3
    broken = torch.tensor([name is not None for name in found.broken_by])
    assert torch.equal(broken[clear], (distance < eps)[clear])
    check_ball_and_bounds(found.x_adv, x, eps=eps, norm=norm, bounds=(-INF, INF))


@pytest.mark.parametrize("attack", ["square", "autoattack", "pgd"])
def test_attacks_respect_bounds_of_each_feature(attack):
    pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")
    network, x, y, w, margin = linear_problem(3)
    bounds = (x.amin(0), torch.tensor([INF, INF, float(x[:, 2].max())]))
    eps = float((margin / w.abs().sum()).median())
    # The worst point of the box that is the ball inside the bounds.
    sign = torch.where(y == 1, -1.0, 1.0).unsqueeze(1) * w.sign()
    worst = torch.clamp(x + eps * sign, *bounds)
    expected = network(worst).argmax(1) != y
    if attack == "square":
        x_adv = square(network, x, y, eps=eps, queries=300, bounds=bounds)
    elif attack == "autoattack":
        x_adv = autoattack_with_verdicts(network, x, y, eps=eps, bounds=bounds).x_adv
    else:
        x_adv = pgd(network, x, y, eps=eps, step_size=eps, steps=5, bounds=bounds)
    check_ball_and_bounds(x_adv, x, eps=eps, norm=INF, bounds=bounds)
    assert torch.equal(network(x_adv).argmax(1) != y, expected)


def test_networks_for_images_are_refused_for_a_table(tmp_path):
    with pytest.raises(InputError, match="small-cnn takes images: for a table, choose mlp or lin"):
        sense.fit(quick(model="small-cnn"), tmp_path / "run", data=table())
    with pytest.raises(InputError, match="augment must be none for a table"):
        quick(augment="shift")


def test_linear_is_multinomial_logistic_regression(tmp_path):
    """Without an attack the optimum is that of the closed form for one binary feature: the log odds
    of each group."""
    x = np.repeat([[0.0], [1.0]], 20, 0)
    y = np.r_[np.repeat([0, 1], [15, 5]), np.repeat([0, 1], [4, 16])]
    data = TableData.from_features("t", x, y, None, None, ["a", "b"])
    config = quick(method="nt", model="linear", lr=1.0, schedule="constant", batch_size=40)
    model = sense.fit(replace(config, epochs=150), tmp_path / "run", data=data)
    with torch.no_grad():
        p = model(data.scaling([[0.0], [1.0]])).softmax(1)[:, 1]
    torch.testing.assert_close(p, torch.tensor([0.25, 0.8]), atol=5e-3, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["load_breast_cancer", "load_iris", "load_wine", "load_digits"])
def test_tables_of_scikit_learn_end_to_end(tmp_path, name):
    datasets = pytest.importorskip("sklearn.datasets", reason="needs scikit-learn")
    pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")
    x, y = getattr(datasets, name)(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[: 2 * len(x) // 3], order[2 * len(x) // 3 :]
    classes = [str(k) for k in range(y.max() + 1)]
    data = TableData.from_features(name, x[train], y[train], x[test], y[test], classes)
    sense.fit(replace(sense.recipe("table"), threads=1), tmp_path / "run", data=data)
    result = sense.evaluate(
        tmp_path / "run", x[test], y[test], attacks=["pgd", "autoattack"], steps=20, restarts=1
    )
    accuracy = {k: v.k / v.n for k, v in result.accuracy.items()}
    assert accuracy["natural"] > 0.9
    assert accuracy["worst"] > 0.6


def test_a_table_is_evaluated_in_the_units_of_the_run(tmp_path):
    data = table(n=180)
    sense.fit(quick(), tmp_path / "run", data=data)
    raw = data.scaling.undo(data.test_x)
    expected = sense.evaluate(tmp_path / "run", raw, data.test_y.numpy(), attacks=["fgsm"])
    assert sense.evaluate(tmp_path / "run", data, attacks=["fgsm"]).accuracy == expected.accuracy
    other = TableData.from_features(
        "t", raw, data.test_y, raw, data.test_y, ["0", "1", "2"], bounds="range"
    )
    assert other.scaling != data.scaling
    assert sense.evaluate(tmp_path / "run", other, attacks=["fgsm"]).accuracy == expected.accuracy


@pytest.mark.parametrize(("norm", "verdict"), [("inf", "ok"), ("2", "skipped"), ("1", "skipped")])
def test_square_is_no_check_of_masked_gradients_for_rows_in_l2_and_l1(tmp_path, norm, verdict):
    pytest.importorskip("pyautoattack", reason="needs pyautoattack: pip install '.[attacks]'")
    data = table(n=300, classes=2)
    sense.fit(quick(norm=norm), tmp_path / "run", data=data)
    content = evaluate_run(
        tmp_path / "run", sense.evaluation.settings.Settings(attacks=("pgd",), steps=5), data=data
    )
    checks = {check["check"]: check for check in content["diagnostics"]["checks"]}
    assert checks["gradient-free"]["verdict"] == verdict
    if verdict == "skipped":
        assert "rows of features" in checks["gradient-free"]["text"]
