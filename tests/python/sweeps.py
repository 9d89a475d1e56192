"""Small sweeps for the tests: cells that take a second, and a runner in this process."""

import contextlib
import os

from sense.cli import evaluate_main, train_main
from sense.files import appended_file
from sense.sweep import Cell, work
from sense.sweep.log import FAILED, log_path, write_line
from sense.sweep.work import Stop

OPTIONS = {
    "model": "capacity-1",
    "train_size": 200,
    "pretrain": 0,
    "epochs": 2,
    "monitor_size": 16,
    "device": "cpu",
    "threads": 1,
    "precision": "float32",
}
EVALUATION = {"attacks": ["fgsm"], "n": 40, "diagnostics": False}


def cell(evaluations=(EVALUATION,), **options):
    return Cell("mnist-demo", {**OPTIONS, **options}, evaluations)


class InThisProcess:
    """A runner that works on one cell after the other, without starting a process. `commands` are
    those that it ran."""

    workers = threads = 1

    def __init__(self, monkeypatch):
        self.commands, self._ended, self._stop = [], [], Stop.NO
        monkeypatch.setattr(work, "run_logged", self._run)

    def start(self, tasks):
        self._ended += [(task, work.work(task, lambda: self._stop)) for task in tasks]

    def ended(self, seconds):
        found, self._ended = self._ended, []
        return found

    def stop(self, how):
        self._stop = how

    def close(self):
        pass

    def _run(self, task, words, stop):
        self.commands.append(words)
        main = {"sense.train": train_main, "sense.evaluate": evaluate_main}[words[1]]
        with appended_file(log_path(task.out, task.cell.name)) as log:
            write_line(log, " ".join(words))
            code = 0
            with (
                os.fdopen(os.dup(log), "w") as text,
                contextlib.redirect_stdout(text),
                contextlib.redirect_stderr(text),
            ):
                try:
                    main(words[2:])
                except SystemExit as end:
                    code = end.code
            write_line(log, f"{FAILED}exit status {code}" if code else "finished")
        return code
