"""The scripts that make the stored results, on few images."""

import json
import runpy
import subprocess
import sys

import pytest

from conftest import ROOT


@pytest.mark.slow
def test_compare_methods_stores_its_table_and_does_not_repeat_a_complete_run(tmp_path):
    command = [sys.executable, ROOT / "tools/compare_methods", "mnist-demo"]
    command += ["--out", "runs", "--store", "stored", "--methods", "mma", "sense-bisect"]
    short = (
        "-- --epochs 1 --train-size 300 --monitor-size 16 --lr 0.1 -- --n 50 --steps 2 --restarts 1"
    )

    def run(*arguments):
        return subprocess.run(
            [*command, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    first = run(*short.split())
    table = (tmp_path / "stored/table.md").read_text()
    assert table in first
    assert "| sense-bisect | " in table
    stored = json.loads((tmp_path / "stored/sense-bisect/config.json").read_text())
    assert stored["config"]["boundary"] == "bisect"
    second = run()
    assert "$ python" not in second.replace("$ python -m sense.seal", "")
    assert table in second


def fake_seed_run(folder, method, seed, finished=True, correct=3):
    where = {name: "x" for name in ("command", "commit", "time", "torch", "python", "machine")}
    run = folder / f"{method}-{seed}"
    run.mkdir(parents=True)
    accuracy = {"k": correct, "n": 4, "lower": 0.3, "upper": 0.9}
    training = {"model": "capacity-3", "method": method, "seed": seed}
    evaluation = {
        "target": {"weights_sha256": f"{method}{seed}"},
        "data": {"name": "mnist-sample", "n": 4},
        "attacks": {"natural": {"label": "natural", "attacked": 0, "seconds": seed}},
        "options": {"eps": 0.3},
        "accuracy": {"natural": accuracy},
        "finished": finished,
        "provenance": {**where, "threads": 1},
    }
    (run / "config.json").write_text(
        json.dumps({"config": training, "provenance": {**where, "threads": 1}})
    )
    (run / "evaluation.json").write_text(json.dumps(evaluation))


def store_demo_seeds(folder, out):
    command = [sys.executable, ROOT / "tools/store-demo-seeds", folder, "--out", out]
    return subprocess.run(command, capture_output=True, text=True)


def test_store_demo_seeds_keeps_the_seeds_that_every_method_has_finished(tmp_path):
    for seed in (1, 2, 10):
        for method in ("nt", "r-at", "sense"):
            unfinished = seed == 10 and method == "sense"
            fake_seed_run(tmp_path / "runs", method, seed, not unfinished)
    done = store_demo_seeds(tmp_path / "runs", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "seed 10 left out" in done.stdout
    table = (tmp_path / "mnist-demo-seeds.csv").read_text().splitlines()
    assert table[:2] == ["method,seed,attack,k,n,lower,upper", "nt,1,natural,3,4,0.300000,0.900000"]
    assert [line.split(",")[:2] for line in table[1:]] == [
        [method, seed] for method in ("nt", "r-at", "sense") for seed in "12"
    ]
    stored = json.loads((tmp_path / "mnist-demo-seeds.json").read_text())
    assert stored["data"] == {"name": "mnist-sample", "n": 4}
    assert [run["weights_sha256"] for run in stored["runs"][:2]] == ["nt1", "nt2"]
    assert stored["runs"][0]["training"]["threads"] == 1


def test_store_demo_seeds_refuses_a_folder_without_a_complete_seed(tmp_path):
    fake_seed_run(tmp_path / "runs", "sense", 1)
    done = store_demo_seeds(tmp_path / "runs", tmp_path)
    assert done.returncode == 2
    assert "no seed with a finished evaluation of every method" in done.stderr


def test_measure_rounding_compares_two_runs_and_one_attack_in_both_precisions():
    tool = runpy.run_path(str(ROOT / "tools/measure_rounding"))
    tool["of_attack"].__globals__["N"] = 40
    run = ROOT / "inst/extdata/mnist-demo/sense"
    found = tool["of_seed"](run, run)
    assert found["seed"] == 1
    assert found["p"] == {"natural": 1.0, "pgd": 1.0}
    assert found["correct"]["float32"] == found["correct"]["bfloat16"]
    for mean, _, largest in found["errors"]:
        assert 0 < mean <= largest < 0.05
    assert 0 <= found["moved_below_c"] < found["moved"] <= 40
    accuracies, attacks = tool["tables"]([found, {**found, "seed": 2}])
    for table in (accuracies, attacks):
        lines = table.splitlines()
        assert len(lines) == 4
        assert len({line.count("|") for line in lines}) == 1
        assert lines[3].startswith("| 2 | ")
