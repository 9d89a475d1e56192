"""The tested commands, on data so small that a run takes a second."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sense.cli import evaluate_main, train_main
from sense.data.idx import write_idx
from sense.data.mnist import FILES, load_sample

from .children import Failure, run

TRAIN, TEST = 150, 40  # images
BASE = {
    "dataset": "mnist",
    "model": "capacity-1",
    "epochs": 2,
    "pretrain": 0,
    "batch-size": 30,
    "steps": 2,
    "step-size": 0.08,
    "eps": 0.15,
    "c": 0.2,
    "lr": 0.05,
    "monitor_size": 16,
    "threads": 1,
    "device": "cpu",
}
# Methods with a state per image, with random numbers, or with two phases.
RUNS: dict[str, dict[str, object]] = {
    "sense": {"method": "sense", "random-start": True},
    "warm-up": {"method": "sense", "boundary": "noise", "pretrain": 1, "warmup": 1},
    "adam": {"method": "nt", "optimizer": "adam", "lr": 0.003, "schedule": "one-cycle"},
    "mma": {"method": "mma"},
    "crops": {"method": "trades", "augment": "reflect"},
}
EVALUATION = [
    "--attacks",
    "fgsm",
    "pgd",
    "--steps",
    "3",
    "--restarts",
    "2",
    "--n",
    str(TEST),
    "--batch",
    "10",
    "--curve",
    "0",
    "0.05",
    "0.1",
    "--convergence",
    "8",
    "--threads",
    "1",
    "--device",
    "cpu",
]
SEEDS = (0, 1, 2)
CLOCKS = {"seconds", "images_per_second"}


def write_data(folder: Path) -> Path:
    """Write the first images of the sample as four IDX files."""
    sample = load_sample()
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in FILES.items():
        array = getattr(sample, part)[: TRAIN if "train" in part else TEST].numpy().astype("uint8")
        write_idx(
            folder / f"{name}.gz",
            array.reshape(len(array), 28, 28) if part.endswith("x") else array,
        )
    return folder


def train(kind: str, data: Path, out: Path | None, seed: int = 0) -> Callable[[], None]:
    """`python -m sense.train` with the options of that kind."""
    options = BASE | {"data-dir": data, "seed": seed} | RUNS[kind]
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    return lambda: train_main([*arguments, *(["--out", str(out)] if out else [])])


def resume(run: Path) -> Callable[[], None]:
    """`python -m sense.train --resume`."""
    return lambda: train_main(["--resume", str(run)])


def resume_or_train(kind: str, data: Path, out: Path) -> Callable[[], None]:
    """The command after a failure: --resume if there is a run, else the first command again."""
    return resume(out) if (out / "config.json").exists() else train(kind, data, out)


def evaluate(run: Path) -> Callable[[], None]:
    """`python -m sense.evaluate` with most of its options."""
    return lambda: evaluate_main([str(run), *EVALUATION])


def run_undisturbed(work: Callable[[], None], log: Path) -> None:
    """Call `work()` in an undisturbed process."""
    ended = run(work, log)
    if ended.code:
        raise Failure(f"the undisturbed process failed:\n{ended.err}")


def trained(run: Path) -> dict[str, Any]:
    """Return what must be equal in two trainings: weights as bytes, metrics without times."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return {
        "weights": (run / "model.safetensors").read_bytes(),
        "metrics": [_without_clocks(line) for line in lines],
        "config": json.loads((run / "config.json").read_text())["config"],
    }


def evaluated(folder: Path) -> dict[str, Any]:
    """Return what must be equal in two evaluations: tables as bytes, diagnostics and counts."""
    content = json.loads((folder / "evaluation.json").read_text())
    content = {name: value for name, value in content.items() if name != "provenance"}
    tables = {path.name: path.read_bytes() for path in sorted(folder.glob("*.csv"))}
    return {"evaluation": _without_clocks(content), **tables}


def make_runs(shared: Path) -> bool:
    """Create the data, an undisturbed run of each seed, and the evaluations of two of them."""
    data = write_data(shared / "data")
    for seed in SEEDS:
        run_undisturbed(train("sense", data, shared / "trained" / str(seed), seed), shared / "log")
    for seed in SEEDS[:2]:
        shutil.copytree(shared / "trained" / str(seed), shared / "evaluated" / str(seed))
        run_undisturbed(evaluate(shared / "evaluated" / str(seed)), shared / "log")
    return True


def check_equal(found: dict[str, Any], whole: dict[str, Any]) -> None:
    """Raise `Failure` if the results differ from those of an undisturbed process."""
    other = [name for name in whole.keys() | found.keys() if found.get(name) != whole.get(name)]
    if other:
        raise Failure(
            f"{', '.join(sorted(other))} differ from the results of an undisturbed process"
        )


def _without_clocks(content: Any) -> Any:
    if isinstance(content, dict):
        return {
            name: _without_clocks(value) for name, value in content.items() if name not in CLOCKS
        }
    return [_without_clocks(item) for item in content] if isinstance(content, list) else content
