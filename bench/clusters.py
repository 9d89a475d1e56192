"""Section clusters: the Three Clusters in R, compared with a loop that calls predict.glm()."""

import json
import shutil

from .report import Comparison, Section
from .settings import ROOT, Settings
from .timing import Times, run_process


def run(settings: Settings) -> Section:
    if not shutil.which("Rscript"):
        return Section("clusters", notes=("Rscript was not found.",))
    command = ["Rscript", str(ROOT / "bench/three_clusters.R"), str(settings.pick(1, 7))]
    command.append(str(settings.pick(20, 300)))
    found = json.loads(run_process(command, settings.environment).output.splitlines()[-1])
    times: Times = found["times"]
    return Section(
        "clusters",
        (
            Comparison(
                f"R-AT and SENSE-AT, n = {found['n']}, {found['iterations']} iterations, "
                f"{found['r']}",
                times,
                "package",
                same=dict.fromkeys(list(times)[1:], "the same coefficients"),
                notes=("CPU seconds.",),
            ),
        ),
    )
