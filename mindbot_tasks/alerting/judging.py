"""Rules look at the present: what begins to fire is opened, what is over is resolved, in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from mindbot_tasks.alerting import answering, escalation, maintenance, remedies
from mindbot_tasks.alerting.baseline import Hour
from mindbot_tasks.alerting.escalation import Services
from mindbot_tasks.alerting.figures import reasons
from mindbot_tasks.alerting.present import Present, present
from mindbot_tasks.alerting.remedies import Remedy
from mindbot_tasks.alerting.rules import Rule, rules_of
from mindbot_tasks.alerting.tracking import advance, after_a_gap
from mindbot_tasks.core.conditions import Value, judge, readings
from mindbot_tasks.core.settings import AlertManagerSettings
from mindbot_tasks.model.alert import Track
from mindbot_tasks.stores import alert_conditions, alert_probes, alerts
from mindbot_tasks.stores.alerts import Change, Opening
from mindbot_tasks.stores.records import Record

#: nobody judged for so long: what was counted before means nothing
GAP_MS = 60_000


@dataclass(slots=True)
class Judged:
    """What one pass has changed."""

    changes: list[tuple[int, Change, Rule]] = field(default_factory=list)
    resolved: list[int] = field(default_factory=list)
    remedies: list[Remedy] = field(default_factory=list)
    undone: list[Remedy] = field(default_factory=list)  #: remedies to take back
    told: list[int] = field(default_factory=list)  #: alerts that only tell something
    firing: int = 0


def look(connection: Connection, settings: AlertManagerSettings, *, now: int) -> Present:
    """Every metric as it is now."""

    def hours(metric: str, subject: str, since: int) -> Sequence[Hour]:
        rows = alert_probes.hours(connection, metric, subject, since=since)
        return [Hour(row["hour"], row["count"], row["total"], row["squares"]) for row in rows]

    return present(alert_probes.every(connection), now=now, hours=hours, weeks=settings.anomaly_weeks)


def judge_all(connection: Connection, settings: AlertManagerSettings, services: Services, *, now: int) -> Judged:
    """One pass over all rules. Run it in a transaction, once in a slot; a second one at the same time does no harm."""
    seen = look(connection, settings, now=now)
    rules = rules_of(settings)
    before = alert_conditions.tracks(connection)
    last = alert_conditions.last_pass(connection, now=now)
    gap = last is None or now - last > GAP_MS
    open_now = {row["fingerprint"]: row for row in alerts.open_alerts(connection) if row["source"] == "rule"}
    after: dict[tuple[str, str], Track] = {}
    judged = Judged()
    firing_now: set[str] = set()
    for rule in rules.values():
        firing = _follow(rule, seen, before, after, open_now, settings, gap=gap)
        for group, members in _grouped(rule, firing).items():
            fingerprint = alerts.fingerprint_of(rule.name, group)
            firing_now.add(fingerprint)
            judged.firing += 1
            found = open_now.get(fingerprint)
            if found is not None and set(found["members"]) == set(members):
                continue
            opening = _opening(rule, fingerprint, members, seen, settings, services)
            alert_id, change = alerts.open_or_refresh(connection, opening, now=now)
            if change != "none":
                judged.changes.append((alert_id, change, rule))
                fresh = [subject for subject in sorted(members) if found is None or subject not in found["members"]]
                judged.remedies += remedies.take(connection, alert_id, rule, fresh, now=now)
    for fingerprint, row in open_now.items():
        if fingerprint not in firing_now and answering.resolve(connection, row["id"], by="rule", now=now):
            judged.resolved.append(row["id"])
            judged.undone += remedies.to_undo(connection, row["id"])
    told = maintenance.tell_what_is_over(connection, settings, services, since=last, now=now)
    judged.told += told
    alert_conditions.keep(connection, before, after, now=now)
    return judged


def _follow(
    rule: Rule,
    seen: Present,
    before: Mapping[tuple[str, str], Track],
    after: dict[tuple[str, str], Track],
    open_now: Mapping[str, Record],
    settings: AlertManagerSettings,
    *,
    gap: bool,
) -> dict[str, int]:
    """The subjects for which the rule fires now, with the time since when; their tracks go into `after`."""
    subjects = seen.subjects(rule.condition)
    subjects |= {subject for name, subject in before if name == rule.name and seen.exists(rule.condition, subject)}
    firing = {}
    for subject in sorted(subjects - rule.leaves_out):
        verdict = judge(rule.condition, seen.lookup(subject))
        if verdict is None and rule.no_data != "keep":
            verdict = rule.no_data == "firing"
        track = before.get((rule.name, subject), Track())
        if gap:
            track = after_a_gap(track, now=seen.now)
        group = subject if rule.group_by == "subject" else ""
        row = open_now.get(alerts.fingerprint_of(rule.name, group))
        flapping = row is not None and row["reopened"] >= settings.max_reopenings
        keep_s = max(rule.keep_s, rule.cooldown_s) if flapping else rule.keep_s
        track = advance(track, verdict, now=seen.now, hold_ms=rule.hold_s * 1000, keep_ms=keep_s * 1000)
        if track.phase != "idle":
            after[rule.name, subject] = track
        if track.phase == "firing":
            firing[subject] = track.since
    return firing


def _grouped(rule: Rule, firing: Mapping[str, int]) -> dict[str, dict[str, int]]:
    if rule.group_by == "rule":
        return {"": dict(firing)} if firing else {}
    return {subject: {subject: since} for subject, since in firing.items()}


def _opening(
    rule: Rule,
    fingerprint: str,
    members: Mapping[str, int],
    seen: Present,
    settings: AlertManagerSettings,
    services: Services,
) -> Opening:
    subjects = sorted(members)
    component = subjects[0] if len(subjects) == 1 else f"{len(subjects)} × {rule.name}"
    return Opening(
        rule=rule.name,
        fingerprint=fingerprint,
        severity=rule.severity,
        component=component or "mindbot",
        summary=reasons(rule.condition, subjects, seen, settings.language),
        members=members,
        readings=values_of(rule, subjects, seen),
        policy=escalation.freeze(rule, settings, services),
        labels={"severity": rule.severity.value, **rule.labels},
        cooldown_ms=int(rule.cooldown_s * 1000),
    )


def values_of(rule: Rule, subjects: Sequence[str], seen: Present) -> dict[str, Any]:
    """What the rule's metrics are for these subjects."""
    found: dict[str, dict[str, Value]] = {}
    for reading in readings(rule.condition):
        for subject in subjects[:50]:
            place = seen.place(reading, subject)
            value = seen.values.get(reading.metric, {}).get(place)
            if value is not None:
                found.setdefault(reading.metric, {})[place] = value
    return found
