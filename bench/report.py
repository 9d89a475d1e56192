"""Results of a section: comparisons, figures and bars; as JSON and as Markdown."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .timing import Spread, Times, ratio


@dataclass(frozen=True)
class Comparison:
    """Times of contenders that ran in turn.

    Attributes
    ----------
    times
        Seconds of each contender in each round.
    baseline
        The contender that the others are divided by.
    scale, unit
        Factor by which seconds are multiplied for display, and the resulting unit.
    same
        For a contender: how it was checked that it computes the same as the first.
    """

    title: str
    times: Times
    baseline: str
    scale: float = 1.0
    unit: str = "s"
    same: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        rows = [
            f"| | {self.unit} | / {self.baseline} | checked |",
            "|---|---|---|---|",
        ]
        for name, seconds in self.times.items():
            ours, beside = Spread.of(seconds), ratio(self.times, name, self.baseline)
            rows.append(
                f"| {name} | {show(self.scale * ours.median)} | {show_spread(beside)} | "
                f"{self.same.get(name, '')} |"
            )
        rounds = len(self.times[self.baseline])
        title = f"**{self.title}** ({rounds} {'round' if rounds == 1 else 'rounds'})"
        return "\n".join([title, "", *rows, "", *(f"{note}  " for note in self.notes)]).rstrip()


@dataclass(frozen=True)
class Figure:
    """A measured number with its unit."""

    what: str
    value: float
    unit: str


@dataclass(frozen=True)
class Bar:
    """A limit for a measured number. With a reason in `unjudged`, the number is shown but not
    compared with the limit."""

    name: str
    what: str
    limit: float
    value: Spread
    at_most: bool = True
    unit: str = ""
    unjudged: str = ""

    @property
    def met(self) -> bool | None:
        if self.unjudged:
            return None
        value = self.value.median
        return value <= self.limit if self.at_most else value >= self.limit

    def row(self) -> str:
        verdict = {True: "yes", False: "**no**", None: f"not compared: {self.unjudged}"}[self.met]
        limit = f"{'at most' if self.at_most else 'at least'} {self.limit:g}{self.unit}"
        return f"| {self.name} | {self.what} | {limit} | {show_spread(self.value)} | {verdict} |"


@dataclass(frozen=True)
class Section:
    """The results of one section; `seconds` is its duration, `provenance` says where it ran."""

    name: str
    comparisons: tuple[Comparison, ...] = ()
    figures: tuple[Figure, ...] = ()
    bars: tuple[Bar, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> str:
        """Return strict JSON, which `from_json` reads."""
        plain = asdict(self)
        for bar, verdict in zip(plain["bars"], self.bars, strict=True):
            bar["met"] = verdict.met
        return json.dumps(plain, indent=1, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> "Section":
        plain = json.loads(text)
        bars = [{k: v for k, v in bar.items() if k != "met"} for bar in plain["bars"]]
        return Section(
            name=plain["name"],
            comparisons=tuple(
                Comparison(**{**one, "notes": tuple(one["notes"])}) for one in plain["comparisons"]
            ),
            figures=tuple(Figure(**one) for one in plain["figures"]),
            bars=tuple(Bar(**{**bar, "value": Spread(**bar["value"])}) for bar in bars),
            notes=tuple(plain["notes"]),
            provenance=plain["provenance"],
            seconds=plain["seconds"],
        )

    def markdown(self) -> str:
        parts = [f"## {self.name}", where(self.provenance, self.seconds)]
        parts += [comparison.markdown() for comparison in self.comparisons]
        if self.figures:
            rows = [f"| {one.what} | {show(one.value)} {one.unit} |" for one in self.figures]
            parts.append("\n".join(["| | |", "|---|---|", *rows]))
        parts += self.notes
        return "\n\n".join(parts)


def where(provenance: dict[str, Any], seconds: float) -> str:
    """Return the line under a section's title."""
    known = {"quick": "**quick sizes, not a measurement**"} if provenance.get("quick") else {}
    known |= {
        "gpu": str(provenance.get("gpu", "")),
        "cpu": str(provenance.get("cpu", "")),
        "threads": f"{provenance.get('threads')} threads",
        "load": f"load {provenance.get('load'):g} at the start" if "load" in provenance else "",
        "torch": f"torch {provenance.get('torch')}",
        "commit": f"commit {str(provenance.get('commit'))[:10]}",
        "time": str(provenance.get("time", "")),
        "took": f"took {seconds:.0f} s",
    }
    return ", ".join(part for part in known.values() if part)


def bars_markdown(sections: list[Section]) -> str:
    """Return the table of all bars."""
    rows = [bar.row() for section in sections for bar in section.bars]
    return "\n".join(
        [
            "| bar | what | limit | measured [smallest, largest] | met |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def stored(folder: Path, names: list[str]) -> list[Section]:
    """Read the stored sections of these names, in this order; missing ones are left out."""
    paths = [folder / f"{name}.json" for name in names]
    return [Section.from_json(path.read_text()) for path in paths if path.exists()]


def show(value: float) -> str:
    """Return the number with three significant digits."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def show_spread(spread: Spread) -> str:
    return f"{spread.median:.2f} [{spread.low:.2f}, {spread.high:.2f}]"
