"""What a measurement hands over: figures with their budgets, and everything behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the table. `share` is what it is of its budget: up to 1 is good; None: it has no budget."""

    what: str
    value: str
    budget: str = ""
    share: float | None = None

    @property
    def verdict(self) -> str:
        if self.share is None:
            return ""
        return "held" if self.share <= 1 else "MISSED"


def at_most(what: str, value: float, limit: float, unit: str, *, digits: int = 1) -> Figure:
    """A figure that must not be above its budget."""
    return Figure(what, f"{value:.{digits}f} {unit}".strip(), f"<= {limit:g} {unit}".strip(), value / limit)


def at_least(what: str, value: float, limit: float, unit: str, *, digits: int = 1) -> Figure:
    """A figure that must not be below its budget."""
    share = limit / value if value else float("inf")
    return Figure(what, f"{value:.{digits}f} {unit}".strip(), f">= {limit:g} {unit}".strip(), share)


@dataclass(frozen=True, slots=True)
class Measured:
    """The outcome of one measurement."""

    title: str
    how: str  #: one paragraph for the documentation
    figures: list[Figure]
    details: Mapping[str, Any] = field(default_factory=dict)  #: goes into the JSON, and some of it into the picture
    tables: Mapping[str, list[tuple[str, ...]]] = field(default_factory=dict)  #: heading -> rows, the first the head


@dataclass(slots=True)
class Bench:
    """What all measurements share."""

    folder: Path
    database: str
    quick: bool
    known: dict[str, float] = field(default_factory=dict)  #: what a later measurement wants to know of an earlier one

    def of(self, quick: float, full: float) -> int:
        return int(quick if self.quick else full)

    def say(self, words: str) -> None:
        """Progress, for the person who waits."""
        print(f"  {words}", flush=True)
