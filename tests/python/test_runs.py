import json
import re
from dataclasses import replace

import pytest
import torch

from sense import __version__
from sense.run_folder import RunFolder
from sense.runs import (
    CONFIG,
    check_same_data,
    create_run,
    json_text,
    metrics_text,
    provenance,
    read_run,
    resume_run,
)


def create(folder, *arguments, **options):
    with RunFolder(folder) as run:
        create_run(run, *arguments, **options)


def test_a_run_stores_its_options_and_a_description_of_the_data(tmp_path, tiny, few):
    create(tmp_path / "a" / "b", tiny, few)
    config, description = read_run(tmp_path / "a" / "b")
    assert config == tiny.resolved()
    assert description["config"] == config.to_plain()
    assert description["config"]["warmup"] == 0
    assert description["data"] == {
        "name": "few",
        "sha256": few.sha256,
        "test_sha256": few.test_sha256,
        "shape": [1, 28, 28],
        "classes": list("0123456789"),
        "train": 300,
        "test": 100,
    }


def test_provenance_has_command_commit_versions_and_time():
    here = provenance()
    assert here["sense"] == __version__
    assert here["torch"] == torch.__version__
    assert here["threads"] == torch.get_num_threads()
    assert here["commit"] is None or re.fullmatch(r"[0-9a-f]{40}\+?", here["commit"])
    assert "pytest" in here["command"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", here["time"])


def test_provenance_names_the_gpu_that_was_used_not_the_present_one(
    monkeypatch, tmp_path, tiny, few
):
    names = {0: "first", 1: "second", None: "present"}
    monkeypatch.setattr(
        torch.cuda, "get_device_name", lambda device: names[torch.device(device).index]
    )
    assert provenance(device=torch.device("cuda:1"))["gpu"] == "second"
    assert provenance(device=torch.device("cuda:0"))["gpu"] == "first"
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    assert "gpu" not in provenance()
    assert "gpu" not in provenance(device=torch.device("cpu"))
    with RunFolder(tmp_path / "run") as run:
        create_run(run, tiny, few, device=torch.device("cuda:1"))
    assert read_run(tmp_path / "run")[1]["provenance"]["gpu"] == "second"


def test_a_folder_with_a_run_is_not_overwritten(tmp_path, tiny, few):
    create(tmp_path, tiny, few)
    before = (tmp_path / CONFIG).read_bytes()
    with pytest.raises(FileExistsError, match="holds a run already: resume it with --resume"):
        create(tmp_path, replace(tiny, c=0.9), few)
    assert (tmp_path / CONFIG).read_bytes() == before


def test_a_folder_without_a_run_is_rejected(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no config.json in .*: pass the folder of a run"):
        read_run(tmp_path)


def test_other_images_are_rejected(tmp_path, tiny, few, sample):
    create(tmp_path, tiny, few)
    _, description = read_run(tmp_path)
    check_same_data(tmp_path, description, few)
    with pytest.raises(ValueError, match=f"{few.sha256}, these images have {sample.sha256}"):
        check_same_data(tmp_path, description, sample)


def test_only_runtime_options_may_change_when_a_run_is_resumed(tmp_path, tiny, few):
    create(tmp_path, tiny, few, processes=3)
    assert read_run(tmp_path)[1]["provenance"]["processes"] == 3
    elsewhere = {"threads": 2, "device": "auto", "data_dir": tmp_path}
    with RunFolder(tmp_path) as run:
        resume_run(run, replace(tiny, **elsewhere), few)
        changed = r"other options: c \(0.15, not 1.0\), seed \(1, not 2\)"
        with pytest.raises(ValueError, match=changed):
            resume_run(run, replace(tiny, c=1.0, seed=2), few)


def test_json_has_no_nan():
    assert json.loads(json_text({"x": 1.5})) == {"x": 1.5}
    with pytest.raises(ValueError, match="JSON"):
        json_text({"x": float("nan")})
    assert metrics_text([{"epoch": 1}, {"epoch": 2}]) == '{"epoch": 1}\n{"epoch": 2}\n'
