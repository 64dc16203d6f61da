"""Every notifier that the configuration switches on, in the order in which they are tried within a channel."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from mindbot_tasks.core.settings import Settings, SmsProviderSettings, SmsSettings
from mindbot_tasks.notifiers.base import Notifier

log = structlog.get_logger(__name__)

#: where Twilio tells what became of a message, below the public address
TWILIO_STATUS = "/webhooks/twilio/status"


def build(settings: Settings) -> list[Notifier]:
    """Primary before backups. One whose settings cannot be used is left out, with a log line; nothing is called."""
    alerts = settings.alert_manager
    if alerts is None or not alerts.enabled:
        return []
    built: list[Notifier] = []
    for name in sms_order(alerts.sms):
        sms = _sms(name, alerts.sms.providers[name], settings)
        if sms is not None:
            built.append(sms)
    if alerts.email is not None and alerts.email.enabled:
        from mindbot_tasks.notifiers.mail import Mail

        built.append(Mail("email", alerts.email))
    for name, hook in alerts.webhooks.items():
        if hook.enabled:
            from mindbot_tasks.notifiers.webhook import Webhook

            built.append(Webhook(f"webhooks.{name}", hook))
    return [*built, *_incidents(settings)]


def sms_order(sms: SmsSettings) -> list[str]:
    """The names of the SMS vendors that are on: the primary one, the backups, then the others as written."""
    wanted = [sms.primary_provider, *sms.backup_providers, *sms.providers]
    return list(dict.fromkeys(name for name in wanted if name in sms.providers and sms.providers[name].enabled))


def kind_of(name: str, provider: SmsProviderSettings) -> str:
    """Which vendor it is: its type, else its name."""
    return (provider.type or name).lower()


def _sms(name: str, provider: SmsProviderSettings, settings: Settings) -> Notifier | None:
    match kind_of(name, provider):
        case "twilio":
            from mindbot_tasks.notifiers.twilio_sms import TwilioSms

            if not (provider.from_number or provider.messaging_service_sid):
                log.error("notifier_unusable", notifier=name, reason="neither from_number nor messaging_service_sid")
                return None
            public = settings.web.public_url.rstrip("/")
            return TwilioSms(name, provider, status_callback=f"{public}{TWILIO_STATUS}/{name}" if public else "")
        case "aws_sns" | "sns":
            from mindbot_tasks.notifiers.sns import SnsSms

            return SnsSms(name, provider)
        case "alibaba_sms" | "alibaba":
            from mindbot_tasks.notifiers.alibaba import AlibabaSms

            return AlibabaSms(name, provider)
        case kind:
            log.error("notifier_unusable", notifier=name, reason=f"nobody knows the type {kind[:40]}")
            return None


def _incidents(settings: Settings) -> Iterator[Notifier]:
    assert settings.alert_manager is not None  # noqa: S101 - `build` has looked
    for name, service in settings.alert_manager.incidents.items():
        if not service.enabled:
            continue
        match service.type or name.lower():
            case "pagerduty":
                from mindbot_tasks.notifiers.pagerduty import PagerDuty

                yield PagerDuty(f"incidents.{name}", service)
            case "opsgenie":
                from mindbot_tasks.notifiers.opsgenie import Opsgenie

                yield Opsgenie(f"incidents.{name}", service)
            case _:
                log.error("notifier_unusable", notifier=name, reason="its type is neither pagerduty nor opsgenie")
