"""What the pages about alerts show: rows of the ledger in the words and times of the reader. No Flask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mindbot_tasks.alerting.answering import BY_HAND
from mindbot_tasks.alerting.figures import duration, figure, moment
from mindbot_tasks.core.words import Lang, is_said, say
from mindbot_tasks.model.alert import AlertState, Severity
from mindbot_tasks.stores.records import Record

_MOST_MEMBERS = 12


@dataclass(eq=False, repr=False)
class Told:
    """Somebody was told, or is to be."""

    recipient: str
    channel: str
    level: int
    event: str
    status: str
    vendor: str
    at: str
    delivered: str
    cost: str
    error: str


@dataclass(eq=False, repr=False)
class Step:
    """One level of the policy: `done` it was told, `now` it was the last one."""

    level: int
    state: str


@dataclass(eq=False, repr=False)
class Happened:
    """A line of the timeline."""

    at: str
    after: str
    kind: str
    actor: str
    note: str


@dataclass(eq=False, repr=False)
class Card:
    """One alert."""

    code: str
    rule: str
    severity: str
    state: str
    summary: str
    component: str
    condition: str
    source: str
    members: Sequence[str]
    more_members: int
    muted_by: str
    opened: str
    ago: str
    steps: Sequence[Step]
    next_level: int  #: 0: none
    next_in: str  #: "": now
    begins_anew: bool
    told: Sequence[Told]
    acknowledged_by: str
    acknowledged_via: str
    acknowledged: str
    to_acknowledge: str
    resolved: str
    resolved_by: str
    to_resolve: str
    reopened: int
    closable: bool
    hint: str
    readings: Sequence[tuple[str, str]] = ()
    labels: Sequence[tuple[str, str]] = ()
    happened: Sequence[Happened] = field(default=())


def card(
    row: Record, notices: Sequence[Record], happened: Sequence[Record], *, zone: str, lang: Lang, now: int
) -> Card:
    """From the rows of one alert."""
    policy = row["policy"]
    levels = list(policy.get("levels") or ())
    firing = row["state"] == AlertState.FIRING
    again = not firing or row["step"] >= len(levels)
    next_at = row["next_step_at"]
    members = [name for name in row["members"] if name]
    hint_key = f"alerts.hint_{row['rule']}"
    return Card(
        code=row["code"],
        rule=row["rule"],
        severity=row["severity"],
        state=row["state"],
        summary=row["summary"] or row["component"],
        component=row["component"],
        condition=str(policy.get("condition", "")),
        source=row["source"],
        members=members[:_MOST_MEMBERS],
        more_members=max(0, len(members) - _MOST_MEMBERS),
        muted_by=row["muted_by"] or "",
        opened=moment(row["opened_at"], zone),
        ago=_about(now - row["opened_at"]),
        steps=_steps(levels, row["step"], over=row["resolved_at"] is not None),
        next_level=(levels[0] if again else levels[row["step"]]) if levels and next_at is not None else 0,
        next_in="" if next_at is None or next_at <= now else _about(next_at - now, soon=True),
        begins_anew=again,
        told=[_told(one, zone) for one in notices],
        acknowledged_by=row["acknowledged_by"] or "",
        acknowledged_via=row["acknowledged_via"] or "",
        acknowledged=moment(row["acknowledged_at"], zone) if row["acknowledged_at"] else "",
        to_acknowledge=_between(row["fired_at"], row["acknowledged_at"]),
        resolved=moment(row["resolved_at"], zone) if row["resolved_at"] else "",
        resolved_by=row["resolved_by"] or "",
        to_resolve=_between(row["opened_at"], row["resolved_at"]),
        reopened=row["reopened"],
        closable=row["source"] in BY_HAND and row["resolved_at"] is None,
        hint=str(policy.get("hint") or (say(hint_key, lang) if is_said(hint_key) else "")),
        readings=_readings(row["readings"], lang),
        labels=[(name, str(value)) for name, value in row["labels"].items() if name != "severity"],
        happened=[_happened(one, row["opened_at"], zone) for one in happened],
    )  # fmt: skip


def _happened(one: Record, began: int, zone: str) -> Happened:
    return Happened(moment(one["at"], zone), duration(one["at"] - began), one["kind"], one["actor"], one["note"])


def _steps(levels: Sequence[int], taken: int, *, over: bool) -> list[Step]:
    last = min(taken, len(levels))
    return [
        Step(level, "now" if place == last and not over else "done" if place <= last else "to come")
        for place, level in enumerate(levels, 1)
    ]


def _told(row: Record, zone: str) -> Told:
    at = row["accepted_at"] or row["sending_since"] or row["created_at"]
    cost = f"{row['cost']:g} {row['currency'] or ''}".strip() if row["cost"] else ""
    return Told(
        recipient=row["recipient"],
        channel=row["channel"],
        level=row["level"],
        event=row["event"],
        status=row["status"],
        vendor=row["notifier"] or "",
        at=moment(at, zone),
        delivered=moment(row["delivered_at"], zone) if row["delivered_at"] else "",
        cost=cost,
        error=row["error"] or "",
    )


def _readings(readings: Mapping[str, Any], lang: Lang) -> list[tuple[str, str]]:
    found = []
    for name, values in readings.items():
        for subject, value in values.items() if isinstance(values, Mapping) else (("", values),):
            found.append((f"{name}[{subject}]" if subject else name, figure(name, value, lang)))
    return found[:40]


def _between(begin: int | None, end: int | None) -> str:
    return "" if begin is None or end is None else duration(max(0, end - begin))


def _about(ms: int, *, soon: bool = False) -> str:
    """By the minute where it is longer, so that a page that is watched does not change all the time."""
    if ms < 60_000:
        return duration(ms - ms % 10_000 + (10_000 if soon else 0))
    return duration(ms - ms % 60_000 + (60_000 if soon and ms % 60_000 else 0))


def worst_first(rows: Sequence[Record]) -> list[Record]:
    """What nobody takes care of before what somebody does, the worst before the milder, the newest first."""
    rank = {severity.value: severity.rank for severity in Severity}

    def place(row: Record) -> tuple[bool, int, int]:
        return row["state"] != AlertState.FIRING, rank[row["severity"]], -row["fired_at"]

    return sorted(rows, key=place)


@dataclass(eq=False, repr=False)
class Check:
    """How one probe was the last time."""

    name: str
    state: str  #: well, unwell, stale, never
    error: str
    since: str
    every: str
    took_ms: int | None
    readings: Sequence[tuple[str, str]]


def check(row: Record, *, stale: bool, lang: Lang, now: int) -> Check:
    """From its row."""
    state = "never" if row["ran_at"] is None else "stale" if stale else "well" if row["ok"] else "unwell"
    return Check(
        name=row["name"],
        state=state,
        error=row["error"] or "",
        since=_about(now - row["changed_at"]) if row["changed_at"] else "",
        every=duration(row["interval_ms"]),
        took_ms=row["took_ms"],
        readings=_readings({name: value if isinstance(value, Mapping) else {"": value}
                            for name, value in (row["readings"] or {}).items()}, lang),
    )  # fmt: skip
