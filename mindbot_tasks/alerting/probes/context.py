"""What a probe gets, and how it says what it found."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, MindBotError
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.stores.alert_probes import Finding, Readings
from mindbot_tasks.stores.records import Record

#: errors count against at least so many messages or calls: one of one is no rate
FEWEST = 10


@dataclass(frozen=True, slots=True)
class Context:
    """One run of one probe."""

    settings: Settings
    row: Record  #: how the probe was the last time
    deadline: Deadline
    now: int  #: by the database's clock

    @property
    def subject(self) -> str:
        return str(self.row["subject"])

    @property
    def memory(self) -> Mapping[str, Any]:
        return self.row["memory"] or {}

    def failures(self, *, ok: bool) -> int:
        """Runs that failed in a row, with this one."""
        return 0 if ok else int(self.row["failures"]) + 1


Probe: TypeAlias = Callable[[Context], Finding]


@dataclass(frozen=True, slots=True)
class Call:
    """How a call ended."""

    ok: bool
    took_ms: int
    error: str = ""
    kind: str = ""  #: of the error, as `core.errors` names it


def timed(work: Callable[[], object]) -> Call:
    """Do it; our own errors are a finding, and everything else is a bug."""
    started = time.monotonic()
    error = kind = ""
    try:
        work()
    except FarSideError as exc:
        kind = exc.kind
        error = " ".join(str(part) for part in (exc.kind, exc.status, exc.code) if part)
    except MindBotError as exc:
        error = type(exc).__name__
    return Call(not error, int((time.monotonic() - started) * 1000), error, kind)


def found(call: Call, readings: Readings, memory: Mapping[str, Any] | None = None) -> Finding:
    """A finding from a call."""
    return Finding(call.ok, call.took_ms, call.error, readings, memory or {})
