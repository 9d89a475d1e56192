"""Section data: time to a first batch, arrays from R, R compared with the shell, peak memory."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from .report import Bar, Comparison, Figure, Section
from .settings import ROOT, Settings
from .timing import Contender, Spread, Times, alternate, ratio, run_process

GIB = 1024**3


def run(settings: Settings) -> Section:
    comparisons, figures, bars = [], [], []
    first, memory = first_batches(settings)
    comparisons.append(first)
    figures += memory
    if not settings.quick:
        figures_of_training, bars_of_training = training_memory(settings)
        figures += figures_of_training
        bars += bars_of_training
    notes = [
        "Every measurement is a new process; memory is the largest resident set size. Training is "
        "one process."
    ]
    if shutil.which("Rscript"):
        arrays = arrays_from_r(settings)
        both = r_and_shell(settings)
        comparisons += [arrays, both]
        bars += [
            Bar(
                "4",
                f"60,000 MNIST images from R to torch, {name}",
                1.0,
                Spread.of(arrays.times[f"tensor, {name}"]),
                unit=" s",
            )
            for name in ("whole numbers", "0 to 1")
            if not settings.quick
        ]
        bars.append(
            Bar(
                "4",
                "train_sense() in R / the same run by the shell, wall time",
                1.05,
                ratio(both.times, "R", "shell"),
            )
        )
    else:
        notes.append("Rscript was not found: the parts that need R were left out.")
    return Section("data", tuple(comparisons), tuple(figures), tuple(bars), tuple(notes))


def first_batches(settings: Settings) -> tuple[Comparison, list[Figure]]:
    """Return the time from the end of the imports to a first batch of 128, and the peak memory of
    these processes and of one that only imports the package."""
    folders: dict[str, list[str]] = {"nothing": [], "mnist-sample": []}
    if not settings.quick:
        folders["mnist"] = [str(settings.mnist)] if settings.mnist else []
        folders["cifar10"] = [str(settings.cifar10)] if settings.cifar10 else []
    memory: dict[str, int] = {}

    def contender(name: str) -> Contender:
        command = [sys.executable, "-m", "bench.first_batch", name, *folders[name]]

        def work() -> float:
            process = run_process(command, environment)
            memory[name] = max(memory.get(name, 0), process.memory)
            return float(process.output)

        return work

    environment = settings.environment
    environment["PYTHONPATH"] += f":{ROOT}"
    times = alternate({name: contender(name) for name in folders}, settings.pick(1, 5))
    del times["nothing"]
    shown = [
        Figure(f"peak memory to the first batch, {name}", size / GIB, "GiB")
        for name, size in memory.items()
    ]
    return Comparison("From files to the first batch", times, "mnist-sample"), shown


def training_memory(settings: Settings) -> tuple[list[Figure], list[Bar]]:
    """Return the peak memory of training by the recipes mnist and cifar10-cnn. All images are
    loaded and 1,280 of them are used, because all steps need the same memory."""
    short = ["--pretrain", "1", "--epochs", "1", "--train-size", "1280"]
    figures, bars = [], []
    for name, folder, model, limit in (
        ("mnist", settings.mnist, "small-cnn", 1.0),
        ("cifar10-cnn", settings.cifar10, "cifar-cnn-2", 1.5),
    ):
        where = ["--data-dir", str(folder)] if folder else []
        with tempfile.TemporaryDirectory() as out:
            process = run_process(
                [sys.executable, "-m", "sense.train", name, *where, *short, "--out", out],
                settings.environment,
            )
        size = process.memory / GIB
        figures.append(Figure(f"peak memory of training, {name}", size, "GiB"))
        bars.append(
            Bar(
                "5",
                f"peak memory of training {model}, recipe {name}",
                limit,
                Spread(size, size, size),
                unit=" GiB",
            )
        )
    return figures, bars


def arrays_from_r(settings: Settings) -> Comparison:
    """Return the times of bench/images.R."""
    command = ["Rscript", str(ROOT / "bench/images.R")]
    command += [str(settings.pick(1, 5)), str(settings.pick(60, 60_000))]
    times: Times = json.loads(run_process(command, settings.environment).output.splitlines()[-1])
    return Comparison(
        f"{settings.pick(60, 60_000)} images of 28 x 28 from an R array",
        times,
        "tensor, whole numbers",
        same=dict.fromkeys(times, "pixels compared"),
    )


def r_and_shell(settings: Settings) -> Comparison:
    """Compare the demo's training from R and from the shell: whole processes."""
    options = {"threads": settings.threads}
    if settings.quick:
        options |= {"epochs": 1, "train_size": 200, "steps": 2, "monitor_size": 16}
    with tempfile.TemporaryDirectory() as folder:
        outs = {name: Path(folder) / name for name in ("shell", "R")}
        set_in_control = ("threads", "monitor_size")
        arguments = [f"{k} = {v}" for k, v in options.items() if k not in set_in_control]
        control = ", ".join(f"{k} = {v}" for k, v in options.items() if k in set_in_control)
        arguments.append(
            f"control = sense::sense_control(out = '{outs['R']}', {control}, quiet = TRUE)"
        )
        code = f"invisible(sense::train_sense({', '.join(arguments)}))"
        flags = [part for k, v in options.items() for part in (f"--{k.replace('_', '-')}", str(v))]
        commands = {
            "shell": [sys.executable, "-m", "sense.train", *flags, "--out", str(outs["shell"])],
            "R": ["Rscript", "-e", code],
        }
        kept: dict[str, bytes] = {}

        def contender(name: str) -> Contender:
            def work() -> float:
                seconds = run_process(commands[name], settings.environment).seconds
                kept[name] = (outs[name] / "model.safetensors").read_bytes()
                shutil.rmtree(outs[name])
                return seconds

            return work

        times = alternate(
            {name: contender(name) for name in commands}, settings.pick(1, 3), warm_up=False
        )
    if kept["R"] != kept["shell"]:
        raise ArithmeticError("R and the shell trained different weights: this is not the same run")
    return Comparison(
        f"Recipe mnist-demo with {options}",
        times,
        "shell",
        same={"R": "the same weights, bit for bit"},
    )
