"""The rate limiter of an OSCAR server: levels that sink with haste, frames that vanish, connections that end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emulators.oscar.wire import long, short


@dataclass(frozen=True, slots=True)
class RateClass:
    number: int
    window: int
    clear: int
    alert: int
    limit: int
    disconnect: int
    most: int


#: open-oscar-server's, 2026-11-20
CLASSES = (
    RateClass(1, 80, 2500, 2000, 1500, 800, 6000),
    RateClass(2, 80, 3000, 2000, 1500, 1000, 6000),
    RateClass(3, 20, 5100, 5000, 4000, 3000, 6000),
    RateClass(4, 20, 5500, 5300, 4200, 3000, 8000),
    RateClass(5, 10, 5500, 5300, 4200, 3000, 8000),
)


def faster(times: float) -> tuple[RateClass, ...]:
    """The same limits for those who may send so many times as fast."""

    def shorter(ms: int) -> int:
        return max(1, round(ms / times))

    return tuple(
        replace(
            one, clear=shorter(one.clear), alert=shorter(one.alert), limit=shorter(one.limit),
            disconnect=shorter(one.disconnect), most=shorter(one.most),
        )
        for one in CLASSES
    )  # fmt: skip


#: what is not named here is in class 1
GROUPS = {(0x04, 0x06): 3, (0x04, 0x14): 2, (0x04, 0x08): 4}

Outcome = Literal["pass", "alert", "drop", "disconnect", "clear"]


class Meter:
    """One class of one connection."""

    def __init__(self, rate: RateClass, now_ms: float) -> None:
        self.rate = rate
        self.level = float(rate.most)
        self._last_ms = now_ms
        self._limited = False
        self._alerted = False

    def take(self, now_ms: float) -> Outcome:
        """What becomes of a frame that comes now."""
        rate = self.rate
        since = now_ms - self._last_ms
        self._last_ms = now_ms
        self.level = min(rate.most, (self.level * (rate.window - 1) + since) / rate.window)
        if self.level < rate.disconnect:
            return "disconnect"
        if self._limited:
            if self.level <= rate.clear:
                return "drop"
            self._limited = False
            return "clear"
        if self.level < rate.limit:
            self._limited = True
            return "drop"
        alerted, self._alerted = self._alerted, self.level < rate.alert
        return "alert" if self._alerted and not alerted else "pass"

    def describe(self, *, entries: int) -> bytes:
        """The class as in 01/07 and 01/0A; 30 or 35 bytes."""
        rate = self.rate
        data = short(rate.number) + long(
            rate.window, rate.clear, rate.alert, rate.limit, rate.disconnect, int(self.level), rate.most
        )
        return data + (long(0) + b"\x00" if entries == 35 else b"")


def table(meters: Sequence[Meter], served: Sequence[tuple[int, int]], *, entries: int) -> bytes:
    """The body of 01/07."""
    body = short(len(meters)) + b"".join(meter.describe(entries=entries) for meter in meters)
    for meter in meters:
        kinds = [kind for kind in served if GROUPS.get(kind, 1) == meter.rate.number]
        body += short(meter.rate.number, len(kinds)) + b"".join(short(*kind) for kind in kinds)
    return body
