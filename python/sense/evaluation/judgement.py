"""What an evaluation is worth: all signs that an attack failed where a network is not robust."""

import time
from dataclasses import dataclass
from typing import Any

from .signs import CHECKS, Case, Check


@dataclass(frozen=True)
class Judgement:
    """All signs, from the outcomes and from further passes over so many images."""

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


def judge(case: Case) -> Judgement:
    """Look for every sign. torch's random stream is used; the caller seeds it."""
    begin = time.perf_counter()
    checks = [check(case) for check in CHECKS] if len(case.x) else []
    return Judgement(len(case.x), time.perf_counter() - begin, tuple(checks))
