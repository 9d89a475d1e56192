"""What an evaluation is worth: all signs that an attack failed where a network is not robust."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .attack_diagnostics import OF_ATTACK
from .case import Case, Check, skipped
from .diagnostics import OF_ACCURACY, OF_GRADIENT, OF_OUTPUT

CHECKS = (*OF_ACCURACY, *OF_OUTPUT, *OF_GRADIENT, *OF_ATTACK)


@dataclass(frozen=True)
class DiagnosticReport:
    """The results of all checks; `images` is the number of images used for extra passes."""

    images: int
    seconds: float
    checks: tuple[Check, ...]

    @property
    def warnings(self) -> list[Check]:
        return [check for check in self.checks if check.verdict == "warning"]

    def plain(self) -> dict[str, Any]:
        """What evaluation.json says of it."""
        return {
            "images": self.images,
            "seconds": round(self.seconds, 3),
            "checks": [check._asdict() for check in self.checks],
        }


def run_diagnostics(case: Case) -> DiagnosticReport:
    """Run every check. Uses torch's global random stream, so the caller seeds it."""
    begin = time.perf_counter()
    checks = tuple(_checks(case))
    return DiagnosticReport(len(case.where), time.perf_counter() - begin, checks)


def _checks(case: Case) -> Iterator[Check]:
    """A network that says one class of all images, or is right by chance alone, stands or falls for
    that reason, so that nothing is said of the attacks."""
    of_accuracy = [sign(case) for sign in OF_ACCURACY]
    yield from of_accuracy
    yield from (sign(case) for sign in OF_OUTPUT)
    useless = next((check for check in of_accuracy if check.verdict == "warning"), None)
    for sign in (*OF_GRADIENT, *OF_ATTACK):
        name = sign.__name__.replace("_", "-")
        if useless is not None:
            yield skipped(name, f"the network itself is at fault ({useless.check})")
        elif not len(case.where):
            yield skipped(name, "no image is naturally right")
        else:
            yield sign(case)
