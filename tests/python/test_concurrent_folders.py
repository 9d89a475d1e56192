"""Several processes are started in one folder: one works, the others are rejected."""

import multiprocessing
import os
from dataclasses import replace

import pytest
import torch

from processes import context
from sense.checkpoint import load_weights
from sense.config import Config
from sense.data import ImageData
from sense.errors import TakenError
from sense.evaluation.outcomes import OUTCOMES
from sense.evaluation.settings import Settings
from sense.evaluation.stored_evaluation import evaluate_run
from sense.run_folder import RunFolder
from sense.runs import read_run
from sense.seal import seal_folder
from sense.train import TrainingStopped, fit
from test_resume import outcome

TINY = Config(
    dataset="arrays",
    model="capacity-1",
    method="nt",
    pretrain=0,
    epochs=2,
    monitor_size=2,
    batch_size=10,
    lr=0.1,
    eps=0.1,
    threads=1,
    device="cpu",
)
QUICK = Settings(attacks=("fgsm", "pgd"), steps=2, restarts=1, n=20, batch=10, diagnostics=False)
PATIENCE = 120


def images():
    generator = torch.Generator().manual_seed(5)
    x = torch.randint(0, 256, (60, 1, 28, 28), generator=generator, dtype=torch.uint8)
    y = torch.arange(60) % 10
    return ImageData(
        name="drawn",
        train_x=x[:40],
        train_y=y[:40],
        test_x=x[40:],
        test_y=y[40:],
        classes=tuple("0123456789"),
    )


# What each process does. Whoever has the folder goes on when all others have tried.


def train(folder, seed, meet):
    out = RunFolder(folder, numbered=folder.name == "numbered")
    fit(replace(TINY, seed=seed), out, data=images(), on_epoch=lambda line: meet())
    return out.path


def resume(folder, seed, meet):
    fit(TINY, folder, data=images(), resume=True, on_epoch=lambda line: meet())
    return folder


def evaluate(folder, seed, meet):
    evaluate_run(folder, QUICK, data=images(), on_line=lambda line: meet())
    return folder


def evaluate_and_resume(folder, seed, meet):
    return (evaluate if seed % 2 else resume)(folder, seed, meet)


def process(work, folder, seed, start, tried, answers):
    torch.set_num_threads(1)
    met = []

    def meet():
        if not met:
            met.append(tried.wait(PATIENCE))

    start.wait(PATIENCE)
    try:
        answers.put((seed, str(work(folder, seed, meet))))
    except TakenError as error:
        meet()
        answers.put((seed, error))


@pytest.fixture
def together():
    def together(work, folder, size):
        mp = context()
        start, tried, answers = mp.Barrier(size), mp.Barrier(size), mp.Queue()
        started = [
            mp.Process(target=process, args=(work, folder, seed, start, tried, answers))
            for seed in range(size)
        ]
        for one in started:
            one.start()
        found = dict(answers.get(timeout=PATIENCE) for _ in started)
        for one in started:
            one.join()
        won = {seed: run for seed, run in found.items() if isinstance(run, str)}
        refused = [error for error in found.values() if not isinstance(error, str)]
        return won, [str(message) for message in refused]

    return together


def alone(tmp_path, seed):
    folder = tmp_path / f"alone-{seed}"
    fit(replace(TINY, seed=seed), folder, data=images())
    return folder


def test_one_of_eight_runs_in_one_folder_is_trained(together, tmp_path):
    won, refused = together(train, tmp_path / "run", 8)
    ((seed, folder),) = won.items()
    assert len(refused) == 7
    assert all(
        "is in use by process" in message or "holds a run already" in message for message in refused
    )
    assert read_run(tmp_path / "run")[0].seed == seed
    assert outcome(tmp_path / "run") == outcome(alone(tmp_path, seed))
    assert not list((tmp_path / "run").glob(".*"))
    assert folder == str(tmp_path / "run")


def test_eight_runs_without_a_folder_name_get_eight_folders(together, tmp_path):
    won, refused = together(train, tmp_path / "numbered", 8)
    assert refused == []
    assert {os.path.basename(folder) for folder in won.values()} == {
        "numbered",
        *(f"numbered-{i}" for i in range(2, 9)),
    }
    weights = {}
    for seed, folder in won.items():
        assert read_run(tmp_path / folder)[0].seed == seed
        weights[seed] = load_weights(tmp_path / folder)
    expected = load_weights(alone(tmp_path, 3))
    assert all(torch.equal(weights[3][name], value) for name, value in expected.items())


@pytest.mark.parametrize("work", [resume, evaluate_and_resume])
def test_one_process_resumes_or_evaluates_a_folder(together, tmp_path, work):
    folder = tmp_path / "run"
    whole = alone(tmp_path, TINY.seed)
    evaluate_run(whole, QUICK, data=images())
    with pytest.raises(TrainingStopped):
        fit(TINY, folder, data=images(), stop=lambda: 2)
    won, refused = together(work, folder, 4)
    assert len(won) == 1
    assert len(refused) == 3
    assert all("is in use by process" in message for message in refused)
    fit(TINY, folder, data=images(), resume=True)
    evaluate_run(folder, QUICK, data=images(), overwrite=True)
    assert (folder / OUTCOMES).read_bytes() == (whole / OUTCOMES).read_bytes()
    assert outcome(folder) == outcome(whole)
    RunFolder(folder).check()


def test_a_run_in_use_is_neither_sealed_nor_replaced(tmp_path):
    def while_it_runs(line):
        for act in (
            lambda: seal_folder(tmp_path),
            lambda: resume(tmp_path, 0, None),
            lambda: evaluate(tmp_path, 0, None),
        ):
            with pytest.raises(TakenError, match=f"is in use by process {os.getpid()}"):
                act()

    fit(replace(TINY, epochs=1), tmp_path, data=images(), on_epoch=while_it_runs)
    assert multiprocessing.active_children() == []
