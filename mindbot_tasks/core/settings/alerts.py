"""What counts as wrong, who is told about it, and in which order."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from mindbot_tasks.core.settings.notifiers import AlertWebhookSettings, EmailSettings, IncidentSettings, SmsSettings
from mindbot_tasks.core.settings.section import AtLeastOne, Count, DatabaseUrl, Port, Seconds, Section, Url, Wrong
from mindbot_tasks.core.words import Sentence

Wait = Annotated[float, Field(ge=0)]
_HOURS = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]|24):([0-5]\d)")


def _check_condition(text: str) -> str:
    if text:
        from mindbot_tasks.core.condition_parser import ConditionError, parse  # only who has rules needs it

        try:
            parse(text)
        except ConditionError as exc:
            raise Wrong(exc.sentence, exc.hint) from exc
    return text


def _check_hours(text: str) -> str:
    if text and not _HOURS.fullmatch(text.strip()):
        raise Wrong(Sentence("settings.bad_hours"))
    return text


def _check_timezone(name: str) -> str:
    if name:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise Wrong(Sentence("settings.bad_timezone")) from None
    return name


def _check_moment(text: str) -> str:
    if text:
        try:
            datetime.fromisoformat(text)
        except ValueError:
            raise Wrong(Sentence("settings.bad_moment")) from None
    return text


def _check_template(text: str) -> str:
    if text:
        try:
            text.format_map(_AnyField())
        except (ValueError, IndexError, KeyError, AttributeError, TypeError):
            raise Wrong(Sentence("settings.bad_template")) from None
    return text


class _AnyField(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return key


def _as_text(value: Any) -> Any:
    """A date without quotes is a date to YAML."""
    return value.isoformat() if hasattr(value, "isoformat") else value


ConditionText = Annotated[str, AfterValidator(_check_condition)]
Hours = Annotated[str, AfterValidator(_check_hours)]  #: "22:00-07:00"
Timezone = Annotated[str, AfterValidator(_check_timezone)]  #: "Asia/Shanghai"; "" means: that of alert_manager
Moment = Annotated[str, BeforeValidator(_as_text), AfterValidator(_check_moment)]
Template = Annotated[str, AfterValidator(_check_template)]
SeverityName = Literal["critical", "high", "medium", "low"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class RecipientSettings(Section):
    name: str
    phone: str = ""
    email: str = ""
    chat: str = ""  #: "platform:bot:user id": a message through MindBot itself
    escalation_level: AtLeastOne = 1
    language: Literal["", "en", "zh"] = ""  #: "" means: that of alert_manager
    quiet_hours: Hours = ""
    timezone: Timezone = ""


class RotationSettings(Section):
    """People who take turns at one level."""

    members: list[str]  #: names of recipients
    escalation_level: AtLeastOne = 1
    starts: Moment = "2026-01-05T09:00"  #: when the first of them began
    shift_hours: Annotated[float, Field(gt=0)] = 168
    timezone: Timezone = ""


class RemedySettings(Section):
    """Something safe that is done by itself when a rule fires."""

    action: Literal["reopen_stream", "recycle_pool", "switch_provider_off", "drain"]
    target: str = ""  #: "" means: what the alert is about
    at_most: AtLeastOne = 1  #: times
    within: Seconds = 3600


class RuleSettings(Section):
    also_called: ClassVar[dict[str, str]] = {"for": "hold"}

    enabled: bool = True
    condition: ConditionText
    severity: SeverityName = "medium"
    immediate_sms: bool = False
    escalation_timeout: Seconds = 1800
    hold: Wait = 0  #: written `for`
    keep_firing_for: Wait = 30
    cooldown: Wait | None = None  #: None: alert_cooldown
    labels: dict[str, str] = {}
    group_by: Literal["rule", "subject"] = "rule"
    inhibits: list[str] = []
    no_data: Literal["keep", "ok", "firing"] = "keep"
    template: Template = ""
    template_zh: Template = ""
    hint: str = ""
    remedy: RemedySettings | None = None


class ProbeSettings(Section):
    """Something of yours that is looked at every so often."""

    enabled: bool = True
    type: Literal["http", "tcp", "sql"]
    url: Url = ""
    host: str = ""
    port: Port | None = None
    database_url: DatabaseUrl = SecretStr("")  #: "" means: MindBot's own
    query: str = ""
    expect_status: Annotated[int, Field(ge=100, le=599)] | None = None  #: None: any 2xx
    expect_text: str = ""
    value: str = ""  #: dotted path of a number in a JSON answer
    interval: Seconds | None = None  #: None: health_check_interval
    timeout: Seconds = 5
    alert: bool = True  #: the rule `probe_failed` looks at it

    @model_validator(mode="after")
    def _has_what_its_type_needs(self) -> ProbeSettings:
        needed = {"http": ("url",), "tcp": ("host", "port"), "sql": ("query",)}[self.type]
        for key in needed:
            if not getattr(self, key):
                raise Wrong(Sentence("settings.needs_key", value=self.type, key=key))
        return self


class MaintenanceSettings(Section):
    """A window that comes back, in which alerts that match tell nobody."""

    match: dict[str, str] = {}  #: label -> pattern; {}: everything
    days: list[Weekday] = []  #: []: every day
    hours: Hours
    timezone: Timezone = ""


class AlertLimitsSettings(Section):
    """How much one person is told."""

    burst: AtLeastOne = 3
    burst_window: Seconds = 300
    per_hour: AtLeastOne = 20
    ceiling_per_hour: AtLeastOne = 60  #: also for critical alerts
    cost_per_day: Annotated[float, Field(gt=0)] | None = None  #: of all recipients; critical alerts go on


class AlertManagerSettings(Section):
    enabled: bool = True
    health_check_interval: Seconds = 30
    alert_cooldown: Wait = 300
    default_rules: bool = True
    disabled_rules: list[str] = []  #: of those that come along; `enabled: false` of a rule says the same
    repeat_interval: Seconds = 14_400
    acknowledged_reminder: Seconds = 14_400
    resolved_notices: bool = True
    quiet_severity: SeverityName = "medium"  #: quiet hours hold back this and what is milder
    language: Literal["en", "zh"] = "en"
    timezone: Timezone = "UTC"
    retention_days: AtLeastOne = 400
    probe_retention_days: AtLeastOne = 14
    anomaly_weeks: Annotated[int, Field(ge=1, le=26)] = 4
    sms: SmsSettings = SmsSettings()
    email: EmailSettings | None = None
    webhooks: dict[str, AlertWebhookSettings] = {}
    incidents: dict[str, IncidentSettings] = {}
    recipients: dict[str, list[RecipientSettings]] = {}  #: by group
    rotations: dict[str, RotationSettings] = {}
    rules: dict[str, RuleSettings] = {}
    probes: dict[str, ProbeSettings] = {}
    maintenance: dict[str, MaintenanceSettings] = {}
    limits: AlertLimitsSettings = AlertLimitsSettings()
    watch_web: Url = ""  #: what the watchdog asks for; "" means: this machine's web process
    heartbeat_url: Url = ""
    max_reopenings: Count = 3  #: an alert that came back more often is flapping
