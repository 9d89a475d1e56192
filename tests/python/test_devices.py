import os
from dataclasses import replace

import pytest
import torch

from sense import bridge
from sense.devices import (
    check_cuda_options,
    check_threads,
    choose_device,
    set_threads,
    to_device,
)
from sense.errors import InputError
from sense.models import build_model
from sense.process_settings import restored_settings
from sense.train import fit


def test_auto_is_an_accelerator_or_the_cpu():
    there = torch.accelerator.current_accelerator(check_available=True)
    assert choose_device("auto") == (there or torch.device("cpu"))
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "hpu", ""])
def test_an_unknown_device_is_named_in_one_line(name):
    with pytest.raises(ValueError, match=f"device '{name}' cannot be used: .") as caught:
        choose_device(name)
    assert "\n" not in str(caught.value)


def test_to_device_changes_only_the_memory_format():
    model = build_model("capacity-2", (1, 28, 28), 10)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    placed = to_device(model, torch.device("cpu"))
    assert placed.layers[3].weight.is_contiguous(memory_format=torch.channels_last)
    assert all(torch.equal(value, before[name]) for name, value in placed.state_dict().items())


@pytest.mark.parametrize(
    "option", [{"precision": "tf32"}, {"cuda_graphs": "on"}, {"cuda_graphs": "compact"}], ids=str
)
def test_options_that_need_cuda_are_refused_on_a_cpu(option, tiny, few, tmp_path):
    check_cuda_options(torch.device("cpu"), precision="float32", cuda_graphs="off")
    ((name, value),) = option.items()
    with pytest.raises(InputError, match=f"{name} {value} needs a device of type cuda, got cpu"):
        fit(replace(tiny, **option), tmp_path / "run", data=few)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("threads", [0, -1, 100_000, 10**9])
def test_an_impossible_number_of_threads_is_refused(threads, tiny, few, tmp_path):
    with pytest.raises(
        InputError, match=rf"threads must be from 1 to .* cores here\), got {threads}"
    ):
        check_threads(threads)
    if threads > 0:
        with pytest.raises(InputError, match="threads must be from 1 to"):
            fit(replace(tiny, threads=threads), tmp_path / "run", data=few)
        assert not (tmp_path / "run").exists()
        with pytest.raises(InputError, match="threads must be from 1 to"):
            bridge.evaluate("", b"", str(tmp_path), threads=threads)
    assert check_threads(8) == 8


def in_a_fork(function):
    """Return what the function returns in a forked process, as text."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            text = str(function())
        except InputError as error:
            text = str(error)
        os.write(send, text.encode())
        os._exit(0)
    os.waitpid(child, 0)
    return os.read(receive, 10_000).decode()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_one_thread(monkeypatch):
    monkeypatch.setattr(bridge, "compare", lambda: torch.get_num_threads())
    assert in_a_fork(lambda: bridge.call("compare", {})) == "{'value': 1}"
    assert in_a_fork(restored_settings()(torch.get_num_threads)) == "1"
    assert "must be 1 in a forked process, got 2" in in_a_fork(lambda: set_threads(2))
    assert in_a_fork(lambda: check_threads(1)) == "1"
    assert check_threads(2) == 2
