"""The whole on a GPU in one run with a time limit: tests, times of steps, training, evaluation.

    tools/gpu --cifar10 DIR --mnist DIR --out FOLDER       at most 9 minutes
    tools/gpu-evaluate RUN --cifar10 DIR --out FOLDER      the evaluation of a run only
    tools/gpu --smoke --out FOLDER                         a minute or two on a CPU, no data

The parts run one after the other, the most valuable first, each as a process of its own with a time
limit, so that a part that fails or is slow does not cost the others. Everything to keep is written
to the output folder ($OUT if it is set) while the parts run: summary.json, with the machine, the
commands, their times and the goals; summary.md, the same as a table; the output of each part; and
the folders of the runs, packed into files of less than 16 MB. If the run is killed, the same
command with the same folder runs the parts that are not finished; trainings are resumed.

DIR of CIFAR10 has the binary version, or cifar10-jpeg.npz: JPEG images, of which an accuracy is
reported as that of a JPEG copy.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sense.devices import choose_device
from sense.runs import provenance

from .gpu_files import cifar10_folder, pack, unpack
from .gpu_summary import NETWORKS, goals, read, results, table
from .settings import ROOT

FILES = ("steps.json", "attack.json", "group.json")  # written by parts
KEEP_EVERY = 20.0  # seconds between two copies of the runs
END = 8.0  # seconds for a part to end after SIGTERM
RESERVE = 10.0  # seconds of the whole that no part gets
LOG = 100_000  # bytes of the output of a part that are kept
COMMIT = "sense-commit.txt"  # written by tools/gpu-pack


@dataclass(frozen=True)
class Part:
    """A process of the whole. `limit`: seconds; `runs`: the folders that it makes, in the working
    folder; `resume`: the command if the first of them exists."""

    name: str
    command: list[str]
    limit: float
    runs: tuple[str, ...] = ()
    resume: list[str] | None = None


@dataclass
class Whole:
    """A run of all parts, and what it has found so far."""

    out: Path
    work: Path
    deadline: float
    summary: dict[str, Any] = field(default_factory=dict)
    child: subprocess.Popen[bytes] | None = None
    stopped: int | None = None

    def note_signal(self, number: int, frame: object) -> None:
        self.stopped = number
        if self.child is not None:
            self.child.terminate()

    def run(self, part: Part) -> None:
        """Run a part that is not finished, within its limit and that of the whole."""
        done = self.summary["parts"].get(part.name, {})
        limit = min(part.limit, self.deadline - time.monotonic() - RESERVE)
        if done.get("status") == "finished" or self.stopped is not None:
            return
        if limit < 5:
            self.record(part, "no time", 0.0, part.command)
            return
        first = self.work / part.runs[0] if part.runs else None
        begun = first is not None and (first / "checkpoint.pt").exists()
        command = part.resume if begun and part.resume else part.command
        if first is not None and part.resume and not begun and first.exists():
            shutil.rmtree(first)  # it was killed before its first checkpoint
        began = time.monotonic()
        log = self.work / f"{part.name}.log"
        with log.open("wb") as output:
            self.child = subprocess.Popen(
                command, cwd=self.work, stdout=output, stderr=output, env=environment()
            )
            status = self.wait(self.child, part, began + limit)
        self.child = None
        (self.out / log.name).write_bytes(log.read_bytes()[-LOG:])
        self.keep(part)
        self.record(part, status, time.monotonic() - began, command)

    def wait(self, child: "subprocess.Popen[bytes]", part: Part, end: float) -> str:
        """Return how the process ended; it is stopped at the end of its time."""
        kept = time.monotonic()
        while child.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
            if time.monotonic() > kept + KEEP_EVERY:
                self.keep(part)
                kept = time.monotonic()
        if child.poll() is not None:
            if self.stopped is not None:
                return "stopped"
            return "finished" if child.returncode == 0 else f"failed ({child.returncode})"
        child.terminate()
        try:
            child.wait(END)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        return "time over"

    def keep(self, part: Part) -> None:
        """Pack the runs of a part into the output folder."""
        for name in part.runs:
            if (self.work / name).is_dir():
                pack(self.work / name, self.out)

    def record(self, part: Part, status: str, seconds: float, command: Sequence[str]) -> None:
        entry = {
            "status": status,
            "seconds": round(seconds, 1),
            "limit": part.limit,
            "command": [Path(command[0]).name, *self.public(command[1:])],
        }
        self.summary["parts"][part.name] = entry
        self.save()
        print(f"{part.name}: {status}, {seconds:.0f} s", flush=True)

    def public(self, command: Sequence[str]) -> list[str]:
        """The words of a command without the folders of this machine."""
        return [
            Path(word).name if os.sep in word and Path(word).exists() else word for word in command
        ]

    def save(self) -> None:
        """Write the summary as it is now."""
        self.summary["results"] = results(self.work)
        self.summary["goals"] = goals(self.summary)
        text = json.dumps(self.summary, indent=2) + "\n"
        partial = self.out / "summary.json.part"
        partial.write_text(text)
        partial.replace(self.out / "summary.json")
        (self.out / "summary.md").write_text(table(self.summary))


def environment() -> dict[str, str]:
    """The environment of a part: this checkout's packages, and its own."""
    paths = [str(ROOT / "python"), str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "NO_COLOR": "1"}


def parts(arguments: argparse.Namespace, cifar10: Path | None) -> list[Part]:
    """Return the parts, the most valuable first."""
    device = ["--device", arguments.device]
    small, python = arguments.smoke, sys.executable
    train = [python, "-m", "sense.train"]
    if arguments.run is not None:
        return evaluation_parts(str(arguments.run.resolve()), arguments, cifar10, 260, 260)

    tests = ["test_cuda.py", "test_batch_size.py"]
    pytest = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    pytest += [str(ROOT / "tests/python" / test) for test in tests]
    steps = [python, "-m", "bench.gpu_steps", "--out", "steps.json", *device]
    if small:
        pytest += ["-k", "margin or name_of_the_gpu"]
        steps += words("--networks resnet20 capacity-1 --batch 8 --size 28 --steps 2 --rounds 1")
        steps += words("--first 0 --matrix 256 --variants float32 bfloat16")
    else:
        steps += ["--networks", *NETWORKS, "--seconds", "110"]

    fast = [*train, "mnist-fast", *device, "--out", "mnist-fast"]
    if small:
        fast += words("--dataset mnist-sample --train-size 200 --epochs 1 --monitor-size 16")
    elif arguments.mnist is not None:
        fast += ["--data-dir", str(arguments.mnist.resolve()), *arguments.mnist_options]
    resume = [*train, *device, "--resume"]
    found = [
        Part("tests", pytest, 75),
        Part("steps", steps, 150),
    ]
    if small or arguments.mnist is not None:
        check = evaluation("mnist-fast", arguments, 500)
        found += [
            Part("mnist-fast", fast, 90, ("mnist-fast",), [*resume, "mnist-fast"]),
            Part("mnist-fast-evaluation", check, 45, ("mnist-fast",)),
        ]
    if small or cifar10 is not None:
        minutes = "0.5" if small else "1.6"
        run = [*train, "cifar10-demo", *device, "--minutes", minutes, "--out", "trained"]
        if small:
            run = [*train, "mnist-demo", *device, "--minutes", minutes, "--out", "trained"]
            run += words("--train-size 200 --monitor-size 16 --model capacity-1")
        else:
            run += ["--data-dir", str(cifar10), "--model", "wrn-16-4", "--train-size", "50000"]
            run += words("--augment reflect --batch-size 256 --precision bfloat16 --lr 0.1")
            run += words("--weight-decay 0.0005 --pretrain 1 --method r-at")
        found.append(Part("training", run, 115, ("trained",), [*resume, "trained"]))
        found += evaluation_parts("trained", arguments, cifar10, 100, 90)
    group = [python, "-m", "bench.gpu_group", "--out", "group.json", *device]
    if small:
        group += ["--train-size", "200"]
    bench = [python, "-m", "bench.accelerator", "--out", "bench", *device]
    bench += ["--quick"] if small else words("--models resnet20 --rounds 5")
    return [*found, Part("group", group, 45), Part("bench", bench, 90, ("bench",))]


def evaluation_parts(
    run: str, arguments: argparse.Namespace, cifar10: Path | None, bare: float, whole: float
) -> list[Part]:
    """AutoAttack beside its bare passes, and a stored evaluation that is resumed."""
    device = ["--device", arguments.device]
    data = [] if cifar10 is None or arguments.smoke else ["--data-dir", str(cifar10)]
    attack = [sys.executable, "-m", "bench.gpu_attack", run, "--out", "attack.json", *device, *data]
    if arguments.smoke:
        attack += words("--n 4 --attack pgd")
    else:
        n = 1000 if arguments.run is not None else 200  # the rest of the time is for other parts
        attack += ["--n", str(n if arguments.n is None else arguments.n)]
    command = [*evaluation(run, arguments, 1000), *data, "--out", "evaluation"]
    return [
        Part("autoattack", attack, bare),
        Part("evaluation", command, whole, ("evaluation",)),
    ]


def evaluation(run: str, arguments: argparse.Namespace, n: int) -> list[str]:
    """The command that attacks n test images by PGD and AutoAttack; in a smoke run few, by PGD."""
    command = [sys.executable, "-m", "sense.evaluate", run, "--device", arguments.device]
    command += words("--cascade --no-diagnostics --attacks pgd")
    small = words("--n 10 --steps 2 --restarts 1")
    return [*command, *(small if arguments.smoke else ["autoattack", "--n", str(n)])]


def words(text: str) -> list[str]:
    return text.split()


def commit(found: str | None) -> str | None:
    """The commit of this checkout, or the one that was packed with the packages."""
    packed = [Path(folder) / COMMIT for folder in sys.path]
    return found or next((path.read_text().strip() for path in packed if path.exists()), None)


def main(argv: list[str] | None = None) -> None:
    arguments = parse(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.work.mkdir(parents=True, exist_ok=True)
    arguments.out, arguments.work = arguments.out.resolve(), arguments.work.resolve()
    unpack(arguments.out, arguments.work)
    for name in FILES:
        if (arguments.out / name).exists() and not (arguments.work / name).exists():
            shutil.copy(arguments.out / name, arguments.work)
    whole = Whole(arguments.out, arguments.work, time.monotonic() + 60 * arguments.minutes)
    before = read(arguments.out / "summary.json") or {}
    device = choose_device(arguments.device)
    arguments.device = str(device)
    given = [word for word in (sys.argv[1:] if argv is None else argv) if os.sep not in word]
    found = provenance(shlex.join(["tools/gpu", *given]), device)  # without folders
    whole.summary = {
        "commit": commit(found["commit"]),
        "provenance": found,
        "smoke": arguments.smoke,
        "minutes": arguments.minutes,
        "parts": before.get("parts", {}),
        "notes": [],
    }
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, whole.note_signal)
    cifar10 = None
    if arguments.cifar10 is not None:
        try:
            cifar10 = cifar10_folder(arguments.cifar10, arguments.work)
        except (ImportError, OSError, ValueError, KeyError) as error:
            whole.summary["notes"].append(f"CIFAR10 is left out: {error}")
            print(whole.summary["notes"][-1], flush=True)
    whole.save()
    for part in parts(arguments, cifar10):
        whole.run(part)
        for name in FILES:
            if (arguments.work / name).exists():
                shutil.copy(arguments.work / name, arguments.out)
    whole.save()
    print(table(whole.summary))
    if whole.stopped is not None:
        sys.exit(128 + whole.stopped)


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tools/gpu", description=str(__doc__).splitlines()[0])
    parser.add_argument("run", type=Path, nargs="?", help="folder of a run: evaluate it, no more")
    parser.add_argument("--cifar10", type=Path, help="folder with CIFAR10, or with its JPEG copy")
    parser.add_argument("--mnist", type=Path, help="folder with the four IDX files of MNIST")
    parser.add_argument(
        "--mnist-options",
        nargs="+",
        default=[],
        help="further options of mnist-fast, with = : --mnist-options=--batch-size=256",
    )
    parser.add_argument("--out", type=Path, help="folder of the results; default: $OUT")
    parser.add_argument(
        "--work", type=Path, default=ROOT / ".setup/gpu", help="folder of data and runs"
    )
    parser.add_argument("--minutes", type=float, default=9.0, help="time limit of the whole")
    parser.add_argument(
        "--n",
        type=int,
        help="images under AutoAttack beside its bare passes; default: 1000 for a run, else 200",
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--smoke", action="store_true", help="small enough for a CPU, without data")
    arguments = parser.parse_args(argv)
    if arguments.out is None:
        if not os.environ.get("OUT"):
            parser.error("set --out, or the variable OUT")
        arguments.out = Path(os.environ["OUT"])
    return arguments


if __name__ == "__main__":
    main()
