"""What an SMS says: figures that people can believe, and one part whatever the values."""

from __future__ import annotations

from typing import Any

import pytest

from mindbot_tasks.alerting.escalation import Person, freeze
from mindbot_tasks.alerting.figures import figure
from mindbot_tasks.alerting.rationing import sms_parts
from mindbot_tasks.alerting.rules import DEFAULT_RULES, plain
from mindbot_tasks.alerting.wording import Scene, content
from mindbot_tasks.core.conditions import Value
from mindbot_tasks.core.words import Lang
from mindbot_tasks.model.alert import Channel, Event, Severity
from tests.alerting.world import BEGIN, settings

DIFY = "dify_health_check_failed"
Values = dict[str, dict[str, Value]]


def sms(rule: str, lang: Lang = "en", *, readings: Values | None = None, now: Values | None = None, **more: Any) -> str:
    """What a person of level 1 gets."""
    severity = Severity(DEFAULT_RULES[rule].severity) if rule in DEFAULT_RULES else Severity.LOW
    members = {subject: BEGIN for values in (readings or {}).values() for subject in values} or {"": BEGIN}
    policy = {**freeze(plain(rule, severity, settings()), settings(), {}), **more}
    alert = {
        "code": "K7Q4", "rule": rule, "severity": severity.value, "component": "x", "state": "firing", "summary": "x",
        "members": members, "readings": readings or {}, "policy": policy, "labels": {}, "fired_at": BEGIN,
        "resolved_at": None, "acknowledged_by": None,
    }  # fmt: skip
    person = Person("Ann", Channel.SMS, "+1", lang, "", "UTC")
    return str(content(Event.TRIGGER, alert, person, 1, Scene(values=now or {}), now=BEGIN)["short"])


def test_an_sms_about_dify_tells_of_dify_and_not_of_all_messages() -> None:
    everything: Values = {"error_rate": {"": 0.0}, "response_time": {"": 350.0}}
    dify: Values = {"dify_error_rate": {"chat": 0.8, "other": 0.0}, "dify_response_time": {"chat": 10_004.0}}
    told = sms("dify_api_down", readings={DIFY: {"chat": 4.0}}, now={**everything, **dify})
    assert told == (
        "HIGH: MindBot Dify API experiencing issues. Error rate: 80%. Response time: 10004ms. ACK K7Q4"
    )  # fmt: skip
    own = sms("dify_api_down", readings={DIFY: {"chat": 4.0}}, now={**everything, **dify}, template="{error_rate}%")
    assert own == "80% ACK K7Q4"
    assert sms("high_error_rate", readings={"error_rate": {"": 0.3}}, now=dify, template="{error_rate}%").startswith(
        "30%"
    )


@pytest.mark.parametrize(
    ("lang", "told"),
    [
        ("en", "Error rate: 100%. Response time: n/a. ACK"),
        ("zh", "错误率:100%,响应时间:无。 ACK"),
    ],
)
def test_where_nothing_was_measured_no_number_and_no_unit_is_told(lang: Lang, told: str) -> None:
    """Not 0, which would read as well, and not the figure of something else."""
    now: Values = {"dify_error_rate": {"chat": 1.0}, "response_time": {"": 350.0}}
    assert told in sms("dify_api_down", lang, readings={DIFY: {"chat": 4.0}}, now=now)


def test_resources_without_figures_are_told_without() -> None:
    told = sms("resource_high_usage", readings={"cpu_usage": {"vm": 0.934}})
    assert told == "MEDIUM: MindBot resource usage high. CPU: 93.4%, Memory: n/a. ACK K7Q4"
    assert "内存:无。" in sms("resource_high_usage", "zh", readings={"cpu_usage": {"vm": 1.0}})


def test_a_name_that_nobody_knows_is_a_question_mark() -> None:
    assert sms("dify_api_down", template="{cpu_usage}% {nonsense}% {cpu_usage:>4}") == "n/a ?% n/a ACK K7Q4"


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(
    ("rule", "readings"),
    [
        ("dingtalk_connection_lost", {"dingtalk_connection_status": {"dingtalk:default": "disconnected"}}),
        (
            "dify_api_down",
            {DIFY: {"chat": 4.0}, "dify_error_rate": {"chat": 0.999}, "dify_response_time": {"chat": 120_000.0}},
        ),
        ("resource_high_usage", {"cpu_usage": {"vm": 0.999}, "memory_usage": {"vm": 0.999}}),
        ("maintenance_completed", {}),
    ],
)
def test_the_four_templates_take_one_sms_each_and_are_not_cut(rule: str, readings: Values, lang: Lang) -> None:
    told = sms(rule, lang, readings=readings)
    assert sms_parts(told) == 1
    assert "..." not in told, "nothing had to go for it"
    assert told.endswith(" ACK K7Q4")


def test_figures_of_a_falling_line_keep_their_unit() -> None:
    assert figure("disk_free", -5e9) == "-5.0GB"
    assert figure("queue_age", -90.0) == "-1m 30s"
    assert figure("cpu_usage", -0.021) == "-2.1%"
