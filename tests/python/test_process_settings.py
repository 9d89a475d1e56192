"""Settings of the whole process are restored, whatever is called and however it ends."""

import logging
import os
import platform
import signal
import sys
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats  # noqa: F401  its first import adds filters for its own warnings
import torch

from sense import bridge, cli, process_settings
from sense.attacks import autoattack, pgd, sensible, square
from sense.errors import InputError
from sense.evaluation.compare import compare
from sense.evaluation.evaluate import evaluate
from sense.evaluation.examples import make_examples
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.evaluation.targets import open_run
from sense.process_settings import freed_memory_kept, restored_settings
from sense.runs import load
from sense.train import fit

SETTINGS = Settings(attacks=("pgd",), eps=0.05, steps=1, restarts=1, n=10, diagnostics=False)


def state():
    return {
        "threads": torch.get_num_threads(),
        "interop": torch.get_num_interop_threads(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "matmul": torch.backends.cuda.matmul.fp32_precision,
        "convolution": torch.backends.cudnn.conv.fp32_precision,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "random": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),
        "path": list(sys.path),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "filters": list(warnings.filters),
        "tracer": sys.gettrace(),
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)],
        "logs": [logging.getLogger(name).level for name in ("", "auto-attack", "torch")],
    }


class Allocator:
    """Records the options of glibc's allocator, which cannot be read."""

    def __init__(self):
        self.options = {}

    def mallopt(self, name, value):
        self.options[name] = value
        return 1

    def malloc_trim(self, pad):
        return 1


@pytest.fixture
def allocator(monkeypatch):
    allocator = Allocator()
    monkeypatch.setattr(process_settings, "_glibc", lambda: allocator)
    return allocator


def broken(config):
    return replace(config, lr=1e30)


def calls(trained, few, tiny, tmp_path):
    """By name, what is called, and whether it ends with an error."""
    folder, data = trained
    model = load(folder)
    x, y = data.test_x[:8].float() / 255, data.test_y[:8]
    text, weights = (
        (folder / "config.json").read_text(),
        (folder / "model.safetensors").read_bytes(),
    )
    fast = replace(tiny, method="sense", epochs=1, threads=2, random_start=True)
    arrays = {
        "x": np.asarray(few.train_x[:, 0].float() / 255),
        "y": few.train_y.numpy(),
        "classes": list(few.classes),
    }
    plain = {"model": "capacity-1", "method": "nt", "epochs": 1.0, "threads": 2.0}
    return {
        "fit": lambda: fit(fast, tmp_path / "run", data=few),
        "fit, an error": lambda: fit(broken(fast), tmp_path / "broken", data=few),
        "fit, an error of input": lambda: fit(replace(fast, device="cuda:77"), tmp_path / "no"),
        "fit, an interrupt": lambda: fit(fast, tmp_path / "stop", data=few, stop=interrupted),
        "evaluate": lambda: evaluate(model, data.test_x[:8], y, replace(SETTINGS, n=8)),
        "evaluate, an error": lambda: evaluate(
            model, data.test_x[:8], y + 90, replace(SETTINGS, n=8)
        ),
        "evaluate_run": lambda: evaluate_run(folder, SETTINGS, data=data, out=tmp_path / "one"),
        "evaluate_run, an interrupt": lambda: evaluate_run(
            folder, SETTINGS, data=data, out=tmp_path / "two", stop=interrupted
        ),
        "make_examples": lambda: make_examples(open_run(folder, data=data), SETTINGS, n=2),
        "predict": lambda: bridge.predict(text, weights, np.asarray(x[:, 0])),
        "predict, an error": lambda: bridge.predict(text, weights[:-1], np.asarray(x[:, 0])),
        "train": lambda: bridge.train(plain, None, str(tmp_path / "r"), images=arrays),
        "evaluate a fit": lambda: bridge.evaluate(
            text,
            weights,
            str(tmp_path / "three"),
            {"attacks": ["pgd"], "steps": 1.0, "n": 5.0},
            images={"x_test": np.asarray(x[:, 0]), "y_test": y.tolist()},
            threads=2,
        ),
        "compare": lambda: compare({"a": folder, "b": folder}),
        "pgd": lambda: pgd(model, x, y, eps=0.1, step_size=0.1, steps=1, random_start=False),
        "sensible": lambda: sensible(model, x, y, eps=0.1, step_size=0.1, steps=1, c=0.5),
        "square": lambda: square(model, x, y, eps=0.1, queries=3),
        "autoattack": lambda: autoattack(model, x, y, eps=0.1, parts=["apgd-ce"]),
        "autoattack, an error": lambda: autoattack(model, x * torch.nan, y, eps=0.1),
    }


def interrupted():
    raise KeyboardInterrupt


def test_no_call_changes_settings_of_the_process(trained, few, tiny, tmp_path, allocator):
    for name, call in calls(trained, few, tiny, tmp_path).items():
        before = state()
        try:
            call()
            assert "error" not in name, name
        except (InputError, KeyboardInterrupt, FloatingPointError):
            assert "error" in name or "interrupt" in name or name == "compare", name
        after = state()
        assert {key for key in before if before[key] != after[key]} == set(), name
        assert allocator.options == {}, name  # only commands change it


def set_all():
    with restored_settings():
        torch.set_num_threads(2 if torch.get_num_threads() == 1 else 1)
        torch.backends.cuda.matmul.fp32_precision = "tf32"
        torch.manual_seed(77)
        raise KeyboardInterrupt


def test_settings_are_restored_after_an_error():
    before = state()
    with pytest.raises(KeyboardInterrupt):
        set_all()
    assert state() == before


def test_the_commands_keep_freed_memory(allocator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = []
    monkeypatch.setattr(cli, "fit", lambda *a, **k: seen.append(dict(allocator.options)))
    cli.train_main(["--out", "run"])
    assert seen == [process_settings.KEPT]
    assert set(allocator.options.values()) == {process_settings.GLIBC_DEFAULT}


def test_freed_memory_is_kept_until_the_outer_block_ends(allocator):
    with freed_memory_kept():
        with freed_memory_kept():
            pass
        assert allocator.options == process_settings.KEPT
    assert set(allocator.options.values()) == {process_settings.GLIBC_DEFAULT}


def test_with_another_c_library_nothing_changes(monkeypatch):
    monkeypatch.setattr(process_settings, "_glibc", lambda: None)
    with freed_memory_kept():
        pass


def test_glibc_is_found():
    assert (process_settings._glibc() is not None) == (platform.libc_ver()[0] == "glibc")
