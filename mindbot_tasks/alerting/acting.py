"""What people do about alerts: acknowledge, close, silence. Command, API and console all do it here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mindbot_tasks.alerting import answering
from mindbot_tasks.stores import alerts, silences, workers
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.records import Record


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it."""

    result: Literal["done", "late", "not_by_hand"]  #: late: somebody was quicker, or it was over
    alert: Record

    @property
    def by(self) -> str:
        """Whose turn it was last; "" if nobody's."""
        return str(self.alert["resolved_by"] or self.alert["acknowledged_by"] or "")


def find(code: str) -> Record | None:
    """The alert of this code, as people type it."""
    with reading() as connection:
        return alerts.by_code(connection, code)


def acknowledge(code: str, *, by: str, via: str) -> Outcome | None:
    """Somebody takes care; of several one wins. None: there is no such alert."""
    with transaction() as connection:
        won = answering.acknowledge(connection, code, by=by, via=via, now=workers.database_time(connection))
        found = won or alerts.by_code(connection, code)
    return None if found is None else Outcome("late" if won is None else "done", found)


def resolve(code: str, *, by: str) -> Outcome | None:
    """Close what no rule closes again: tests, drills, what the watchdog told. None: there is no such alert."""
    with transaction() as connection:
        found = alerts.by_code(connection, code)
        if found is None:
            return None
        if found["source"] not in answering.BY_HAND:
            return Outcome("not_by_hand", found)
        won = answering.resolve(connection, found["id"], by=by, now=workers.database_time(connection))
        return Outcome("late" if won is None else "done", won or alerts.by_code(connection, code) or found)


def silence(
    matchers: Mapping[str, str], *, by: str, lasts_ms: int, starts_in_ms: int = 0, comment: str = "",
    maintenance: bool = False,
) -> Record | None:  # fmt: skip
    """Whatever matches tells nobody for a while. None: everything would be silent, and nobody called it maintenance."""
    if not matchers and not maintenance:
        return None
    with transaction() as connection:
        now = workers.database_time(connection)
        starts_at = now + starts_in_ms
        made = silences.add(
            connection, matchers, starts_at=starts_at, ends_at=starts_at + lasts_ms, author=by, comment=comment,
            maintenance=maintenance, now=now,
        )  # fmt: skip
        about = ", ".join(f"{name}={pattern}" for name, pattern in matchers.items()) or "*"
        alerts.note(connection, None, "", "silenced", now=now, actor=by, text=f"{made}: {about}")
        return silences.by_id(connection, made)


def end_silence(silence_id: int, *, by: str) -> Record | None:
    """It is over now; whoever ended it stands in the history. None: there is none that goes on."""
    with transaction() as connection:
        now = workers.database_time(connection)
        if not silences.end(connection, silence_id, now=now):
            return None
        alerts.note(connection, None, "", "silence ended", now=now, actor=by, text=str(silence_id))
        return silences.by_id(connection, silence_id)
