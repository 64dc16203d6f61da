"""Reads a condition, or says which sign of it is wrong and what was probably meant: a tree, or ConditionError."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, NoReturn, cast

from mindbot_tasks.core.alert_metrics import METRICS, PLUGIN_PREFIX, Unit
from mindbot_tasks.core.conditions import (
    Comparator,
    Comparison,
    Condition,
    Constant,
    Either,
    Every,
    Function,
    Not,
    Reading,
)
from mindbot_tasks.core.errors import MindBotError
from mindbot_tasks.core.words import Sentence

LIMIT_CHARS: Final = 2000
LIMIT_DEPTH: Final = 40
FUNCTIONS: Final = ("anomaly", "forecast")
#: unit -> (what it measures, how many of the base unit)
_UNITS: Final[Mapping[str, tuple[str, float]]] = MappingProxyType(
    {
        "%": ("ratio", 0.01),
        "ms": ("time", 0.001),
        "s": ("time", 1),
        "m": ("time", 60),
        "min": ("time", 60),
        "h": ("time", 3600),
        "d": ("time", 86_400),
        "kb": ("bytes", 1e3),
        "mb": ("bytes", 1e6),
        "gb": ("bytes", 1e9),
        "tb": ("bytes", 1e12),
    }
)
#: unit of a metric -> (what it measures, its size in that base unit)
_MEASURES: Final[Mapping[Unit, tuple[str, float]]] = MappingProxyType(
    {"ratio": ("ratio", 1), "ms": ("time", 0.001), "s": ("time", 1), "bytes": ("bytes", 1)}
)
_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?P<unit>%|[A-Za-z]+)?(?![\w.])"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_.]*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")"
    r"|(?P<sign>==|!=|<>|>=|<=|&&|\|\||[=<>()\[\],!-])"
    r"|(?P<open>['\"].*)"
    r"|(?P<strange>\S[\w.]*))"
)
_WORDS: Final = MappingProxyType({"AND": "AND", "OR": "OR", "NOT": "NOT", "&&": "AND", "||": "OR", "!": "NOT"})
_COMPARATORS: Final[Mapping[str, Comparator]] = MappingProxyType(
    {"=": "==", "<>": "!=", "==": "==", "!=": "!=", ">": ">", ">=": ">=", "<": "<", "<=": "<="}
)

Kind = Literal["number", "name", "text", "sign", "word", "end"]


class ConditionError(MindBotError):
    """Which part of the text is wrong; `sentence` shows it with a pointer."""

    def __init__(self, text: str, at: int, length: int, problem: Sentence, hint: Sentence | None = None) -> None:
        self.at = at
        self.length = max(1, length)
        self.hint = hint
        shown, before = _around(text, at)
        self.sentence = Sentence(
            "conditions.wrong",
            problem=problem,
            column=at + 1,
            text=shown,
            pointer=" " * before + "^" * min(self.length, max(1, len(shown) - before)),
        )
        super().__init__(self.sentence)


def _around(text: str, at: int) -> tuple[str, int]:
    """At most a line of the text, with the place in it."""
    flat = "".join(" " if sign.isspace() or not sign.isprintable() else sign for sign in text)
    start = max(0, at - 60)
    return flat[start : start + 120] + (" " if at >= len(flat) else ""), at - start


@dataclass(frozen=True, slots=True)
class _Token:
    kind: Kind
    value: str
    at: int
    written: str
    unit: str = ""


@functools.lru_cache(maxsize=512)
def parse(text: str) -> Condition:
    """The condition. Raises ConditionError."""
    return _Parser(text).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        if len(text) > LIMIT_CHARS:
            self._fail(LIMIT_CHARS, 1, "too_long", limit=LIMIT_CHARS)
        self.tokens = list(self._split())
        self.place = 0
        self.depth = 0

    # reading signs

    def _split(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while found := _TOKEN.match(self.text, at):
            start = found.start(cast(str, found.lastgroup)) if found["number"] is None else found.start("number")
            at = found.end()
            written = self.text[start:at]
            if found["open"] is not None:
                self._fail(start, len(written), "open_string")
            if found["strange"] is not None:
                self._fail(start, len(written), "strange_sign", sign=repr(written[:20]))
            if found["number"] is not None:
                tokens.append(_Token("number", found["number"], start, written, (found["unit"] or "").lower()))
            elif found["text"] is not None:
                tokens.append(_Token("text", written[1:-1], start, written))
            elif (word := _WORDS.get((found["name"] or found["sign"]).upper())) is not None:
                tokens.append(_Token("word", word, start, written))
            else:
                tokens.append(_Token("name" if found["name"] else "sign", written, start, written))
        tokens.append(_Token("end", "", len(self.text), ""))
        return tokens

    @property
    def now(self) -> _Token:
        return self.tokens[self.place]

    def _take(self) -> _Token:
        token = self.now
        self.place = min(self.place + 1, len(self.tokens) - 1)
        return token

    def _is(self, kind: Kind, value: str) -> bool:
        return self.now.kind == kind and self.now.value == value

    def _fail(self, at: int, length: int, key: str, hint: Sentence | None = None, **fields: object) -> NoReturn:
        raise ConditionError(self.text, at, length, Sentence(f"conditions.{key}", **fields), hint)

    def _expected(self, wanted: str, **fields: object) -> NoReturn:
        token = self.now
        found: Sentence | str = repr(token.written[:30]) if token.written else Sentence("conditions.the_end")
        self._fail(
            token.at, len(token.written), "expected", wanted=Sentence(f"conditions.{wanted}", **fields), found=found
        )

    def _close(self, sign: str) -> None:
        if not self._is("sign", sign):
            self._expected("closing", sign=repr(sign))
        self._take()

    # the grammar

    def whole(self) -> Condition:
        if self.now.kind == "end":
            self._fail(0, 1, "empty")
        found = self._any()
        if self.place < len(self.tokens) - 1:
            self._expected("and_or_end")
        return found

    def _any(self) -> Condition:
        parts = [self._every()]
        while self._is("word", "OR"):
            self._take()
            parts.append(self._every())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def _every(self) -> Condition:
        parts = [self._negation()]
        while self._is("word", "AND"):
            self._take()
            parts.append(self._negation())
        return parts[0] if len(parts) == 1 else Every(tuple(parts))

    def _negation(self) -> Condition:
        self.depth += 1
        if self.depth > LIMIT_DEPTH:
            self._fail(self.now.at, len(self.now.written), "too_deep")
        try:
            if self._is("word", "NOT"):
                self._take()
                return Not(self._negation())
            if self._is("sign", "("):
                self._take()
                found = self._any()
                self._close(")")
                return found
            return self._comparison()
        finally:
            self.depth -= 1

    def _comparison(self) -> Comparison:
        left_at, left = self.now, self._operand()
        sign = self.now
        if sign.kind != "sign" or sign.value not in _COMPARATORS:
            self._expected("a_comparison")
        self._take()
        comparator: Comparator = _COMPARATORS[sign.value]
        right_at, right = self.now, self._operand()
        if isinstance(left, Reading):
            return Comparison(left, comparator, self._fitting(left, comparator, right, right_at))
        if not isinstance(right, Reading):
            self._fail(left_at.at, right_at.at + len(right_at.written) - left_at.at, "no_metric")
        return Comparison(self._fitting(right, comparator, left, left_at), comparator, right)

    def _operand(self) -> Reading | _Token:
        token = self.now
        if token.kind in ("number", "text"):
            return self._take()
        if self._is("sign", "-"):
            self._take()
            if self.now.kind != "number":
                self._expected("a_number")
            number = self._take()
            return _Token("number", f"-{number.value}", token.at, f"-{number.written}", number.unit)
        if token.kind != "name":
            self._expected("an_operand")
        if token.value.lower() in ("true", "false"):
            self._take()
            return _Token("number", "1" if token.value.lower() == "true" else "0", token.at, token.written)
        following = self.tokens[self.place + 1]
        if following.kind == "sign" and following.value == "(":
            return self._function()
        return self._reading("")

    def _function(self) -> Reading:
        token = self._take()
        name = token.value.lower()
        if name not in FUNCTIONS:
            self._fail(
                token.at, len(token.written), "unknown_function", found=token.written[:40], known=", ".join(FUNCTIONS)
            )
        self._take()
        function = cast(Function, name)
        reading_at = self.now
        reading = self._reading(function)
        metric = METRICS.get(reading.metric)
        if metric is not None and metric.unit == "text":
            self._fail(reading_at.at, len(reading_at.written), "text_function", function=name, metric=reading.metric)
        ahead_s = 0.0
        if function == "forecast":
            self._close(",")
            number = self.now
            if number.kind != "number":
                self._expected("a_number")
            self._take()
            kind, size = self._unit(number) if number.unit else ("time", 3600.0)
            if kind != "time":
                self._fail(number.at, len(number.written), "wrong_unit", metric=name, unit="h", found=number.unit)
            ahead_s = min(self._number(number) * size, 1e9)
        self._close(")")
        return Reading(reading.metric, reading.subject, function, ahead_s)

    def _reading(self, function: Function) -> Reading:
        token = self.now
        if token.kind != "name":
            self._expected("a_metric")
        self._take()
        if token.value not in METRICS and not token.value.startswith(PLUGIN_PREFIX):
            near = difflib.get_close_matches(token.value.lower(), METRICS, n=1, cutoff=0.5)
            hint = Sentence("conditions.did_you_mean", known=near[0]) if near else Sentence("conditions.list_metrics")
            self._fail(token.at, len(token.written), "unknown_metric", hint, found=token.written[:60])
        subject = ""
        if self._is("sign", "["):
            self._take()
            if self.now.kind != "text":
                self._expected("a_subject")
            subject = self._take().value[:160]
            self._close("]")
        return Reading(token.value, subject, function)

    # what may be compared with what

    def _fitting(
        self, reading: Reading, comparator: Comparator, other: Reading | _Token, token: _Token
    ) -> Reading | Constant:
        metric = METRICS.get(reading.metric)
        is_text = metric is not None and metric.unit == "text"
        if isinstance(other, Reading):
            theirs = METRICS.get(other.metric)
            if metric and theirs and is_text != (theirs.unit == "text"):
                self._two_kinds(reading, is_text, token, other_is_text=not is_text)
            if is_text and comparator not in ("==", "!="):
                self._fail(token.at, len(token.written), "text_order")
            return other
        if other.kind == "text":
            if metric is not None and not is_text:
                self._two_kinds(reading, is_text, other, other_is_text=True)
            if comparator not in ("==", "!="):
                self._fail(other.at, len(other.written), "text_order")
            if metric is not None and other.value not in metric.states:
                near = difflib.get_close_matches(other.value.lower(), metric.states, n=1, cutoff=0.5)
                hint = Sentence("conditions.did_you_mean", known=f"'{near[0]}'") if near else None
                self._fail(
                    other.at, len(other.written), "unknown_state", hint,
                    metric=reading.metric, found=other.value[:40], known=", ".join(metric.states),
                )  # fmt: skip
            return Constant(other.value, other.written)
        if is_text:
            self._two_kinds(reading, is_text, other, other_is_text=False)
        return Constant(self._in_unit_of(reading, other), other.written)

    def _two_kinds(self, reading: Reading, is_text: bool, token: _Token, *, other_is_text: bool) -> NoReturn:
        self._fail(
            token.at,
            len(token.written),
            "two_kinds",
            metric=reading.metric,
            is_a=Sentence("conditions.a_text" if is_text else "conditions.number"),
            other=Sentence("conditions.a_text" if other_is_text else "conditions.number"),
        )

    def _in_unit_of(self, reading: Reading, token: _Token) -> float:
        value = self._number(token)
        if not token.unit:
            return value
        kind, size = self._unit(token)
        metric = METRICS.get(reading.metric)
        measure = _MEASURES.get(metric.unit) if metric else (kind, 1.0)
        if reading.function == "anomaly" or measure is None or measure[0] != kind:
            unit = "deviations" if reading.function == "anomaly" else metric.unit if metric else ""
            self._fail(token.at, len(token.written), "wrong_unit", metric=str(reading), unit=unit, found=token.unit)
        return round(value * size / measure[1], 9)

    def _unit(self, token: _Token) -> tuple[str, float]:
        if token.unit not in _UNITS:
            at = token.at + len(token.written) - len(token.unit)
            self._fail(at, len(token.unit), "unknown_unit", found=token.unit[:20], known=", ".join(_UNITS))
        return _UNITS[token.unit]

    def _number(self, token: _Token) -> float:
        value = float(token.value)
        if value in (float("inf"), float("-inf")):
            self._fail(token.at, len(token.written), "bad_number", found=token.written[:20])
        return value
