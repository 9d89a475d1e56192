"""The whole on a GPU in one run with a time limit: tests, times of steps, training, evaluation.

    tools/gpu --cifar10 DIR --mnist DIR --out FOLDER       at most 9 minutes
    tools/gpu-evaluate RUN --cifar10 DIR --out FOLDER      the evaluation of a run only
    tools/gpu --smoke --out FOLDER                         a minute or two on a CPU, no data

The parts run one after the other, the most valuable first, each as a process of its own with a time
limit, so that a part that fails or is slow does not cost the others. Everything to keep is written
to the output folder ($OUT if it is set) while the parts run: summary.json, with the machine, the
commands, their times and the goals; summary.md, the same as a table; the output of each part; and
the folders of the runs, packed into files of less than 16 MB. If the run is killed, the same
command with the same folder goes on with the parts that are not finished; trainings are resumed.

DIR of CIFAR10 has the binary version, or cifar10-jpeg.npz: JPEG images, of which an accuracy is
reported as that of a JPEG copy.
"""

import argparse
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sense.devices import choose_device
from sense.runs import provenance

from .settings import ROOT

FILES = ("steps.json", "attack.json", "group.json")  # written by parts
PIECE = 15_000_000  # bytes of a file to keep
KEEP_EVERY = 20.0  # seconds between two copies of the runs
END = 8.0  # seconds for a part to end after SIGTERM
RESERVE = 10.0  # seconds of the whole that no part gets
LOG = 100_000  # bytes of the output of a part that are kept
COMMIT = "sense-commit.txt"  # written by tools/gpu-pack

NETWORKS = ("wrn-16-4", "resnet20", "small-cnn", "wrn-34-10", "capacity-4")
GOALS = {
    "sense/r-at": "SENSE step over R-AT step, at most 1",
    "mnist-fast seconds": "mnist-fast in at most 60 s",
    "mnist-fast accuracy": "mnist-fast under AutoAttack: 94.4 % not above the 95 % interval",
    "share wrn-16-4": "R-AT's share of the bfloat16 rate, at least 0.25",
    "share wrn-34-10": "R-AT's share of the bfloat16 rate, at least 0.45",
    "resnet20 ms": "R-AT step of ResNet-20 below 15 ms",
    "autoattack/bare": "AutoAttack over its bare passes, at most 1.5",
}


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


def pack(folder: Path, out: Path) -> None:
    """Write the files of a folder into numbered pieces of a tar file. Older pieces are replaced."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in (".lock", "checkpoint-previous.pt"):
                tar.add(path, f"{folder.name}/{path.relative_to(folder)}")
    data = content.getbuffer()
    pieces = {
        out / f"{folder.name}.tar.{number:02}": data[begin : begin + PIECE]
        for number, begin in enumerate(range(0, len(data), PIECE))
    }
    for piece, part in pieces.items():
        piece.with_suffix(".part").write_bytes(part)
        piece.with_suffix(".part").replace(piece)
    for old in set(out.glob(f"{folder.name}.tar.*")) - set(pieces):
        old.unlink()


def extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """Write a file of the archive into the folder. Links, and paths that lead out of it, are left
    out. (From Python 3.11.4 on, the filter "data" of `extractall` refuses them.)"""
    path = (folder / member.name).resolve()
    content = tar.extractfile(member) if member.isfile() else None
    if content is not None and path.is_relative_to(folder.resolve()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.read())


def unpack(out: Path, work: Path) -> None:
    """Restore the runs that were packed, unless they are there."""
    for first in out.glob("*.tar.00"):
        name = first.name.removesuffix(".tar.00")
        if not (work / name).exists():
            pieces = sorted(out.glob(f"{name}.tar.*"))
            data = io.BytesIO(b"".join(piece.read_bytes() for piece in pieces))
            with tarfile.open(fileobj=data) as tar:
                for member in tar:
                    extract(tar, member, work)


def cifar10_folder(folder: Path, work: Path) -> Path:
    """Return a folder with the binary version of CIFAR10, made from the JPEG copy if need be."""
    for found in (folder, folder / "cifar-10-batches-bin"):
        if (found / "test_batch.bin").exists():
            return found
    packed, made = folder / "cifar10-jpeg.npz", work / "cifar-10-batches-bin"
    if not packed.exists():
        raise FileNotFoundError(f"no test_batch.bin and no cifar10-jpeg.npz in {folder}")
    if not (made / "test_batch.bin").exists():
        made.mkdir(parents=True, exist_ok=True)
        with np.load(packed) as arrays:
            train, test = (records(arrays, part) for part in ("train", "test"))
        for number, rows in enumerate(np.split(train, 5), start=1):
            (made / f"data_batch_{number}.bin").write_bytes(rows.tobytes())
        names = words("airplane automobile bird cat deer dog frog horse ship truck")
        (made / "batches.meta.txt").write_text("\n".join(names) + "\n")
        (made / "test_batch.bin").write_bytes(test.tobytes())
    return made


def records(arrays: Any, part: str) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """The images of a part as rows of the binary version: the label, then the pixels."""
    from PIL import Image  # only for the JPEG copy

    jpeg, offsets = arrays[f"{part}_jpeg"], arrays[f"{part}_offsets"]
    rows = np.empty((len(offsets) - 1, 3073), np.uint8)
    rows[:, 0] = arrays[f"{part}_labels"]

    def decode(i: int) -> None:
        picture = Image.open(io.BytesIO(jpeg[offsets[i] : offsets[i + 1]].tobytes()))
        rows[i, 1:] = np.asarray(picture).transpose(2, 0, 1).reshape(-1)

    with ThreadPoolExecutor() as pool:
        list(pool.map(decode, range(len(rows)), chunksize=500))
    return rows


def parts(arguments: argparse.Namespace, cifar10: Path | None) -> list[Part]:
    """Return the parts, the most valuable first."""
    device = ["--device", arguments.device]
    small, python = arguments.smoke, sys.executable
    train, evaluate = [python, "-m", "sense.train"], [python, "-m", "sense.evaluate"]
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
        check = [*evaluate, "mnist-fast", *device, "--no-diagnostics"]
        check += words("--attacks pgd autoattack --cascade")
        check += words("--n 10 --steps 2 --restarts 1") if small else ["--n", "500"]
        if small:
            check.remove("autoattack")
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
    attacks = ["pgd", "autoattack"]
    if arguments.smoke:
        attack += words("--n 4 --attack pgd")
        attacks = ["pgd"]
    else:
        n = 1000 if arguments.run is not None else 200  # the rest of the time is for other parts
        attack += ["--n", str(n if arguments.n is None else arguments.n)]
    command = [sys.executable, "-m", "sense.evaluate", run, *device, *data, "--out", "evaluation"]
    command += ["--attacks", *attacks, "--cascade", "--no-diagnostics"]
    command += words("--n 10 --steps 2 --restarts 1") if arguments.smoke else ["--n", "1000"]
    return [
        Part("autoattack", attack, bare),
        Part("evaluation", command, whole, ("evaluation",)),
    ]


def words(text: str) -> list[str]:
    return text.split()


def read(path: Path) -> Any:
    """The content of a JSON file, None if there is none yet."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


def results(work: Path) -> dict[str, Any]:
    """What the parts have written: None for what is not there."""
    found: dict[str, Any] = {"steps": read(work / "steps.json")}
    found["autoattack"] = read(work / "attack.json")
    found["group"] = read(work / "group.json")
    for name in ("mnist-fast", "trained", "evaluation"):
        found[name] = describe_run(work / name)
    return found


def describe_run(folder: Path) -> dict[str, Any] | None:
    """Epochs, seconds and accuracies of a run or an evaluation."""
    config, evaluation = read(folder / "config.json"), read(folder / "evaluation.json")
    found: dict[str, Any] = {}
    if config is not None:
        metrics = folder / "metrics.jsonl"
        lines = metrics.read_text().splitlines() if metrics.exists() else []
        epochs = [json.loads(line) for line in lines]
        options = config["config"]
        found = {
            "epochs": [len(epochs), options["pretrain"] + options["epochs"]],
            "step_seconds": round(sum(epoch["seconds"] for epoch in epochs), 2),
            "last": epochs[-1] if epochs else None,
        }
    if evaluation is not None:
        found["finished"] = evaluation["finished"]
        found["accuracy"] = evaluation["accuracy"]
        found["seconds"] = {name: entry["seconds"] for name, entry in evaluation["attacks"].items()}
    return found or None


def goals(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Each goal with the measured value and whether it is met; None if it was not measured."""
    found, steps = summary["results"], summary["results"]["steps"] or {}
    networks = {
        name: entry
        for name, entry in steps.get("networks", {}).items()
        if entry.get("ms") is not None
    }
    rows: list[dict[str, Any]] = []

    def add(name: str, value: float | None, met: Callable[[float], bool], what: str = "") -> None:
        on_gpu = "gpu" in summary["provenance"]
        rows.append(
            {
                "goal": f"{GOALS[name]}{what}",
                "value": None if value is None else round(value, 4),
                "met": bool(met(value)) if value is not None and on_gpu else None,
            }
        )

    for name in NETWORKS if not summary["smoke"] else networks:
        entry = networks.get(name)
        value = best(entry, "sense") / best(entry, "r-at") if entry else None
        add("sense/r-at", value, lambda value: value <= 1, f": {name}")
    fast, parts_done = found["mnist-fast"], summary["parts"]
    complete = fast is not None and fast.get("epochs", [0, 1])[0] == fast["epochs"][1]
    seconds = parts_done.get("mnist-fast", {}).get("seconds") if complete else None
    add("mnist-fast seconds", seconds, lambda value: value <= 60)
    accuracy = (fast or {}).get("accuracy", {}).get("autoattack")
    upper = accuracy["upper"] if accuracy and fast.get("finished") else 0.0
    share = accuracy["k"] / accuracy["n"] if accuracy and fast.get("finished") else None
    add("mnist-fast accuracy", share, lambda value: upper >= 0.944)
    for name, least in (("wrn-16-4", 0.25), ("wrn-34-10", 0.45)):
        entry = networks.get(name)
        value = None
        if entry:
            value = entry["flops"] / (best(entry, "r-at") / 1000) / steps["matrix_rate"]
        add(f"share {name}", value, lambda value, least=least: value >= least)  # type: ignore[misc]
    entry = networks.get("resnet20")
    add("resnet20 ms", best(entry, "r-at") if entry else None, lambda value: value < 15)
    attack = found["autoattack"]
    whole = attack is not None and attack["attack"] == "autoattack"
    what = f": {attack['n']} images" if whole else ""
    add("autoattack/bare", attack["ratio"] if whole else None, lambda value: value <= 1.5, what)
    return rows


def best(entry: dict[str, Any], method: str) -> float:
    """Milliseconds of the fastest variant of a method."""
    return float(min(ms[0] for key, ms in entry["ms"].items() if key.startswith(f"{method},")))


def ratios(summary: dict[str, Any]) -> list[str]:
    """Rows of the table of variants: bfloat16 and graphs."""
    steps = summary["results"]["steps"] or {"networks": {}}
    rows = []
    for name, entry in steps["networks"].items():
        for method in ("r-at", "sense"):
            ms = {
                key.partition(", ")[2]: values[0]
                for key, values in entry.get("ms", {}).items()
                if key.startswith(f"{method},")
            }
            shown = ", ".join(f"{label} {value:g}" for label, value in ms.items())
            if shown:
                rows.append(f"| {name} | {method} | {shown} |")
    return rows


def table(summary: dict[str, Any]) -> str:
    """The summary as Markdown."""
    machine = summary["provenance"]
    verdicts = {None: "not measured on a GPU", True: "met", False: "not met"}
    lines = [
        f"# {machine.get('gpu', machine['machine'])}, torch {machine['torch']}",
        "",
        f"Commit {summary['commit']}, {machine['time']}.",
        "",
        "| goal | value | |",
        "|---|---|---|",
        *(
            f"| {row['goal']} | {'' if row['value'] is None else row['value']} | "
            f"{verdicts[row['met']]} |"
            for row in summary["goals"]
        ),
        "",
        "| part | status | seconds |",
        "|---|---|---|",
        *(
            f"| {name} | {entry['status']} | {entry['seconds']} |"
            for name, entry in summary["parts"].items()
        ),
        "",
        "| network | method | ms a step |",
        "|---|---|---|",
        *ratios(summary),
        "",
    ]
    return "\n".join(lines)


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
