"""The rules that hold here: those of the configuration, and those that come with MindBot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Final, Literal

from mindbot_tasks.core.condition_parser import parse
from mindbot_tasks.core.conditions import Condition, readings
from mindbot_tasks.core.settings import AlertManagerSettings, RuleSettings
from mindbot_tasks.core.settings.alerts import RemedySettings
from mindbot_tasks.model.alert import Severity

#: speaks of probes that no other rule speaks of
FALLBACK: Final = "probe_failed"
FALLBACK_METRIC: Final = "check_failed"


@dataclass(frozen=True, slots=True)
class Rule:
    """What counts as wrong, how bad it is, and how it is told."""

    name: str
    condition: Condition
    written: str  #: the condition as people wrote it
    severity: Severity
    immediate_sms: bool
    escalation_s: float
    hold_s: float
    keep_s: float
    cooldown_s: float
    group_by: Literal["rule", "subject"]
    inhibits: tuple[str, ...]
    no_data: Literal["keep", "ok", "firing"]
    labels: Mapping[str, str] = field(default_factory=dict)
    template: str = ""
    template_zh: str = ""
    hint: str = ""
    remedy: RemedySettings | None = None
    leaves_out: frozenset[str] = frozenset()  #: subjects that other rules speak of


def _rule(condition: str, severity: str, *, sms: bool, escalate_s: float, **more: Any) -> RuleSettings:
    return RuleSettings.model_validate(
        {"condition": condition, "severity": severity, "immediate_sms": sms, "escalation_timeout": escalate_s, **more}
    )


def _defaults() -> Mapping[str, RuleSettings]:
    """The four of the reference configuration, and what else nobody should have to think of."""
    return MappingProxyType(
        {
            "dingtalk_connection_lost": _rule(
                "dingtalk_connection_status == 'disconnected'", "critical", sms=True, escalate_s=300
            ),
            "dify_api_down": _rule("dify_health_check_failed > 3", "high", sms=True, escalate_s=600),
            "high_error_rate": _rule("error_rate > 10%", "medium", sms=False, escalate_s=1800),
            "resource_high_usage": _rule(
                "cpu_usage > 80% OR memory_usage > 90%", "medium", sms=False, escalate_s=3600, hold=60
            ),
            "broker_down": _rule(
                "broker_up == false", "critical", sms=True, escalate_s=300,
                inhibits=["queue_*", "no_worker", "beat_silent", "dingtalk_connection_lost", "connection_lost"],
            ),
            "database_slow": _rule(
                "database_up == false OR database_response_time > 1s", "high", sms=True, escalate_s=600, hold=20,
                inhibits=["queue_*", "no_worker", "beat_silent", "high_error_rate", "slow_answers", "database_pool"],
            ),
            "database_pool": _rule("database_pool_usage > 90%", "medium", sms=False, escalate_s=1800, hold=60),
            "no_worker": _rule(
                "unserved_queues > 0", "critical", sms=True, escalate_s=300, hold=20,
                inhibits=["queue_*", "slow_answers", "high_error_rate"],
            ),
            "queue_waits": _rule("queue_age > 2m", "high", sms=True, escalate_s=600, inhibits=["slow_answers"]),
            "queue_stuck": _rule("queue_canary_age > 2m", "high", sms=True, escalate_s=600),
            "queue_fills": _rule("forecast(queue_depth, 4h) > 50000", "medium", sms=False, escalate_s=3600, hold=120),
            # the watchdog calls at once, this is for where there is none
            "beat_silent": _rule("beat_age > 60s", "high", sms=False, escalate_s=600, hold=30),
            "connection_lost": _rule(
                "connection_status == 'disconnected'", "high", sms=True, escalate_s=600
            ),
            "platform_trouble": _rule(
                "platform_ok == false OR platform_check_failed > 1", "medium", sms=False, escalate_s=1800, hold=60
            ),
            "provider_down": _rule("provider_check_failed > 3", "high", sms=True, escalate_s=600),
            "provider_fails": _rule("provider_success_rate < 50%", "medium", sms=False, escalate_s=1800, hold=60),
            "message_quarantined": _rule("quarantined_messages > 0", "high", sms=True, escalate_s=1800),
            "slow_answers": _rule(
                "anomaly(response_time) > 4 AND response_time > 2s", "medium", sms=False, escalate_s=3600, hold=120
            ),
            "unusual_traffic": _rule(
                "anomaly(throughput) > 6 OR anomaly(throughput) < -6", "low", sms=False, escalate_s=3600, hold=600
            ),
            "budget_nearly_used": _rule("budget_used >= 90%", "medium", sms=False, escalate_s=3600),
            "disk_full": _rule("disk_usage > 95%", "high", sms=True, escalate_s=1800, inhibits=["disk_fills"]),
            "disk_fills": _rule(
                "forecast(disk_usage, 24h) > 97% AND disk_usage > 50%", "medium", sms=False, escalate_s=3600, hold=600
            ),
            "redis_full": _rule("redis_memory_usage > 90%", "high", sms=True, escalate_s=1800),
            "vector_store_down": _rule("vector_store_up == false", "medium", sms=False, escalate_s=1800, hold=60),
            "flower_down": _rule("flower_up == false", "low", sms=False, escalate_s=3600, hold=120),
            "certificate_expires": _rule("certificate_left < 14d", "medium", sms=False, escalate_s=86_400),
            "model_retires": _rule(
                "model_left < 30d", "medium", sms=False, escalate_s=86_400
            ),
            "model_missing": _rule("model_listed == false", "high", sms=False, escalate_s=3600),
            "probe_failed": _rule("check_failed > 2", "high", sms=True, escalate_s=600),
        }
    )  # fmt: skip


#: rules that judge something which is off by itself cost nothing: their metrics have no data
DEFAULT_RULES: Final = _defaults()


def rules_of(settings: AlertManagerSettings) -> dict[str, Rule]:
    """By name; a configured rule takes the place of the one that comes along."""
    defaults = {name: rule for name, rule in DEFAULT_RULES.items() if name not in settings.disabled_rules}
    written = {**(defaults if settings.default_rules else {}), **settings.rules}
    made = {name: _made(name, rule, settings) for name, rule in written.items() if rule.enabled}
    if FALLBACK in made and FALLBACK not in settings.rules:
        _leave_to_others(made)
    return made


def _leave_to_others(rules: dict[str, Rule]) -> None:
    """A probe of one's own that a rule of one's own judges is told once, in the words of that rule."""
    spoken_of = {
        reading.subject
        for name, rule in rules.items()
        if name != FALLBACK
        for reading in readings(rule.condition)
        if reading.metric == FALLBACK_METRIC
    }
    if "" in spoken_of:  # a rule for all of them
        del rules[FALLBACK]
    elif spoken_of:
        rules[FALLBACK] = replace(rules[FALLBACK], leaves_out=frozenset(spoken_of))


def _made(name: str, rule: RuleSettings, settings: AlertManagerSettings) -> Rule:
    builtin = DEFAULT_RULES.get(name)
    # the reference configuration says nothing of inhibition; what comes along does
    inhibits = rule.inhibits or (builtin.inhibits if builtin else [])
    return Rule(
        name=name[:80],  # as long as its column
        condition=parse(rule.condition),
        written=rule.condition,
        severity=Severity(rule.severity),
        immediate_sms=rule.immediate_sms,
        escalation_s=rule.escalation_timeout,
        hold_s=rule.hold,
        keep_s=rule.keep_firing_for,
        cooldown_s=settings.alert_cooldown if rule.cooldown is None else rule.cooldown,
        group_by=rule.group_by,
        inhibits=tuple(inhibits),
        no_data=rule.no_data,
        labels=dict(rule.labels),
        template=rule.template,
        template_zh=rule.template_zh,
        hint=rule.hint,
        remedy=rule.remedy,
    )


def plain(name: str, severity: Severity, settings: AlertManagerSettings) -> Rule:
    """A rule without a condition of its own: for what the watchdog saw, and for drills."""
    return _made(name, _rule("database_up == false", severity.value, sms=True, escalate_s=300), settings)
