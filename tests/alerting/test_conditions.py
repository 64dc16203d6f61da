"""The language of conditions: what it means, what it refuses, and that nothing else ever comes out."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.alerting.rules import rules_of
from mindbot_tasks.core.alert_metrics import METRICS
from mindbot_tasks.core.condition_parser import ConditionError, parse
from mindbot_tasks.core.conditions import Condition, Every, Not, Reading, because, comparisons, judge, readings
from mindbot_tasks.core.settings import InvalidSettings
from mindbot_tasks.core.settings.load import load

NUMBERS = {"cpu_usage": 0.9, "memory_usage": 0.5, "queue_age": 400.0, "response_time": 1500.0, "error_rate": 0.1}
TEXTS = {"dingtalk_connection_status": "disconnected"}


def present(reading: Reading) -> float | str | None:
    return {**NUMBERS, **TEXTS}.get(reading.metric)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("cpu_usage > 0.8 OR memory_usage > 0.9", True),
        ("cpu_usage > 0.8 AND memory_usage > 0.9", False),
        ("dingtalk_connection_status == 'disconnected'", True),
        ('dingtalk_connection_status != "connected"', True),
        ("dify_health_check_failed > 3", None),
        ("error_rate > 0.1", False),
        ("error_rate >= 10%", True),
        ("not cpu_usage > 95%", True),
        ("response_time > 1s", True),
        ("response_time > 1500ms", False),
        ("queue_age > 5m && !(queue_age > 1h)", True),
        ("0.8 < cpu_usage", True),
        ("cpu_usage > memory_usage", True),
        ("cpu_usage <> 0.9", False),
        ("cpu_usage > 0.8 OR dify_health_check_failed > 3", True),
        ("cpu_usage < 0.8 AND dify_health_check_failed > 3", False),
        ("cpu_usage > 0.8 AND dify_health_check_failed > 3", None),
        ("NOT dify_health_check_failed > 3", None),
        ("(cpu_usage > 1 OR memory_usage > 1) OR (queue_age > 60)", True),
        ("cpu_usage > 1 OR memory_usage > 1 AND queue_age > 60", False),
        ("queue_age > -3", True),
        ("database_up == false OR cpu_usage = .9", True),
    ],
)
def test_what_a_condition_means(text: str, verdict: bool | None) -> None:
    assert judge(parse(text), present) is verdict


@pytest.mark.parametrize(
    ("text", "at", "problem", "hint"),
    [
        ("cpu_usge > 0.8", 0, "there is no metric called cpu_usge", "did you mean cpu_usage?"),
        ("cpu_usage > 0.8 OR memry_usage > 0.9", 19, "memry_usage", "did you mean memory_usage?"),
        ("cpu_usage >", 11, "expected a metric, a number or a 'text', found the end", None),
        ("cpu_usage", 9, "expected a comparison", None),
        ("cpu_usage 0.8", 10, "expected a comparison", None),
        ("cpu_usage > 0.8 memory_usage > 0.9", 16, "expected AND, OR or the end, found 'memory_usage'", None),
        ("(cpu_usage > 0.8", 16, "expected ')', found the end", None),
        ("cpu_usage > 'a'", 12, "cannot be compared with a text", None),
        ("dingtalk_connection_status == 'lost'", 30, "is never 'lost'", None),
        ("dingtalk_connection_status == 'disconected'", 30, "is never", "did you mean 'disconnected'?"),
        ("dingtalk_connection_status > 'connected'", 29, "only be compared with == and !=", None),
        ("dingtalk_connection_status == 3", 30, "cannot be compared with a number", None),
        ("response_time > 5%", 16, "is measured in ms, not in %", None),
        ("queue_age > 5x", 13, "x is not a unit", None),
        ("1 > 2", 0, "one side of a comparison must be a metric", None),
        ("anomly(response_time) > 3", 0, "there is no function called anomly", None),
        ("anomaly(dingtalk_connection_status) > 3", 8, "works on numbers", None),
        ("forecast(disk_usage) > 90%", 19, "expected ','", None),
        ("cpu_usage > 'x", 12, "no closing quote", None),
        ("cpu_usage > 80 %", 15, "'%' means nothing here", None),
        ("", 0, "empty", None),
    ],
)
def test_what_is_wrong_is_pointed_at(text: str, at: int, problem: str, hint: str | None) -> None:
    with pytest.raises(ConditionError) as caught:
        parse(text)
    assert caught.value.at == at
    assert problem in str(caught.value)
    assert (caught.value.hint or "") == (hint or "") or hint is None
    assert str(caught.value).splitlines()[-1] == "    " + " " * at + "^" * min(
        caught.value.length, max(1, len(text) + (at >= len(text)) - at)
    )


def test_the_configuration_names_file_line_and_key(tmp_path: Path) -> None:
    file = tmp_path / "mindbot.yaml"
    file.write_text("alert_manager:\n  rules:\n    mine:\n      condition: 'cpu_usge > 0.8'\n")
    with pytest.raises(InvalidSettings) as caught:
        load(file, {})
    (problem,) = caught.value.problems
    assert (problem.place.line, problem.path) == (4, "alert_manager.rules.mine.condition")
    assert "^^^^^^^^" in str(problem)
    assert "did you mean cpu_usage?" in str(problem)
    assert "没有名为 cpu_usge 的指标" in problem.text("zh")


def test_a_rule_that_comes_along_is_switched_off_by_its_name_alone(tmp_path: Path) -> None:
    file = tmp_path / "mindbot.yaml"
    file.write_text("alert_manager:\n  rules:\n    no_worker: {enabled: false}\n")
    manager = load(file, {}).alert_manager
    assert manager is not None
    assert "no_worker" not in rules_of(manager)
    assert "queue_waits" in rules_of(manager)


def test_a_rule_may_have_a_for_and_everything_else(tmp_path: Path) -> None:
    file = tmp_path / "mindbot.yaml"
    file.write_text(
        "alert_manager:\n  rules:\n    mine: {condition: 'cpu_usage > 80%', for: 60, keep_firing_for: 10,"
        " inhibits: [a], group_by: subject, labels: {team: ops}, remedy: {action: drain}}\n"
    )
    manager = load(file, {}).alert_manager
    assert manager is not None
    assert (manager.rules["mine"].hold, manager.rules["mine"].labels) == (60, {"team": "ops"})


WORDS = st.sampled_from(
    [*list(METRICS)[:6], "AND", "or", "NOT", "(", ")", ">", "==", "!", "0.8", "80%", "5m", "'connected'", "anomaly(",
     "forecast(", ",", "[", "]", "-", "1e9", "cpu", "\x00", "é", "'"]
)  # fmt: skip


@given(st.one_of(st.text(max_size=60), st.lists(WORDS, max_size=14).map(" ".join)))
def test_any_text_is_a_condition_or_a_pointed_error(text: str) -> None:
    try:
        found = parse(text)
    except ConditionError as exc:
        error = exc
    else:
        error = None
    if error is not None:
        assert 0 <= error.at <= len(text)
        assert error.sentence.in_("zh")
        return
    assert judge(found, lambda _reading: None) is None
    assert all(reading.metric in METRICS for reading in readings(found))


def test_nesting_and_length_have_an_end() -> None:
    for text in ("(" * 5000 + "cpu_usage > 1" + ")" * 5000, "NOT " * 400 + "cpu_usage > 1", "cpu_usage > 1 OR " * 900):
        with pytest.raises(ConditionError):
            parse(text)


values = st.one_of(st.none(), st.floats(0, 1))


@given(values, values, values)
def test_unknown_is_neither_true_nor_false(cpu: float | None, memory: float | None, disk: float | None) -> None:
    """Filling in what is unknown never turns a verdict that was given."""
    condition = parse("cpu_usage > 0.5 AND NOT memory_usage > 0.5 OR disk_usage > 0.5")
    known = {"cpu_usage": cpu, "memory_usage": memory, "disk_usage": disk}
    verdict = judge(condition, lambda reading: known[reading.metric])
    for filled in (0.0, 1.0):
        full = judge(condition, lambda reading, f=filled: f if known[reading.metric] is None else known[reading.metric])
        assert full is not None
        assert verdict in (None, full)
    assert verdict is not None or None in known.values()


def _negated(condition: Condition) -> Condition:
    return Not(condition)


@given(values, values)
def test_the_reasons_of_a_true_condition_are_true(cpu: float | None, memory: float | None) -> None:
    condition = parse("cpu_usage > 0.5 OR memory_usage > 0.5")
    known = {"cpu_usage": cpu, "memory_usage": memory}
    reasons = because(condition, lambda reading: known[reading.metric])
    assert bool(reasons) == (judge(condition, lambda reading: known[reading.metric]) is True)
    assert len(list(comparisons(Every((condition, _negated(condition)))))) == 4
