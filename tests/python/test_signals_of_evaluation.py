"""Real processes, real signals: an evaluation that was stopped or killed ends as if never begun
before."""

import json
import random
import signal
import time

import pytest

from sense.evaluation.curve import CURVE, CURVE_OUTCOMES
from sense.evaluation.outcomes import OUTCOMES
from sense.evaluation.summary import EVALUATION

FILES = (OUTCOMES, CURVE_OUTCOMES, CURVE)


@pytest.fixture
def begin(start, trained):
    """Two attacks and two radii on 400 images in 20 batches each."""
    folder, _ = trained

    def begin(out):
        return start(
            "sense.evaluate", folder / "model.safetensors", "--dataset", "mnist-sample", "--n", 400,
            "--batch", 20, "--attacks", "fgsm", "pgd", "--steps", 4, "--restarts", 2, "--curve",
            0.04, 0.08, "--no-judge", "--threads", 1, "--device", "cpu", "--out", out,
        )  # fmt: skip

    return begin


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


def test_stopped_and_killed_it_ends_as_if_never_stopped(begin, tmp_path):
    end(begin(tmp_path / "whole"))
    out = tmp_path / "pieces"
    for rows, number in ((50, signal.SIGINT), (450, signal.SIGTERM)):
        process = begin(out)
        wait_for_rows(out / OUTCOMES, rows, process)
        process.send_signal(number)
        _, errors = process.communicate(timeout=300)
        assert errors == f"stopped; the same command goes on in {out}\n"
        assert process.returncode == 128 + number
    for path, rows in ((OUTCOMES, 900), (CURVE_OUTCOMES, 100), (CURVE_OUTCOMES, 500)):
        process = begin(out)
        wait_for_rows(out / path, rows, process)
        process.kill()
        process.communicate()
    assert "outcomes: " in end(begin(out))
    assert result(out) == result(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_killed_at_random_moments(begin, tmp_path, seed):
    end(begin(tmp_path / "whole"))
    draw, out = random.Random(seed), tmp_path / "pieces"
    for _ in range(4):
        process = begin(out)
        wait_for_rows(out / OUTCOMES, 1, process)
        time.sleep(draw.uniform(0, 0.5))
        process.kill()
        process.communicate()
    end(begin(out))
    assert result(out) == result(tmp_path / "whole")
