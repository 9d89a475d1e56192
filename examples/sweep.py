"""Several methods and seeds, each in a run folder of its own, evaluated on the same images.

Finished runs are skipped and a run that was cut off is resumed: start the script again with the
same folder after an interruption. The table has means and standard deviations over seeds.
"""

import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path

import sense

folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
# Small enough for seconds: leave out train_size, batch_size and epochs for a real study.
small = replace(
    sense.recipe("mnist-demo"), train_size=1000, batch_size=25, epochs=3, eps=0.1, step_size=0.02
)

runs = []
for method, seed in product(["nt", "sense"], [1, 2]):
    run = folder / f"{method}-{seed}"
    sense.fit(replace(small, method=method, seed=seed), run, resume=run.exists())
    runs.append(str(run))

attack = ["--attacks", "pgd", "--steps", "10", "--restarts", "1", "--n", "100"]
subprocess.run([sys.executable, "-m", "sense.evaluate", *runs, *attack], check=True)
