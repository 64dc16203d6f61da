"""Who is told at which step of an alert, by which channels and when: frozen into the alert as plain JSON. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

from mindbot_tasks.alerting.rules import Rule
from mindbot_tasks.core.settings import AlertManagerSettings
from mindbot_tasks.model.alert import Channel, Severity

#: the level at which incident services are called
SERVICES_LEVEL = 4
#: the names of the notifiers that work here, by channel
Services: TypeAlias = Mapping[Channel, Sequence[str]]
_QUIET = re.compile(r"\s*(\d+):(\d+)\s*-\s*(\d+):(\d+)\s*")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to tell, by one channel."""

    name: str
    channel: Channel
    address: str
    lang: str
    quiet_hours: str
    timezone: str


def freeze(rule: Rule, settings: AlertManagerSettings, services: Services) -> dict[str, Any]:
    """The policy as the alert keeps it: later changes of the configuration do not touch a running escalation."""
    people: list[dict[str, Any]] = [
        {
            "name": person.name,
            "level": person.escalation_level,
            "phone": person.phone,
            "email": person.email,
            "chat": person.chat,
            "lang": person.language or settings.language,
            "quiet_hours": person.quiet_hours,
            "timezone": person.timezone or settings.timezone,
        }
        for group in settings.recipients.values()
        for person in group
    ]
    rotations: list[dict[str, Any]] = [
        {
            "members": list(rotation.members),
            "level": rotation.escalation_level,
            "starts": rotation.starts,
            "shift_hours": rotation.shift_hours,
            "timezone": rotation.timezone or settings.timezone,
        }
        for rotation in settings.rotations.values()
    ]
    levels: set[int] = {person["level"] for person in people} | {rotation["level"] for rotation in rotations}
    if Channel.INCIDENT in services:
        levels.add(SERVICES_LEVEL)
    if Channel.WEBHOOK in services or not levels:
        levels.add(min(levels, default=1))
    ordered = sorted(levels)
    if rule.severity is Severity.LOW:
        ordered = ordered[:1]  # nobody is woken for it
    return {
        "levels": ordered,
        "wait_ms": int(rule.escalation_s * 1000),
        "repeat_ms": int(settings.repeat_interval * 1000),
        "reminder_ms": int(settings.acknowledged_reminder * 1000),
        "cooldown_ms": int(rule.cooldown_s * 1000),
        "immediate_sms": rule.immediate_sms,
        "quiet": settings.quiet_severity,
        "resolved_notices": settings.resolved_notices,
        "inhibits": list(rule.inhibits),
        "condition": rule.written,
        "template": rule.template,
        "template_zh": rule.template_zh,
        "hint": rule.hint,
        "timezone": settings.timezone,
        "lang": settings.language,
        "people": people,
        "rotations": rotations,
    }


@dataclass(frozen=True, slots=True)
class Step:
    """What is due now."""

    level: int
    number: int  #: 1, 2, 3 ... of this round
    again: bool  #: the policy begins anew with it
    next_at: int


def next_step(policy: Mapping[str, Any], taken: int, *, acknowledged: bool, now: int) -> Step | None:
    """The step after `taken` ones; after the last one, and for an acknowledged alert that stays, the first one again.

    None: there is nobody to tell.

    >>> next_step({"levels": [1, 2], "wait_ms": 300_000, "repeat_ms": 7_200_000}, 0, acknowledged=False, now=1000)
    Step(level=1, number=1, again=False, next_at=301000)
    """
    levels: Sequence[int] = policy.get("levels") or []
    if not levels:
        return None
    again = acknowledged or taken >= len(levels)
    number = 1 if again else taken + 1
    wait = policy["wait_ms"] if number < len(levels) else policy["repeat_ms"]
    return Step(levels[number - 1], number, again, now + int(wait))


def whom(policy: Mapping[str, Any], step: Step, severity: Severity, services: Services, *, now: int) -> list[Person]:
    """Everybody who is told at this step, by each of their channels that works here."""
    on_duty = [_on_duty(rotation, now) for rotation in policy["rotations"] if rotation["level"] == step.level]
    rotating = {name for rotation in policy["rotations"] for name in rotation["members"]}
    found: list[Person] = []
    for person in policy["people"]:
        takes_turns = person["name"] in rotating
        if person["name"] in on_duty if takes_turns else person["level"] == step.level:
            found += _ways(person, step, severity, services, immediate_sms=policy["immediate_sms"])
    lang, zone = policy["lang"], policy["timezone"]
    nobody = not found
    if step.number == 1:
        found += [Person(name, Channel.WEBHOOK, "", lang, "", zone) for name in services.get(Channel.WEBHOOK, ())]
    if step.level >= SERVICES_LEVEL or nobody:
        found += [Person(name, Channel.INCIDENT, "", lang, "", zone) for name in services.get(Channel.INCIDENT, ())]
    return list(dict.fromkeys(found))


def _ways(
    person: Mapping[str, Any], step: Step, severity: Severity, services: Services, *, immediate_sms: bool
) -> list[Person]:
    addresses = {Channel.SMS: person["phone"], Channel.EMAIL: person["email"], Channel.CHAT: person["chat"]}
    usable = [channel for channel, address in addresses.items() if address and channel in services]
    loud = (immediate_sms or step.number > 1) and severity is not Severity.LOW
    if not loud and len(usable) > 1:
        usable = [channel for channel in usable if channel is not Channel.SMS]
    return [
        Person(person["name"], channel, addresses[channel], person["lang"], person["quiet_hours"], person["timezone"])
        for channel in usable
    ]


def _on_duty(rotation: Mapping[str, Any], now: int) -> str:
    """Whose turn it is. Shifts change by the clock on the wall: at nine in summer as in winter."""
    members: Sequence[str] = rotation["members"]
    if not members:
        return ""
    zone = ZoneInfo(rotation["timezone"])
    began = datetime.fromisoformat(rotation["starts"])
    if began.tzinfo is not None:
        began = began.astimezone(zone)
    here = datetime.fromtimestamp(now / 1000, zone).replace(tzinfo=None)
    shifts = (here - began.replace(tzinfo=None)) // timedelta(hours=rotation["shift_hours"])
    return members[shifts % len(members)]


def not_before(person: Person, severity: Severity, quiet: str, *, now: int) -> int:
    """When this person may be told: now, or when the quiet hours end."""
    if not person.quiet_hours or severity.rank < Severity(quiet).rank or person.channel is Channel.EMAIL:
        return now
    return within_hours(person.quiet_hours, person.timezone, now=now) or now


def within_hours(hours: str, timezone: str, *, now: int, days: Collection[str] = ()) -> int | None:
    """The end (ms) of the window that holds now, None outside of it; hours such as 22:00-07:00 go over midnight.

    `days` are those on which the window begins.

    >>> within_hours("22:00-07:00", "UTC", now=23 * 3_600_000)
    111600000
    """
    parts = _QUIET.fullmatch(hours)
    if parts is None:
        return None
    begins, ends = (int(parts[1]) * 60 + int(parts[2])), (int(parts[3]) * 60 + int(parts[4]))
    zone = ZoneInfo(timezone)
    here = datetime.fromtimestamp(now / 1000, zone)
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    for day in (midnight, midnight - timedelta(days=1)):
        start = day + timedelta(minutes=begins)
        end = day + timedelta(minutes=ends if ends > begins else ends + 24 * 60)
        if days and f"{start:%a}".lower() not in days:
            continue
        if start <= here < end:
            return int(end.timestamp() * 1000)
    return None


def inhibitor(row: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> str | None:
    """The code of an open alert that hides this one; of two that hide each other the older one is seen."""
    for other in others:
        if other["id"] == row["id"] or not _hides(other, row):
            continue
        if _hides(row, other) and row["id"] < other["id"]:
            continue
        return str(other["code"])
    return None


def _hides(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    patterns: Sequence[str] = one["policy"].get("inhibits") or []
    return one["rule"] != other["rule"] and any(fnmatch.fnmatchcase(other["rule"], pattern) for pattern in patterns)
