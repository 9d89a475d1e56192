"""Several methods and seeds, each in a run folder of its own, evaluated on the same images.

What is done is skipped and a run that was cut off is resumed: start the script again with the same
folder after an interruption. The table has means and standard deviations over seeds.
"""

import sys
import tempfile
from itertools import groupby
from statistics import mean, stdev

from sense.sweep import accuracies, grid_cells, run_cells

folder = sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp()
# The content of a file GRID.toml of python -m sense.sweep. Small enough for seconds: leave out
# train_size, batch_size and epochs for a real study.
cells = grid_cells(
    {
        "recipe": "mnist-demo",
        "options": {
            "train_size": 1000,
            "batch_size": 25,
            "epochs": 3,
            "eps": 0.1,
            "step_size": 0.02,
        },
        "grid": {"method": ["nt", "sense"], "seed": [1, 2]},
        "evaluation": {"attacks": ["pgd"], "steps": 10, "restarts": 1, "n": 100},
    }
)

summary = run_cells(cells, folder, show=True)
print(summary)


def method_and_attack(row):
    return row["method"], row["attack_label"]


rows = sorted(accuracies(folder, cells), key=method_and_attack)
for (method, attack), seeds in groupby(rows, method_and_attack):
    percent = [100 * row["accuracy"] for row in seeds]
    spread = f"{stdev(percent):.1f} (sd of {len(percent)} seeds)"
    print(f"{method:6} {attack:22} {mean(percent):5.1f} % +- {spread}")
