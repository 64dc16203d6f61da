"""Who is told when something is wrong, and what counts as wrong."""

from __future__ import annotations

from typing import Literal

from mindbot_tasks.core.settings.notifiers import AlertWebhookSettings, EmailSettings, SmsSettings
from mindbot_tasks.core.settings.section import AtLeastOne, Seconds, Section


class RecipientSettings(Section):
    name: str
    phone: str = ""
    email: str = ""
    escalation_level: AtLeastOne = 1


class RuleSettings(Section):
    enabled: bool = True
    condition: str
    severity: Literal["critical", "high", "medium", "low"] = "medium"
    immediate_sms: bool = False
    escalation_timeout: Seconds = 1800


class AlertManagerSettings(Section):
    enabled: bool = True
    health_check_interval: Seconds = 30
    alert_cooldown: Seconds = 300
    sms: SmsSettings = SmsSettings()
    email: EmailSettings | None = None
    webhooks: dict[str, AlertWebhookSettings] = {}
    recipients: dict[str, list[RecipientSettings]] = {}  #: by group
    rules: dict[str, RuleSettings] = {}
