"""tools/gpu on a processor: its parts, limits, goals, and what is left when it is killed."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from bench import gpu, gpu_attack, gpu_files, gpu_pack, gpu_steps, gpu_summary
from conftest import ROOT


@pytest.fixture
def whole(tmp_path):
    """A run of parts with a minute."""
    out, work = tmp_path / "out", tmp_path / "work"
    out.mkdir()
    work.mkdir()
    found = gpu.Whole(out, work, time.monotonic() + 60)
    machine = {"machine": "test", "torch": "2", "time": "now"}
    found.summary = {"commit": None, "provenance": machine, "smoke": False, "parts": {}}
    return found


def part(name, code, limit=20.0, **options):
    return gpu.Part(name, [sys.executable, "-c", code], limit, **options)


def test_a_part_that_fails_or_is_slow_does_not_stop_the_others(whole):
    whole.run(part("fails", "print('why'); raise SystemExit(3)"))
    began = time.monotonic()
    whole.run(part("slow", "import time; time.sleep(60)", limit=6.0))
    assert time.monotonic() - began < 6 + gpu.END
    whole.run(part("works", "print('done')"))
    stored = json.loads((whole.out / "summary.json").read_text())["parts"]
    assert {name: entry["status"] for name, entry in stored.items()} == {
        "fails": "failed (3)",
        "slow": "time over",
        "works": "finished",
    }
    assert (whole.out / "fails.log").read_text().strip() == "why"


def test_a_finished_part_is_not_run_again(whole):
    code = "from pathlib import Path; p = Path('n'); p.write_text(p.read_text() + 'x')"
    (whole.work / "n").write_text("")
    for _ in range(2):
        whole.run(part("once", code))
    assert (whole.work / "n").read_text() == "x"


def test_without_time_a_part_is_not_begun(whole):
    whole.deadline = time.monotonic() + gpu.RESERVE
    whole.run(part("late", "raise SystemExit(1)"))
    assert whole.summary["parts"]["late"]["status"] == "no time"


def test_a_training_is_resumed_from_its_checkpoint_and_begun_again_without_one(whole):
    folder = whole.work / "run"
    folder.mkdir()
    resume = [sys.executable, "-c", "print('resumed')"]
    begin = part("train", "print('begun')", runs=("run",))
    begin = gpu.Part(begin.name, begin.command, begin.limit, begin.runs, resume)
    whole.run(begin)
    assert (whole.out / "train.log").read_text() == "begun\n"
    assert not folder.exists()
    folder.mkdir()
    (folder / "checkpoint.pt").write_text("x")
    whole.summary["parts"] = {}
    whole.run(begin)
    assert (whole.out / "train.log").read_text() == "resumed\n"


def test_runs_are_packed_into_small_files_and_restored(tmp_path, monkeypatch):
    monkeypatch.setattr(gpu_files, "PIECE", 1000)
    work, out, again = (tmp_path / name for name in ("work", "out", "again"))
    (work / "run" / "sub").mkdir(parents=True)
    out.mkdir()
    content = {"a.bin": os.urandom(25_000), "sub/b.txt": b"b"}
    for name, value in content.items():
        (work / "run" / name).write_bytes(value)
    (work / "run" / ".lock").write_text("")
    gpu_files.pack(work / "run", out)
    pieces = sorted(out.iterdir())
    assert len(pieces) > 25
    assert all(piece.stat().st_size <= 1000 for piece in pieces)
    gpu_files.unpack(out, again)
    assert {name: (again / "run" / name).read_bytes() for name in content} == content
    assert not (again / "run" / ".lock").exists()
    (work / "run" / "a.bin").write_bytes(b"short")
    gpu_files.pack(work / "run", out)
    assert len(list(out.iterdir())) < len(pieces)


def summary(**results):
    empty = dict.fromkeys(("steps", "autoattack", "group", "mnist-fast", "trained", "evaluation"))
    return {
        "smoke": False,
        "provenance": {"gpu": "H100"},
        "parts": {"mnist-fast": {"seconds": 42.0}},
        "results": empty | results,
    }


def entry(regular, sense, flops):
    """A network whose graphs are the faster variant."""
    ms = {"r-at, tf32": [9 * regular], "r-at, bfloat16, graphs": [regular]}
    return {
        "ms": {**ms, "sense, tf32": [9 * sense], "sense, tf32, graphs": [sense]},
        "flops": flops,
    }


def test_the_goals_are_compared_with_the_fastest_variants():
    steps = {
        "matrix_rate": 1e12,
        "networks": {
            "wrn-16-4": entry(100.0, 90.0, 3e10),
            "wrn-34-10": entry(100.0, 101.0, 4e10),
            "resnet20": entry(14.9, 14.9, 1e9),
            "small-cnn": {"error": "it does not fit"},
        },
    }
    attack = {"attack": "autoattack", "ratio": 1.6, "n": 200}
    accuracy = {"autoattack": {"k": 460, "n": 500, "upper": 0.941}}
    fast = {"epochs": [21, 21], "finished": True, "accuracy": accuracy}
    rows = gpu_summary.goals(summary(steps=steps, autoattack=attack, **{"mnist-fast": fast}))
    found = {row["goal"]: (row["value"], row["met"]) for row in rows}
    step = gpu_summary.GOALS["sense/r-at"]
    assert found[f"{step}: wrn-16-4"] == (0.9, True)
    assert found[f"{step}: wrn-34-10"] == (1.01, False)
    assert found[f"{step}: small-cnn"] == found[f"{step}: capacity-4"] == (None, None)
    assert [row["value"] for row in rows if "share" in row["goal"]] == [0.3, 0.4]
    assert [row["met"] for row in rows if "share" in row["goal"]] == [True, False]
    assert found[gpu_summary.GOALS["resnet20 ms"]] == (14.9, True)
    assert found[gpu_summary.GOALS["autoattack/bare"] + ": 200 images"] == (1.6, False)
    assert found[gpu_summary.GOALS["mnist-fast seconds"]] == (42.0, True)
    assert found[gpu_summary.GOALS["mnist-fast accuracy"]] == (0.92, False)


def test_what_was_not_measured_is_neither_met_nor_not_met():
    rows = gpu_summary.goals(summary())
    assert len(rows) == len(gpu_summary.NETWORKS) + 6
    assert all(row["value"] is row["met"] is None for row in rows)
    on_processor = summary(autoattack={"attack": "autoattack", "ratio": 1.2, "n": 9})
    on_processor["provenance"] = {"machine": "test"}
    assert [row["met"] for row in gpu_summary.goals(on_processor)] == [None] * len(rows)


def test_operations_of_a_step_are_those_of_its_layers():
    network, x = nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.rand(2, 3, 10, 10)
    with gpu_steps.Operations() as counter:
        z = x.requires_grad_()
        torch.autograd.grad(network(z).sum(), z)
    assert counter.total == 2 * (2 * 2 * 10 * 10 * 8 * 3 * 9)  # forward, and the gradient of z


def test_bare_passes_are_those_of_the_attack():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    counted = gpu_attack.Counted(network)
    x = torch.rand(5, 1, 4, 4)
    with torch.no_grad():
        counted(x)
    counted(x[:3].requires_grad_())
    assert counted.passes == Counter({(5, False): 1, (3, True): 1})
    once = gpu_attack.bare_seconds(network, x[:1], counted.passes)
    many = gpu_attack.bare_seconds(network, x[:1], Counter({(5, False): 5000, (3, True): 5000}))
    assert 0 < once < many


def test_the_jpeg_copy_becomes_the_binary_version(tmp_path):
    image = pytest.importorskip("PIL.Image")
    draw = np.random.default_rng(0)
    arrays = {}
    for name, n in (("train", 10), ("test", 3)):
        files = []
        for _ in range(n):
            file = io.BytesIO()
            pixels = np.full((32, 32, 3), draw.integers(0, 255, 3), np.uint8)
            image.fromarray(pixels).save(file, "jpeg")
            files.append(file.getvalue())
        arrays[f"{name}_jpeg"] = np.frombuffer(b"".join(files), np.uint8)
        arrays[f"{name}_offsets"] = np.cumsum([0, *map(len, files)])
        arrays[f"{name}_labels"] = np.arange(n) % 10
    np.savez(tmp_path / "cifar10-jpeg.npz", **arrays)
    made = gpu_files.cifar10_folder(tmp_path, tmp_path / "work")
    rows = np.frombuffer((made / "test_batch.bin").read_bytes(), np.uint8).reshape(3, 3073)
    assert rows[:, 0].tolist() == [0, 1, 2]
    planes = rows[:, 1:].reshape(3, 3, 1024)
    assert (planes == planes[..., :1]).all()  # one colour
    assert [path.stat().st_size for path in sorted(made.glob("data_*"))] == [2 * 3073] * 5
    assert gpu_files.cifar10_folder(made, tmp_path) == made


def test_the_pack_has_code_only(tmp_path, capsys):
    pytest.importorskip("pyautoattack")
    gpu_pack.main([str(tmp_path / "packages")])
    files = [path for path in (tmp_path / "packages").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {*gpu_pack.CODE, "", ".txt"}
    assert sum(path.stat().st_size for path in files) < 5 * 2**20
    assert "pyautoattack" in capsys.readouterr().out
    code = "import tyro, certifi, pyautoattack; print(tyro.__file__, pyautoattack.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "packages")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.count(str(tmp_path / "packages")) == 2


@pytest.mark.slow
def test_the_smoke_run_is_killed_and_resumed(tmp_path):
    command = [ROOT / "tools/gpu", "--smoke", "--device", "cpu", "--work", tmp_path / "work"]
    command += ["--out", tmp_path / "out"]
    environment = {**os.environ, "PATH": f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"}
    process = subprocess.Popen(list(map(str, command)), env=environment)
    file = tmp_path / "out/summary.json"
    while not file.exists() or not json.loads(file.read_text())["parts"]:
        assert process.poll() is None
        time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 128 + signal.SIGTERM
    before = json.loads(file.read_text())["parts"]
    assert before["tests"]["status"] == "finished"
    subprocess.run(list(map(str, command)), env=environment, check=True)
    parts = json.loads(file.read_text())["parts"]
    assert parts["tests"] == before["tests"]
    assert {entry["status"] for entry in parts.values()} == {"finished"}
    kept = list((tmp_path / "out").iterdir())
    assert len(kept) < 30
    assert all(path.stat().st_size < 16_000_000 for path in kept)
    table = (tmp_path / "out/summary.md").read_text()
    assert "| evaluation | finished |" in table
    assert str(tmp_path) not in table


def test_an_archive_writes_nothing_outside_its_folder(tmp_path):
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in ("../outside", "/tmp/outside-of-sense", "inside"):
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    archive.seek(0)
    folder = tmp_path / "folder"
    with tarfile.open(fileobj=archive) as tar:
        for member in tar:
            gpu_files.extract(tar, member, folder)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "inside"]
    assert not Path("/tmp/outside-of-sense").exists()
