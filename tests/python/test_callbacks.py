"""Callbacks: which method is called when, what stops training, and what an exception leaves."""

import pytest

import sense
from sense.callbacks import Callbacks, EarlyStopping, OnEpoch, TensorBoard
from sense.checkpoint import load_checkpoint
from sense.cli import train_main, with_value
from sense.errors import InputError
from sense.train import TrainingStopped, fit
from test_resume import same_weights

STEPS = 6  # per epoch of `tiny` on `few`; it has 3 epochs


class Recorder(sense.Callback):
    """Records each call; `do`, a function of (event, training), is called then."""

    def __init__(self, do=lambda event, training: None):
        self.calls, self.do = [], do

    def note(self, event, training, *rest):
        self.calls.append((event, training.epoch, training.step, *rest))
        self.do(event, training)

    def on_train_start(self, training):
        self.note("train start", training)

    def on_epoch_start(self, training):
        self.note("epoch start", training)

    def on_step(self, training, loss):
        self.note("step", training, loss)

    def on_epoch_end(self, training, metrics):
        self.note("epoch end", training, metrics)

    def on_train_end(self, training):
        self.note("train end", training)

    def on_error(self, training, error):
        self.note("error", training, error)


def test_each_method_is_called_at_its_moment_and_changes_nothing(few, tiny, tmp_path):
    fit(tiny, tmp_path / "plain", data=few)
    recorder, lines = Recorder(), []
    fit(tiny, tmp_path / "run", data=few, callbacks=[recorder], on_epoch=lines.append)
    assert same_weights(tmp_path / "plain", tmp_path / "run")
    events = [call[:3] for call in recorder.calls]
    expected = [("train start", 0, 0)]
    for epoch in range(3):
        expected.append(("epoch start", epoch, 0))
        expected += [("step", epoch, step + 1) for step in range(STEPS)]
        expected.append(("epoch end", epoch + 1, 0))
    assert events == [*expected, ("train end", 3, 0)]
    losses = [call[3] for call in recorder.calls if call[0] == "step"]
    ends = [call[3] for call in recorder.calls if call[0] == "epoch end"]
    assert ends == lines
    assert sum(losses[:STEPS]) / STEPS == pytest.approx(ends[0]["loss"])  # batches of one size


def test_what_a_callback_gets(few, tiny, tmp_path):
    seen = {}

    def look(event, training):
        if event == "epoch end" and training.epoch == 2:
            seen.update(
                folder=training.folder,
                config=training.config,
                epochs=training.epochs,
                metrics=[line["epoch"] for line in training.metrics],
                parameters=sum(p.numel() for p in training.model.parameters()),
                lr=training.optimizer.param_groups[0]["lr"],
            )

    model = fit(tiny, tmp_path / "run", data=few, callbacks=[Recorder(look)])
    assert seen["parameters"] == sum(p.numel() for p in model.parameters())
    assert (seen["folder"], seen["config"]) == (tmp_path / "run", tiny)
    assert (seen["epochs"], seen["metrics"], seen["lr"]) == (3, [1, 2], tiny.lr)


@pytest.mark.parametrize(("event", "epoch", "step"), [("step", 1, 2), ("epoch end", 2, 0)])
def test_a_callback_stops_training_and_the_run_can_be_resumed(
    few, tiny, tmp_path, event, epoch, step
):
    def stop(found, training):
        if (found, training.epoch, training.step) == (event, epoch, step):
            training.stop()

    recorder = Recorder(stop)
    fit(tiny, tmp_path / "run", data=few, callbacks=[recorder])
    assert recorder.calls[-1][:3] == ("train end", epoch, step)
    progress = load_checkpoint(tmp_path / "run")["progress"]
    assert (progress["epoch"], progress["step"]) == (epoch, step)
    fit(tiny, tmp_path / "run", data=few, resume=True)
    fit(tiny, tmp_path / "whole", data=few)
    assert same_weights(tmp_path / "run", tmp_path / "whole")


@pytest.mark.parametrize("place", [("train start", 0, 0), ("step", 0, 2), ("epoch end", 1, 0)])
def test_an_exception_leaves_a_valid_checkpoint(few, tiny, tmp_path, place):
    def fail(event, training):
        if (event, training.epoch, training.step) == place:
            raise KeyError("mine")

    recorder = Recorder(fail)
    with pytest.raises(KeyError, match="mine"):
        fit(tiny, tmp_path / "run", data=few, callbacks=[recorder])
    assert recorder.calls[-1][0] == "error"
    assert isinstance(recorder.calls[-1][3], KeyError)
    progress = load_checkpoint(tmp_path / "run")["progress"]
    assert (progress["epoch"], progress["step"]) == place[1:]
    fit(tiny, tmp_path / "run", data=few, resume=True)
    fit(tiny, tmp_path / "whole", data=few)
    assert same_weights(tmp_path / "run", tmp_path / "whole")


def test_a_signal_is_an_error_for_callbacks(few, tiny, tmp_path):
    recorder = Recorder()
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path / "run", data=few, callbacks=[recorder], stop=lambda: 2)
    assert [call[0] for call in recorder.calls][-2:] == ["step", "error"]


def test_other_objects_are_refused(few, tiny, tmp_path):
    with pytest.raises(InputError, match=r"must be sense.Callback objects, got 3"):
        fit(tiny, tmp_path, data=few, callbacks=[3])
    with pytest.raises(InputError, match="patience must be 1 or more"):
        EarlyStopping(0)


class Metrics:
    """A training of which only the metrics are known."""

    def __init__(self):
        self.metrics, self.stopped_after = [], None

    def stop(self):
        self.stopped_after = self.stopped_after or len(self.metrics)


@pytest.mark.parametrize(
    ("values", "patience", "stopped_after"),
    [([3, 2, 1], 2, 3), ([3, 2, 4, 4, 4], 2, 5), ([1, 2, 3, 4], 1, None), ([5, 4], 1, 2)],
)
def test_early_stopping(values, patience, stopped_after):
    callback, training = EarlyStopping(patience), Metrics()
    for value in [9, *values]:  # pre-training does not count
        line = {"phase": "train" if training.metrics else "pretrain", "robust_correct": value}
        training.metrics.append(line)
        callback.on_epoch_end(training, line)
    expected = None if stopped_after is None else stopped_after + 1
    assert training.stopped_after == expected
    with pytest.raises(InputError, match="there is no metric 'margin'"):
        EarlyStopping(1, "margin").on_epoch_end(training, line)


# TensorBoard


def curves(folder):
    """The scalars in a folder of event files, as TensorBoard reads them."""
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = loader.EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


def test_tensorboard_has_the_metrics_and_a_resumed_run_continues_its_curves(few, tiny, tmp_path):
    lines = []
    first = [TensorBoard(), OnEpoch(lines.append)]
    with pytest.raises(TrainingStopped):
        fit(tiny, tmp_path / "run", data=few, callbacks=first, stop=lambda: 2 if lines else None)
    fit(tiny, tmp_path / "run", data=few, resume=True, callbacks=first)
    found = curves(tmp_path / "run/tensorboard")
    for name in ("loss", "lr", "robust_correct", "seconds"):
        expected = [(line["epoch"], pytest.approx(line[name], rel=1e-5)) for line in lines]
        assert found[name] == expected
    accuracy = [value for _, value in found["natural_accuracy"]]
    assert accuracy == pytest.approx([line["natural_correct"] / 32 for line in lines])
    assert [step for step, _ in found["stage_a"]] == [2, 3]  # not in pre-training


def test_tensorboard_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = ["--model", "capacity-1", "--method", "nt", "--pretrain", "0", "--train-size", "100"]
    quick += ["--epochs", "1", "--monitor-size", "8", "--threads", "1"]
    train_main([*quick, "--tensorboard", "--out", "run"])
    assert len(curves("run/tensorboard")["loss"]) == 1
    more = ["--epochs", "2", "--schedule", "constant", "--lr", "0.01"]
    train_main(["--resume", "run", *more, "--tensorboard", "boards"])
    assert len(curves("boards")["loss"]) == 2


def test_an_option_may_have_no_value():
    assert with_value("--x", "v", ["--x"]) == ["--x", "v"]
    assert with_value("--x", "v", ["--x", "--y", "1"]) == ["--x", "v", "--y", "1"]
    assert with_value("--x", "v", ["--x", "a", "--y"]) == ["--x", "a", "--y"]


def test_a_callback_in_the_first_process_only():
    class Processes:
        is_first, size = False, 2

    training = type("Training", (), {"processes": Processes})()
    assert not Callbacks([Recorder()], training, lambda training: None)
