"""Pure rules: `for` and hysteresis, baselines, escalation, quiet hours, rations, words."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.alerting import baseline
from mindbot_tasks.alerting.baseline import HOUR_MS, Hour
from mindbot_tasks.alerting.escalation import Step, freeze, inhibitor, next_step, not_before, whom, within_hours
from mindbot_tasks.alerting.rationing import fit_sms, ration, sms_parts
from mindbot_tasks.alerting.rules import DEFAULT_RULES, rules_of
from mindbot_tasks.alerting.tracking import advance
from mindbot_tasks.core.settings import AlertLimitsSettings
from mindbot_tasks.model.alert import Channel, Severity, Track
from mindbot_tasks.stores.silences import matches
from tests.alerting.world import BEGIN, HOUR, MINUTE, SECOND, settings

SERVICES = {Channel.SMS: ["twilio"], Channel.EMAIL: ["email"], Channel.INCIDENT: ["pagerduty"]}


def follow(verdicts: list[bool | None], *, hold_s: float = 0, keep_s: float = 0) -> list[str]:
    """A look every ten seconds."""
    track, phases = Track(), []
    for number, verdict in enumerate(verdicts):
        track = advance(track, verdict, now=number * 10_000, hold_ms=hold_s * 1000, keep_ms=keep_s * 1000)
        phases.append(track.phase[0])
    return phases


@pytest.mark.parametrize(
    ("verdicts", "hold_s", "keep_s", "phases"),
    [
        ([True, True, False, False], 0, 0, "ffii"),
        ([True, True, True, True], 30, 0, "pppf"),
        ([True, True, False, True, True, True, True], 30, 0, "ppipppf"),
        ([True, False, False, False, False], 0, 30, "ffffi"),
        ([True, False, True, False, False, False, False], 0, 30, "ffffffi"),
        ([True, None, None, None], 30, 0, "pppp"),
        ([True, None, False, None, False], 0, 20, "ffffi"),
        ([None, None], 0, 0, "ii"),
    ],
)
def test_for_and_hysteresis(verdicts: list[bool | None], hold_s: float, keep_s: float, phases: str) -> None:
    assert "".join(follow(verdicts, hold_s=hold_s, keep_s=keep_s)) == phases


def week(value: float, weeks: int, now: int, *, at_night: float | None = None) -> list[Hour]:
    """Hours of a metric that is different at night."""
    this = now // HOUR_MS
    hours = []
    for back in range(3, weeks * 168):
        hour = this - back
        mean = at_night if at_night is not None and hour % 24 < 6 else value
        # sixty looks that spread by a tenth
        hours.append(Hour(hour, 60, 60 * mean, 60 * mean * mean * 1.01))
    return hours


def test_what_is_usual_at_night_is_not_usual_at_noon() -> None:
    noon, night = BEGIN + 12 * HOUR, BEGIN + 3 * HOUR
    by_day = baseline.usual(week(1000, 3, noon, at_night=100), now=noon, weeks=4)
    by_night = baseline.usual(week(1000, 3, night, at_night=100), now=night, weeks=4)
    assert by_day is not None
    assert by_night is not None
    assert by_day.mean == pytest.approx(1000)
    assert by_day.away(1500) == pytest.approx(5, rel=0.01)
    assert by_night.mean == pytest.approx(100)
    assert by_night.away(1000) > 50


def test_a_first_day_has_no_usual_and_a_present_trouble_does_not_become_usual() -> None:
    this = BEGIN // HOUR_MS
    assert baseline.usual([], now=BEGIN, weeks=4) is None
    assert baseline.usual([Hour(this - back, 9, 9.0, 9.0) for back in range(3)], now=BEGIN, weeks=4) is None


def test_a_line_through_the_last_hours_says_when_it_is_full() -> None:
    this = BEGIN // HOUR_MS
    hours = [Hour(this - back, 1, 0.5 - 0.02 * (back - 0.5), 0.25) for back in range(1, 12)]
    line = baseline.trend(hours, 0.5, now=BEGIN)
    assert line is not None
    assert line.per_hour == pytest.approx(0.02, rel=0.05)
    assert line.hours_until(0.9) == pytest.approx(20, rel=0.05)
    assert line.hours_until(0.1) is None
    assert baseline.trend(hours[:2], 0.5, now=BEGIN) is None


@given(st.lists(st.tuples(st.integers(-200, 5), st.floats(-1e6, 1e6)), max_size=30), st.floats(-1e6, 1e6))
def test_baselines_are_numbers_whatever_the_hours(points: list[tuple[int, float]], value: float) -> None:
    this = BEGIN // HOUR_MS
    hours = [Hour(this + at, 1, one, one * one) for at, one in points]
    usual, line = baseline.usual(hours, now=BEGIN, weeks=4), baseline.trend(hours, value, now=BEGIN)
    assert usual is None or math.isfinite(usual.away(value))
    assert line is None or math.isfinite(line.after(3600))


def policy(rule: str = "dingtalk_connection_lost", **changes: Any) -> dict[str, Any]:
    manager = settings(**changes)
    return freeze(rules_of(manager)[rule], manager, SERVICES)


def told(given: dict[str, Any], number: int, *, now: int = BEGIN, severity: Severity = Severity.CRITICAL) -> list[str]:
    level = given["levels"][number - 1]
    return [
        f"{person.name} {person.channel}"
        for person in whom(given, Step(level, number, False, 0), severity, SERVICES, now=now)
    ]


def test_the_four_levels_of_a_critical_alert() -> None:
    frozen = policy()
    assert frozen["levels"] == [1, 2, 3, 4]
    assert [told(frozen, number) for number in (1, 2, 3, 4)] == [
        ["Ann sms", "Ann email"], ["Bob sms", "Bob email"], ["Team sms", "Team email"], ["pagerduty incident"],
    ]  # fmt: skip


def test_steps_come_after_their_waits_and_begin_anew_when_nobody_acknowledges() -> None:
    frozen = policy()
    steps = [next_step(frozen, taken, acknowledged=False, now=0) for taken in range(5)]
    assert [(step.level, step.again, step.next_at // SECOND) for step in steps if step] == [
        (1, False, 300), (2, False, 300), (3, False, 300), (4, False, 14_400), (1, True, 300),
    ]  # fmt: skip


def test_with_nobody_configured_the_services_are_called_at_once() -> None:
    assert told(policy(recipients={}), 1) == ["pagerduty incident"]


def test_people_take_turns() -> None:
    frozen = policy(
        rotations={
            "ops": {"members": ["Ann", "Bob"], "starts": "2026-06-01T00:00", "shift_hours": 12, "timezone": "UTC"}
        }
    )
    assert told(frozen, 1, now=BEGIN + HOUR) == ["Ann sms", "Ann email"]
    assert told(frozen, 1, now=BEGIN + 13 * HOUR) == ["Bob sms", "Bob email"]
    assert told(frozen, 1, now=BEGIN - HOUR) == ["Bob sms", "Bob email"]
    assert told(frozen, 1, now=BEGIN + 24 * HOUR) == ["Ann sms", "Ann email"]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Shanghai"])
def test_shifts_change_at_the_same_hour_in_summer_and_winter(zone: str) -> None:
    turns = {"members": ["Ann", "Bob"], "starts": "2026-01-05T09:00", "shift_hours": 168, "timezone": zone}
    frozen = policy(rotations={"ops": turns})
    for week in range(52):
        changes = datetime(2026, 1, 5, 9, tzinfo=ZoneInfo(zone)) + timedelta(weeks=week)  # by the clock on the wall
        at = int(changes.timestamp() * 1000)
        first, second = ("Ann", "Bob") if week % 2 == 0 else ("Bob", "Ann")
        assert told(frozen, 1, now=at - MINUTE) == [f"{second} sms", f"{second} email"]
        assert told(frozen, 1, now=at + MINUTE) == [f"{first} sms", f"{first} email"]


def test_quiet_hours_end_by_the_clock_on_the_wall_when_clocks_are_changed() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for evening in (datetime(2026, 3, 28, 23, tzinfo=berlin), datetime(2026, 10, 24, 23, tzinfo=berlin)):
        morning = (evening + timedelta(days=1)).replace(hour=7)
        ends = within_hours("22:00-07:00", "Europe/Berlin", now=int(evening.timestamp() * 1000))
        assert ends == int(morning.timestamp() * 1000)


def test_quiet_hours_hold_back_what_is_mild() -> None:
    manager = settings(recipients={"a": [{"name": "Ann", "phone": "+1", "quiet_hours": "22:00-07:00"}]})
    frozen = freeze(rules_of(manager)["resource_high_usage"], manager, SERVICES)
    night = BEGIN + 23 * HOUR
    (ann,) = whom(frozen, Step(1, 1, False, 0), Severity.MEDIUM, SERVICES, now=night)
    assert not_before(ann, Severity.MEDIUM, "medium", now=night) == BEGIN + 31 * HOUR
    assert not_before(ann, Severity.CRITICAL, "medium", now=night) == night
    assert not_before(ann, Severity.MEDIUM, "medium", now=BEGIN + 12 * HOUR) == BEGIN + 12 * HOUR


def test_windows_over_midnight_begin_on_their_day() -> None:
    monday_night = BEGIN + 23 * HOUR
    assert within_hours("22:00-02:00", "UTC", now=monday_night, days=["mon"]) == BEGIN + 26 * HOUR
    assert within_hours("22:00-02:00", "UTC", now=BEGIN + 25 * HOUR, days=["mon"]) == BEGIN + 26 * HOUR
    assert within_hours("22:00-02:00", "UTC", now=monday_night, days=["tue"]) is None
    assert within_hours("02:00-03:00", "Asia/Shanghai", now=BEGIN - 6 * HOUR + MINUTE) is not None


def test_of_two_alerts_that_hide_each_other_one_is_seen() -> None:
    one = {"id": 1, "rule": "a", "code": "A", "policy": {"inhibits": ["b*"]}}
    two = {"id": 2, "rule": "b1", "code": "B", "policy": {"inhibits": ["a"]}}
    assert (inhibitor(one, [one, two]), inhibitor(two, [one, two])) == (None, "A")


def rows(*severities: str) -> list[dict[str, str]]:
    return [{"severity": severity} for severity in severities]


def test_what_does_not_fit_into_a_burst_goes_together() -> None:
    limits = AlertLimitsSettings()
    many = rows(*["critical"] * 10)
    first = ration(many, [], limits, spent=False, now=BEGIN)
    assert (len(first.single), len(first.together)) == (2, 8)
    later = ration(many, [BEGIN] * 3, limits, spent=False, now=BEGIN + MINUTE)
    assert (len(later.held), later.held_until) == (10, BEGIN + 5 * MINUTE)


def test_caps_leave_out_what_is_not_critical_and_the_ceiling_everything() -> None:
    limits = AlertLimitsSettings(per_hour=2, ceiling_per_hour=4, burst=3)
    sent = [BEGIN - 20 * MINUTE] * 2
    both = rows("critical", "high")
    capped = ration(both, sent, limits, spent=False, now=BEGIN)
    assert ([row["severity"] for row in capped.single], len(capped.left_out)) == (["critical"], 1)
    assert len(ration(both, sent * 2, limits, spent=False, now=BEGIN).left_out) == 2
    assert len(ration(both, [], limits, spent=True, now=BEGIN).left_out) == 1


@given(st.text(max_size=400), st.sampled_from([" ACK K7Q4", ""]), st.integers(1, 2))
def test_a_text_always_fits_and_keeps_its_end(text: str, end: str, parts: int) -> None:
    fitted = fit_sms(text, end, parts=parts)
    assert sms_parts(fitted) <= parts
    assert fitted.endswith(end)


def test_silences_match_by_patterns() -> None:
    labels = {"rule": "dify_api_down", "severity": "high", "component": "general_chat"}
    assert matches({"rule": "dify_*", "severity": "high"}, labels)
    assert not matches({"rule": "dify_*", "team": "ops"}, labels)
    assert matches({}, labels)


def test_rules_that_come_along_can_be_replaced_and_switched_off() -> None:
    assert {"dingtalk_connection_lost", "dify_api_down", "high_error_rate", "resource_high_usage"} <= set(DEFAULT_RULES)
    own = settings(rules={"no_worker": {"condition": "workers < 2", "severity": "low"}})
    assert rules_of(own)["no_worker"].written == "workers < 2"
    assert rules_of(own)["no_worker"].inhibits, "what hides what stays"
    assert "no_worker" not in rules_of(settings(default_rules=False))
    off = settings(rules={"no_worker": {"condition": "workers < 2", "enabled": False}})
    assert "no_worker" not in rules_of(off)


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ("check_failed['orders'] > 0", {"orders"}),
        ("check_value['orders'] > 100", set()),
        ("check_failed > 5", None),
    ],
)
def test_a_probe_with_a_rule_of_its_own_is_told_once(condition: str, left: set[str] | None) -> None:
    rules = rules_of(settings(rules={"mine": {"condition": condition}}))
    assert (set(rules["probe_failed"].leaves_out) if "probe_failed" in rules else None) == left
    both = {"mine": {"condition": condition}, "probe_failed": {"condition": "check_failed > 9"}}
    assert rules_of(settings(rules=both))["probe_failed"].leaves_out == set(), "who writes both means both"
