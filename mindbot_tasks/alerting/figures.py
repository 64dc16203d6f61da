"""How values and reasons are written for people. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from mindbot_tasks.alerting.present import Present
from mindbot_tasks.core.alert_metrics import METRICS
from mindbot_tasks.core.conditions import Comparison, Condition, Constant, Reading, Value, because
from mindbot_tasks.core.words import Lang, say

_MOST_REASONS = 3


def moment(at: int, timezone: str) -> str:
    """The time as people of that zone read it."""
    return f"{datetime.fromtimestamp(at / 1000, ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S}"


def duration(ms: float) -> str:
    """
    >>> duration(3_725_000)
    '1h 2m'
    """
    seconds = int(max(0, ms) // 1000)
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60}s".replace(" 0s", "")
    if seconds < 172_800:
        return f"{seconds // 3600}h {seconds % 3600 // 60}m".replace(" 0m", "")
    return f"{seconds // 86_400}d {seconds % 86_400 // 3600}h".replace(" 0h", "")


def figure(metric: str, value: Value | None, lang: Lang = "en") -> str:
    """With its unit.

    >>> figure("cpu_usage", 0.934)
    '93.4%'
    """
    if value is None:
        return say("alerts.no_data", lang)
    if isinstance(value, str):
        return value
    if value < 0:  # of a line that falls
        return f"-{figure(metric, -value, lang)}"
    known = METRICS.get(metric)
    unit = known.unit if known else "count"
    if unit == "ratio":
        return f"{round(value * 100, 1):g}%"
    if unit == "ms":
        return f"{value:.0f}ms"
    if unit == "s":
        return duration(value * 1000) if value >= 1 else f"{value:.1f}s"
    if unit == "bytes":
        return f"{value / 1e9:.1f}GB" if value >= 1e9 else f"{value / 1e6:.0f}MB"
    if unit == "flag":
        return "1" if value else "0"
    return f"{round(value, 2):g}"


def bare(metric: str, value: Value | None, lang: Lang = "en") -> str:
    """The number alone, for templates that write the unit themselves: percent for shares, milliseconds for times."""
    if value is None or isinstance(value, str):
        return value or say("alerts.no_value", lang)
    known = METRICS.get(metric)
    if known and known.unit == "ratio":
        return f"{round(value * 100, 1):g}"
    return f"{value:.0f}" if abs(value) >= 10 else f"{round(value, 2):g}"


def reasons(condition: Condition, subjects: Sequence[str], present: Present, lang: Lang = "en") -> str:
    """Why it fires, in words: the comparisons that hold, for the first subjects."""
    told = []
    for subject in subjects[:_MOST_REASONS]:
        words = ", ".join(
            _reason(comparison, subject, value, present, lang)
            for comparison, value in because(condition, present.lookup(subject))
        )
        if words:
            told.append(say("alerts.reason_of", lang, subject=subject, reason=words) if subject else words)
        elif subject:
            told.append(subject)
    text = "; ".join(told)
    more = len(subjects) - _MOST_REASONS
    return say("alerts.reason_more", lang, reason=text, count=more) if more > 0 else text


def _reason(comparison: Comparison, subject: str, value: Value, present: Present, lang: Lang) -> str:
    side = comparison.left if isinstance(comparison.left, Reading) else comparison.right
    assert isinstance(side, Reading)  # noqa: S101 - the parser sees to it
    limit = comparison.right if side is comparison.left else comparison.left
    if side.function:
        return _explained(side, limit, subject, value, present, lang)
    shown = figure(side.metric, value, lang)
    metric = METRICS.get(side.metric)
    if metric is None or metric.unit in ("text", "flag"):
        return say("alerts.reason", lang, reading=side, value=shown)
    sign = comparison.comparator
    return say("alerts.reason_limit", lang, reading=side, value=shown, comparison=f"{sign} {limit}")


def _explained(
    side: Reading, limit: Reading | Constant, subject: str, value: Value, present: Present, lang: Lang
) -> str:
    place = present.place(side, subject)
    plain = present.value(side.metric, place)
    shown = figure(side.metric, plain, lang)
    if side.function == "anomaly":
        usual = present.usual(side.metric, place)
        assert usual is not None  # noqa: S101 - it had a value
        return say(
            "alerts.reason_anomaly", lang, metric=side.metric, value=shown,
            mean=figure(side.metric, usual.mean, lang), deviation=figure(side.metric, usual.deviation, lang),
        )  # fmt: skip
    line = present.trend(side.metric, place)
    assert line is not None  # noqa: S101
    goal = limit.value if isinstance(limit, Constant) else None
    hours = line.hours_until(goal) if isinstance(goal, float) else None
    if hours is None:
        return say(
            "alerts.reason_forecast_value", lang, metric=side.metric, value=shown,
            ahead=figure(side.metric, value, lang), hours=f"{side.ahead_s / 3600:g}",
        )  # fmt: skip
    return say(
        "alerts.reason_forecast", lang, metric=side.metric, value=shown, hours=f"{hours:.1f}",
        slope=figure(side.metric, line.per_hour, lang), limit=figure(side.metric, goal, lang),
    )  # fmt: skip
