"""Evaluations in real processes, stopped by real signals, end with the same results.
`tests/torture/kills.py` stops them at any moment and any write."""

import json
import random
import signal
import time

import pytest

from sense.cli import evaluate_main
from sense.evaluation.curves import CURVE, CURVE_OUTCOMES
from sense.evaluation.outcomes import OUTCOMES
from sense.evaluation.summary import EVALUATION

FILES = (OUTCOMES, CURVE_OUTCOMES, CURVE)


def options(trained, out):
    """Two attacks and two radii on 400 images in 20 batches each."""
    folder, _ = trained
    return [
        str(option)
        for option in (
            folder / "model.safetensors",
            "--dataset",
            "mnist-sample",
            "--n",
            400,
            "--batch",
            20,
            "--attacks",
            "fgsm",
            "pgd",
            "--steps",
            4,
            "--restarts",
            2,
            "--curve",
            0.04,
            0.08,
            "--no-diagnostics",
            "--threads",
            1,
            "--device",
            "cpu",
            "--out",
            out,
        )
    ]


@pytest.fixture
def begin(start, trained):
    return lambda out: start("sense.evaluate", *options(trained, out))


@pytest.fixture
def whole(trained, tmp_path):
    """What this process makes of it, undisturbed."""
    evaluate_main(options(trained, tmp_path / "whole"))
    return result(tmp_path / "whole")


def end(process):
    output, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (0, "")
    return output


def result(folder):
    content = json.loads((folder / EVALUATION).read_text())
    assert content["finished"]
    return [(folder / name).read_bytes() for name in FILES], content["accuracy"]


def wait_for_rows(path, rows, process):
    deadline = time.monotonic() + 300
    while not path.exists() or path.read_bytes().count(b"\n") < rows:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_stopped_and_killed_the_result_is_the_same(begin, tmp_path, whole):
    out = tmp_path / "pieces"
    process = begin(out)
    wait_for_rows(out / OUTCOMES, 450, process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert errors == f"stopped: run the same command to resume in {out}\n"
    assert process.returncode == 128 + signal.SIGINT
    process = begin(out)
    wait_for_rows(out / CURVE_OUTCOMES, 300, process)
    process.kill()
    process.communicate()
    assert "outcomes: " in end(begin(out))
    assert result(out) == whole


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_random_moments_the_result_is_the_same(begin, tmp_path, seed, whole):
    draw, out = random.Random(seed), tmp_path / "pieces"
    for _ in range(4):
        process = begin(out)
        wait_for_rows(out / OUTCOMES, 1, process)
        time.sleep(draw.uniform(0, 0.5))
        process.kill()
        process.communicate()
    end(begin(out))
    assert result(out) == whole
