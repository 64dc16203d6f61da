"""How fast the server lets us speak: the rate classes of 01/07 and when the next frame of a class may go; pure.

After each frame `level = min(max, (level * (window - 1) + ms since the last) / window)`. Below `limit` the server drops
frames silently, below `disconnect` it hangs up; once limited, it drops until the level is above `clear`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.platforms.aim.wire import Reader, u16

#: we stay this far above the level at which frames are dropped: clocks and networks differ
MARGIN = 300
CHANGED, ALERT, LIMITED, CLEAR = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class RateClass:
    """One class as the server describes it; levels are milliseconds."""

    number: int
    window: int
    clear: int
    alert: int
    limit: int
    disconnect: int
    current: int
    most: int


@dataclass(frozen=True, slots=True)
class Table:
    """The body of 01/07."""

    classes: tuple[RateClass, ...]
    groups: Mapping[tuple[int, int], int]  #: (family, subtype) -> class

    def acknowledgement(self) -> bytes:
        """The body of 01/08: every class."""
        return b"".join(u16(one.number) for one in self.classes)


def read_table(body: bytes) -> Table:
    """Classes come with 35 or 30 bytes each; the size at which everything fits is the right one. Or PayloadInvalid."""
    for extra in (5, 0):
        try:
            return _read_table(body, extra)
        except PayloadInvalid:
            continue
    raise PayloadInvalid("the rate classes cannot be read")


def _read_table(body: bytes, extra: int) -> Table:
    reader = Reader(body)
    classes = tuple(_read_class(reader, extra) for _ in range(reader.u16()))
    groups: dict[tuple[int, int], int] = {}
    known = {one.number for one in classes}
    for _ in classes:
        number = reader.u16()
        if number not in known:
            raise PayloadInvalid("a group of an unknown rate class")
        for _ in range(reader.u16()):
            groups[reader.u16(), reader.u16()] = number
    if reader.left:
        raise PayloadInvalid("more than the rate classes")
    return Table(classes, groups)


def _read_class(reader: Reader, extra: int) -> RateClass:
    number = reader.u16()
    window, clear, alert, limit, disconnect, current, most = (reader.u32() for _ in range(7))
    reader.take(extra)
    return RateClass(number, max(1, window), clear, alert, limit, disconnect, current, most)


def read_change(body: bytes) -> tuple[int, RateClass]:
    """Code and class of 01/0A. Raises PayloadInvalid."""
    reader = Reader(body)
    return reader.u16(), _read_class(reader, 0)


class Bucket:
    """Where one class stands, by our own count."""

    def __init__(self, rate: RateClass, now_ms: float) -> None:
        self.rate = rate
        self._level = float(rate.current)
        self._last_ms = now_ms
        self._limited = False

    def wait_ms(self, now_ms: float) -> float:
        """How long the next frame has to wait; 0: it may go."""
        rate = self.rate
        target = min((rate.clear if self._limited else rate.limit) + MARGIN, rate.most)
        due = target * rate.window - self._level * (rate.window - 1)
        return max(0.0, due - (now_ms - self._last_ms))

    def note(self, now_ms: float) -> None:
        """A frame has gone."""
        rate = self.rate
        since = max(0.0, now_ms - self._last_ms)
        self._level = min(rate.most, (self._level * (rate.window - 1) + since) / rate.window)
        self._last_ms = now_ms
        if self._level > rate.clear:
            self._limited = False

    def told(self, code: int, rate: RateClass, now_ms: float) -> None:
        """The server says how it sees it; its word counts, but a late one must not make us faster."""
        self.rate = replace(rate, current=0)
        self._limited = code == LIMITED or (self._limited and code != CLEAR)
        self._level = float(rate.current) if code == CLEAR else min(self._level, float(rate.current))
        self._last_ms = now_ms

    @property
    def step_ms(self) -> float:
        """Between two frames in the long run."""
        return float(self.rate.limit + MARGIN)


class Rates:
    """All classes of one connection; without a table nothing is limited."""

    def __init__(self) -> None:
        self._buckets: dict[int, Bucket] = {}
        self._groups: Mapping[tuple[int, int], int] = {}

    def learn(self, table: Table, now_ms: float) -> None:
        self._buckets = {one.number: Bucket(one, now_ms) for one in table.classes}
        self._groups = table.groups

    def of(self, kind: tuple[int, int]) -> Bucket | None:
        return self._buckets.get(self._groups.get(kind, -1))

    def wait_s(self, kind: tuple[int, int], now_ms: float) -> float:
        """Seconds until such a frame may go."""
        bucket = self.of(kind)
        return math.ceil(bucket.wait_ms(now_ms)) / 1000 if bucket else 0.0

    def step_s(self, kind: tuple[int, int]) -> float:
        bucket = self.of(kind)
        return bucket.step_ms / 1000 if bucket else 0.0

    def note(self, kind: tuple[int, int], now_ms: float) -> None:
        if bucket := self.of(kind):
            bucket.note(now_ms)

    def told(self, code: int, rate: RateClass, now_ms: float) -> None:
        if rate.number in self._buckets:
            self._buckets[rate.number].told(code, rate, now_ms)
