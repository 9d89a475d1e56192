"""The work on one cell: its commands, their log, and what happens if one crashes or is stopped."""

import os
import signal
import threading
import time

import pytest

from sense.folder_lock import FolderLock
from sense.sweep import State, run_cells, status_of, work
from sense.sweep.local import VISIBLE, LocalRunner, visible_gpus
from sense.sweep.log import LOGS, last_failure, log_path
from sense.sweep.state import claim_name
from sense.sweep.work import Outcome, Stop, Task, run_logged
from sweeps import cell
from waiting import wait_for

KILLED = "ended by SIGKILL, such as when the memory is full"


@pytest.fixture
def task(tmp_path):
    (tmp_path / LOGS).mkdir()
    return Task(cell(()), tmp_path, retries=1, runtime={"threads": 1}, cwd=tmp_path)


@pytest.fixture
def scripts(monkeypatch):
    """The commands of a cell are these Python scripts, one after the other."""

    def use(*texts):
        left = list(texts)
        original = work.next_command
        monkeypatch.setattr(
            work,
            "next_command",
            lambda *arguments: ["-c", left.pop(0)] if left else original(*arguments),
        )
        return left

    return use


def text(task):
    return log_path(task.out, task.cell.name).read_text()


def run(task, script, stop=lambda: Stop.NO):
    return run_logged(task, ["-c", script], stop)


def test_the_log_has_what_the_command_prints_and_how_it_ended(task):
    assert run(task, "print('hello')") == 0
    lines = text(task).splitlines()
    assert lines[0].endswith(" python -c print('hello')")
    assert lines[1] == "hello"
    assert lines[2].startswith("# 20")
    assert lines[2].endswith(" finished")
    assert last_failure(log_path(task.out, task.cell.name)) is None


@pytest.mark.parametrize(
    ("script", "code", "failure"),
    [
        ("import sys; sys.exit('no space')", 1, "no space (exit status 1)"),
        ("raise ValueError('a bug')", 1, "ValueError: a bug (exit status 1)"),
        ("import sys; sys.exit(3)", 3, "exit status 3"),
        ("print('│ no --x │\\n╰────╯'); exit(2)", 2, "no --x (exit status 2)"),
        ("import os; print('on', flush=True); os.kill(os.getpid(), 9)", -9, f"on ({KILLED})"),
    ],
)
def test_a_failure_is_the_last_line_and_how_it_ended(task, script, code, failure):
    run(task, "print('of an earlier command')")
    assert run(task, script) == code
    assert last_failure(log_path(task.out, task.cell.name)) == failure
    assert status_of(task.cell, task.out).failure == failure
    assert status_of(task.cell, task.out).state == State.FAILED
    run(task, "pass")
    assert status_of(task.cell, task.out).state == State.MISSING


def test_a_command_that_is_stopped_gets_a_signal_and_did_not_fail(task):
    script = "import signal; signal.signal(15, lambda *_: exit(143)); print('on', flush=True)\n"
    script += "while True: signal.pause()"

    def stop():
        return Stop.SAVE if "\non\n" in text(task) else Stop.NO

    assert run(task, script, stop) is None
    assert text(task).endswith(" stopped\n")
    assert status_of(task.cell, task.out).state == State.MISSING


def test_a_command_that_does_not_end_is_killed_if_it_must_be(task):
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True)\n"
    script += "time.sleep(600)"
    began = time.monotonic()

    def stop():
        if "\non\n" not in text(task):
            return Stop.NO
        return Stop.SAVE if time.monotonic() < began + 1 else Stop.KILL

    assert run(task, script, stop) is None
    assert time.monotonic() < began + 60


def test_an_interrupt_of_the_work_ends_its_command(task):
    script = "import signal; signal.signal(15, lambda *_: print('saved') or exit(143))\n"
    script += "print('on', flush=True)\nwhile True: signal.pause()"

    def interrupt():
        if "\non\n" in text(task):
            raise KeyboardInterrupt
        return Stop.NO

    with pytest.raises(KeyboardInterrupt):
        run(task, script, interrupt)
    assert text(task).splitlines()[-2] == "saved"
    assert text(task).endswith(" stopped\n")


def test_an_interrupt_of_a_sweep_stops_its_commands_and_is_raised(task, scripts):
    """As in a script of the user's own, which does not note signals."""
    script = "import signal; signal.signal(15, lambda *_: print('saved') or exit(143))\n"
    scripts(script + "print('on', flush=True)\nwhile True: signal.pause()")

    def stop():
        if log_path(task.out, task.cell.name).exists() and "\non\n" in text(task):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_cells([task.cell], task.out, workers=1, stop=stop)
    assert text(task).splitlines()[-2] == "saved"


def test_a_second_interrupt_kills_the_commands(task, scripts):
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print('on', flush=True)\n"
    scripts(script + "time.sleep(600)")

    def stop():
        if not (log_path(task.out, task.cell.name).exists() and "\non\n" in text(task)):
            return None
        threading.Timer(1, os.kill, [os.getpid(), signal.SIGINT]).start()
        return signal.SIGINT

    with pytest.raises(KeyboardInterrupt):
        run_cells([task.cell], task.out, workers=1, stop=stop)
    assert text(task).endswith(" stopped\n")


def test_a_command_uses_the_threads_and_the_folder_of_its_task(task):
    run(task, "import os, sense; print(os.environ['OMP_NUM_THREADS'], os.getcwd())")
    assert f"1 {task.cwd}" in text(task)


def test_a_command_that_crashes_is_started_again(task, scripts):
    left = scripts("import os; os.kill(os.getpid(), 9)")
    assert work.work(task) == Outcome("done")
    assert left == []
    assert status_of(task.cell, task.out).state == State.TRAINED
    assert KILLED in text(task)


def test_a_command_that_always_crashes_is_reported(task, scripts):
    left = scripts(*3 * ["import sys; sys.exit('no')"])
    assert work.work(task) == Outcome("failed", "no (exit status 1)")
    assert len(left) == 1


def test_an_error_of_the_input_is_not_tried_again(task, scripts):
    left = scripts(*3 * ["import sys; print('wrong'); sys.exit(2)"])
    assert work.work(task) == Outcome("failed", "wrong (exit status 2)")
    assert len(left) == 2


def test_a_command_that_does_nothing_is_not_repeated_for_ever(task, scripts):
    left = scripts("pass", "pass")
    assert work.work(task).reason == "its last command ended without an error, and did nothing"
    assert len(left) == 1


def test_a_cell_of_another_process_is_left_alone(task, scripts):
    scripts("raise AssertionError")
    claim = FolderLock(task.out / LOGS, claim_name(task.cell))
    assert work.work(task).kind == "in use"
    claim.release()
    (task.out / task.cell.name).mkdir()
    lock = FolderLock(task.out / task.cell.name)
    assert work.work(task).kind == "in use"
    lock.release()


def test_a_lock_that_a_killed_process_left_is_no_lock(task):
    (task.out / LOGS / claim_name(task.cell)).write_text("12345\n")
    assert status_of(task.cell, task.out).state == State.MISSING


def test_a_log_that_is_a_link_is_not_followed(task, tmp_path):
    log_path(task.out, task.cell.name).symlink_to(tmp_path / "elsewhere")
    outcome = work.work(task)
    assert outcome.kind == "failed"
    assert "is a link, not a regular file" in outcome.reason
    assert not (tmp_path / "elsewhere").exists()


def test_two_sweeps_at_once_share_the_cells(tmp_path, monkeypatch, scripts):
    """Each cell is trained once, by one of them."""
    cells = [cell((), method="nt", seed=seed) for seed in (1, 2)]
    failures = []

    def sweep():
        failures.append(run_cells(cells, tmp_path, workers=1).failed)

    threads = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [{}, {}]
    for one in cells:
        assert log_path(tmp_path, one.name).read_text().count("python -m sense.train") == 1
        assert status_of(one, tmp_path).state == State.TRAINED


def test_each_worker_has_its_gpu(task, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setenv(VISIBLE, "3,5")
    assert visible_gpus() == ["3", "5"]
    seen = []
    monkeypatch.setattr(
        "sense.sweep.local.work",
        lambda task, stop: seen.append(task.environment[VISIBLE]) or Outcome("done"),
    )
    runner = LocalRunner()
    assert runner.workers == 2
    runner.start([task, task])
    runner.close()
    assert set(seen) <= {"3", "5"}
    assert len(runner.ended(1)) == 2
    monkeypatch.delenv(VISIBLE)
    assert visible_gpus() == ["0", "1"]


def test_a_bug_in_the_work_is_a_failure_of_its_cell(task, monkeypatch):
    def broken(task, stop):
        raise RuntimeError("a bug")

    monkeypatch.setattr("sense.sweep.local.work", broken)
    runner = LocalRunner(1)
    runner.start([task])
    assert runner.ended(10) == [(task, Outcome("failed", "RuntimeError: a bug"))]
    runner.close()


def test_cores_are_divided_among_the_workers(monkeypatch):
    monkeypatch.setattr("sense.sweep.local.available_cores", lambda: 8)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    runners = [LocalRunner(workers) for workers in (None, 3, 20)]
    assert [(one.workers, one.threads) for one in runners] == [(8, 1), (3, 2), (20, 1)]


@pytest.mark.skipif(not work._ended_with_this_process(), reason="needs setpriv")
def test_a_command_ends_with_the_process_that_is_killed(start, tmp_path):
    """It gets SIGTERM, and so saves its checkpoint."""
    grid = tmp_path / "grid.toml"
    grid.write_text(
        "[options]\nepochs = 400\ntrain_size = 200\nmodel = 'capacity-1'\npretrain = 0\n"
        "precision = 'float32'\nmonitor_size = 16\n"
    )
    sweep = start("sense.sweep", grid, "--out", tmp_path / "runs")
    wait_for(lambda: list(tmp_path.glob("runs/*/metrics.jsonl")), seconds=150)
    sweep.send_signal(signal.SIGKILL)
    (log,) = tmp_path.glob("runs/logs/*.log")
    wait_for(lambda: "stopped; resume with --resume" in log.read_text(), seconds=150)
