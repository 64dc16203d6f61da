"""The language of conditions: `cpu_usage > 80% OR memory_usage > 0.9`. Parsed, checked and judged here; pure.

    condition  = conjunction { OR conjunction }
    conjunction = negation { AND negation }
    negation   = NOT negation | "(" condition ")" | operand compare operand
    operand    = metric [ "[" 'subject' "]" ] | anomaly(metric) | forecast(metric, 4h) | number [unit] | 'text'

Three-valued: what has no data is neither true nor false, and so is what depends on it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

Value: TypeAlias = float | str
Function = Literal["", "anomaly", "forecast"]
Comparator = Literal["==", "!=", ">", ">=", "<", "<="]


@dataclass(frozen=True, slots=True)
class Reading:
    """The present value of a metric, or what a function makes of it."""

    metric: str
    subject: str = ""  #: "": of whatever the rule is judged for
    function: Function = ""  #: anomaly: how many usual deviations away; forecast: what it will be
    ahead_s: float = 0.0

    def __str__(self) -> str:
        name = f"{self.metric}['{self.subject}']" if self.subject else self.metric
        if self.function == "forecast":
            return f"forecast({name}, {_hours(self.ahead_s)})"
        return f"{self.function}({name})" if self.function else name


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:g}h" if seconds >= 3600 else f"{seconds / 60:g}m"


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, already in the unit of the metric it is compared with, or a text."""

    value: Value
    written: str

    def __str__(self) -> str:
        return self.written


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Reading | Constant
    comparator: Comparator
    right: Reading | Constant

    def __str__(self) -> str:
        return f"{self.left} {self.comparator} {self.right}"


@dataclass(frozen=True, slots=True)
class Not:
    inner: Condition


@dataclass(frozen=True, slots=True)
class Every:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple[Condition, ...]


Condition: TypeAlias = Comparison | Not | Every | Either
Lookup = Callable[[Reading], Value | None]

_COMPARE: Final[Mapping[str, Callable[[object, object], bool]]] = MappingProxyType(
    {
        "==": operator.eq,
        "!=": operator.ne,
        ">": operator.gt,  # type: ignore[dict-item]
        ">=": operator.ge,  # type: ignore[dict-item]
        "<": operator.lt,  # type: ignore[dict-item]
        "<=": operator.le,  # type: ignore[dict-item]
    }
)


def judge(condition: Condition, lookup: Lookup) -> bool | None:
    """True, False, or None for "no data" (Kleene's logic: `true OR unknown` is true)."""
    if isinstance(condition, Comparison):
        left, right = _value(condition.left, lookup), _value(condition.right, lookup)
        if left is None or right is None or isinstance(left, str) != isinstance(right, str):
            return None
        return _COMPARE[condition.comparator](left, right)
    if isinstance(condition, Not):
        inner = judge(condition.inner, lookup)
        return None if inner is None else not inner
    verdicts = [judge(part, lookup) for part in condition.parts]
    decisive = isinstance(condition, Either)
    if decisive in verdicts:
        return decisive
    return None if None in verdicts else not decisive


def _value(operand: Reading | Constant, lookup: Lookup) -> Value | None:
    return operand.value if isinstance(operand, Constant) else lookup(operand)


def comparisons(condition: Condition) -> Iterator[Comparison]:
    """Every comparison in it, from left to right."""
    if isinstance(condition, Comparison):
        yield condition
    elif isinstance(condition, Not):
        yield from comparisons(condition.inner)
    else:
        for part in condition.parts:
            yield from comparisons(part)


def readings(condition: Condition) -> list[Reading]:
    """Every reading that it needs, each once."""
    sides = (side for each in comparisons(condition) for side in (each.left, each.right))
    return list(dict.fromkeys(side for side in sides if isinstance(side, Reading)))


def because(condition: Condition, lookup: Lookup) -> list[tuple[Comparison, Value]]:
    """The comparisons that make it true, with the values that were found: the reason for people."""
    if isinstance(condition, Comparison):
        side = condition.left if isinstance(condition.left, Reading) else condition.right
        value = _value(side, lookup)
        return [(condition, value)] if value is not None and judge(condition, lookup) else []
    if isinstance(condition, Not):
        found = []
        for each in comparisons(condition.inner):
            side = each.left if isinstance(each.left, Reading) else each.right
            value = _value(side, lookup)
            if value is not None:
                found.append((each, value))
        return found
    return [reason for part in condition.parts for reason in because(part, lookup)]
