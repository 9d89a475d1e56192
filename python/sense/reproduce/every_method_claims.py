"""Claims about the experiments of `every_method_plans`; most are not in the paper."""

from collections.abc import Sequence

from .cifar10_claims import Judge, by_c
from .table import Row
from .verdicts import Claim, Finding, choose, higher, network_name, open_finding


def _against(attack: str, first: dict[str, object], second: dict[str, object]) -> Judge:
    def judge(rows: Sequence[Row]) -> Finding:
        epochs = min((row.epochs for row in choose(rows, method="nt")), default=None)
        found = choose(rows, attack=attack, **({} if epochs is None else {"epochs": epochs}))
        names = (network_name(first), network_name(second))
        return higher(choose(found, **first), choose(found, **second), names)

    return judge


_SENSE: dict[str, object] = {"method": "sense", "c": 0.5, "boundary": "revert"}
_FAST: dict[str, object] = {"method": "sense", "c": 0.3, "boundary": "bisect"}
_BISECT: dict[str, object] = {"method": "sense", "c": 0.5, "boundary": "bisect"}


def _more_with_epochs(rows: Sequence[Row]) -> Finding:
    """SENSE-AT under AutoAttack, with the most epochs against the fewest."""
    found = choose(rows, attack="autoattack", **_SENSE)
    epochs = sorted({row.epochs for row in found})
    if len(epochs) < 2:
        return open_finding("one number of epochs only")
    names = (f"{epochs[-1]} epochs", f"{epochs[0]} epochs")
    return higher(choose(found, epochs=epochs[-1]), choose(found, epochs=epochs[0]), names)


def _more_natural(id: str, method: str, name: str) -> Claim:
    return Claim(
        id,
        f"SENSE-AT (c = 0.5) has a higher natural accuracy than {name}",
        "abstract, section 5",
        _against("natural", _SENSE, {"method": method}),
    )


# Also of the residual network.
_ACCURACY_FOR_ROBUSTNESS = (
    _more_natural("natural", "r-at", "R-AT"),
    Claim(
        "robust",
        "R-AT is more robust than SENSE-AT (c = 0.5) under AutoAttack",
        "not in the paper",
        _against("autoattack", {"method": "r-at"}, _SENSE),
    ),
)

CIFAR10_CLAIMS = (
    *_ACCURACY_FOR_ROBUSTNESS,
    Claim(
        "bisection",
        "SENSE-AT with bisection is more robust under AutoAttack than with reversion (c = 0.5)",
        "not in the paper",
        _against("autoattack", _BISECT, _SENSE),
    ),
    Claim(
        "c",
        "SENSE-AT is more robust under AutoAttack with c = 0.3 than with c = 0.7",
        "section 5.3.2",
        by_c("autoattack", 0.7, 0.3),
    ),
    Claim(
        "budget",
        "SENSE-AT (c = 0.5) becomes more robust under AutoAttack with more epochs",
        "not in the paper",
        _more_with_epochs,
    ),
)

CIFAR10_WRN_CLAIMS = (*_ACCURACY_FOR_ROBUSTNESS, _more_natural("trades", "trades", "TRADES"))

CIFAR10_FAST_CLAIMS = (
    Claim(
        "natural",
        "SENSE-AT (c = 0.3, bisection) has a higher natural accuracy than R-AT in the same time",
        "not in the paper",
        _against("natural", _FAST, {"method": "r-at"}),
    ),
    Claim(
        "robust",
        "R-AT is more robust than SENSE-AT (c = 0.3, bisection) under AutoAttack in the same time",
        "not in the paper",
        _against("autoattack", {"method": "r-at"}, _FAST),
    ),
    Claim(
        "trades",
        "TRADES is more robust than R-AT under AutoAttack in the same time",
        "not in the paper",
        _against("autoattack", {"method": "trades"}, {"method": "r-at"}),
    ),
)
