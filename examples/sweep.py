"""Several methods and seeds, each in a run folder of its own, and one table of all of them.

Finished runs are skipped: start the script again after an interruption.
"""

import sys
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import sense
from sense.evaluation.summary import read_evaluation

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
# Small enough for seconds: leave out train_size and epochs for a real study.
small = replace(sense.recipe("mnist-demo"), model="capacity-1", train_size=500, epochs=2)

for method, seed in product(["nt", "r-at", "sense"], [1, 2]):
    run = folder / f"{method}-{seed}"
    if not (run / "evaluation.json").exists():
        sense.fit(replace(small, method=method, seed=seed), run, resume=run.exists())
        sense.evaluate(run, attacks=["pgd"], steps=10, restarts=1, n=200)
    print(run.name, read_evaluation(run))
