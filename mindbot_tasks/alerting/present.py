"""What every metric is now, from what the probes last found; what is too old counts as no data. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mindbot_tasks.alerting import baseline
from mindbot_tasks.alerting.baseline import HOUR_MS, Hour, Trend, Usual
from mindbot_tasks.core.conditions import Condition, Reading, Value, readings
from mindbot_tasks.stores.alert_probes import flat

#: results older than so many intervals are no data
STALE_INTERVALS = 3
STALE_MORE_MS = 15_000

Hours = Callable[[str, str, int], Sequence[Hour]]  #: metric, subject, since


def _no_hours(_metric: str, _subject: str, _since: int) -> Sequence[Hour]:
    return ()


@dataclass
class Present:
    """Values by metric and subject, and the functions that conditions use."""

    now: int
    values: dict[str, dict[str, Value]] = field(default_factory=dict)
    known: dict[str, set[str]] = field(default_factory=dict)  #: subjects that exist, also those without data
    hours: Hours = _no_hours
    weeks: int = 4
    _usual: dict[tuple[str, str], Usual | None] = field(default_factory=dict)
    _trend: dict[tuple[str, str], Trend | None] = field(default_factory=dict)

    def value(self, metric: str, subject: str = "") -> Value | None:
        """Of this subject, else of MindBot as a whole."""
        of = self.values.get(metric, {})
        return of[subject] if subject in of else of.get("")

    def place(self, reading: Reading, subject: str) -> str:
        """The subject that a reading takes its value from."""
        wanted = reading.subject or subject
        return wanted if wanted in self.values.get(reading.metric, {}) else ""

    def read(self, reading: Reading, subject: str) -> Value | None:
        """None: no data."""
        if reading.subject:
            value = self.values.get(reading.metric, {}).get(reading.subject)
        else:
            value = self.value(reading.metric, subject)
        if not reading.function or value is None or isinstance(value, str):
            return value
        place = self.place(reading, subject)
        if reading.function == "anomaly":
            usual = self.usual(reading.metric, place)
            return None if usual is None else usual.away(value)
        line = self.trend(reading.metric, place)
        return None if line is None else line.after(reading.ahead_s)

    def lookup(self, subject: str) -> Callable[[Reading], Value | None]:
        return lambda reading: self.read(reading, subject)

    def usual(self, metric: str, subject: str) -> Usual | None:
        if (metric, subject) not in self._usual:
            since = self.now - (self.weeks * baseline.WEEK_HOURS + 2) * HOUR_MS
            found = self.hours(metric, subject, since)
            self._usual[metric, subject] = baseline.usual(found, now=self.now, weeks=self.weeks)
        return self._usual[metric, subject]

    def trend(self, metric: str, subject: str) -> Trend | None:
        if (metric, subject) not in self._trend:
            value = self.values.get(metric, {}).get(subject)
            found = self.hours(metric, subject, self.now - (baseline.BACK_HOURS + 1) * HOUR_MS)
            line = None if value is None or isinstance(value, str) else baseline.trend(found, value, now=self.now)
            self._trend[metric, subject] = line
        return self._trend[metric, subject]

    def subjects(self, condition: Condition) -> set[str]:
        """Whatever a condition has to be judged for: each subject of its metrics, or once for all."""
        found = set()
        for reading in readings(condition):
            if not reading.subject:
                found |= self.known.get(reading.metric, set())
        return (found - {""}) or {""}

    def exists(self, condition: Condition, subject: str) -> bool:
        """Whether there still is such a subject; a bot that was taken out of the configuration is none."""
        return any(subject in self.known.get(reading.metric, ()) or reading.subject for reading in readings(condition))


def present(probes: Iterable[Mapping[str, Any]], *, now: int, hours: Hours = _no_hours, weeks: int = 4) -> Present:
    """From the rows of the probes."""
    found = Present(now, hours=hours, weeks=weeks)
    for row in probes:
        stale = is_stale(row, now=now)
        for metric, value in (row["readings"] or {}).items():
            if value is None:  # it exists, and nothing is known of it just now
                found.known.setdefault(metric, set()).add(row["subject"])
        for metric, subject, value in flat(row["subject"], row["readings"] or {}):
            found.known.setdefault(metric, set()).add(subject)
            if not stale:
                found.values.setdefault(metric, {})[subject] = value
    return found


def is_stale(row: Mapping[str, Any], *, now: int) -> bool:
    """Whether a probe has not run for so long that what it found means nothing."""
    limit = STALE_INTERVALS * row["interval_ms"] + row["timeout_ms"] + STALE_MORE_MS
    return row["ran_at"] is None or now - row["ran_at"] > limit
