"""PagerDuty's Events API v2: the same dedup key is the same incident, so a repetition opens nothing anew.

https://developer.pagerduty.com/docs/events-api-v2-overview, 2026-11.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.settings import IncidentSettings
from mindbot_tasks.model.alert import Accepted, Channel, Event, Notification, Severity
from mindbot_tasks.notifiers import wire

BASE = "https://events.pagerduty.com"
_SEVERITIES = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "info",
}


class PagerDuty:
    """One service, by its routing key."""

    channel: ClassVar[Channel] = Channel.INCIDENT

    def __init__(self, name: str, settings: IncidentSettings) -> None:
        self.name = name
        self._settings = settings

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        key = notification.dedup_key[:255]
        event: dict[str, Any] = {
            "routing_key": self._settings.key.get_secret_value(),
            "event_action": str(notification.event),
            "dedup_key": key,
        }
        if notification.event is Event.TRIGGER:
            event |= {
                "client": "MindBot",
                "payload": {
                    "summary": notification.subject[:1024],
                    "source": notification.component or "mindbot",
                    "severity": _SEVERITIES[notification.severity],
                    "timestamp": datetime.fromtimestamp(notification.at_ms / 1000, UTC).isoformat(),
                    "component": notification.component,
                    "custom_details": {"alert": notification.alert_code, **notification.details},
                },
            }
            if link := notification.details.get("link"):
                event["links"] = [{"href": link, "text": notification.alert_code}]
        response = wire.accepted(
            wire.call(
                "POST",
                f"{self._settings.base_url or BASE}/v2/enqueue",
                provider=self.name,
                deadline=deadline.within(self._settings.timeout),
                json=event,
            )
        )
        told = response.json()
        if not isinstance(told, dict) or told.get("status") != "success":
            raise Unavailable("an answer without success", kind="protocol", provider=self.name, status=response.status)
        return Accepted(str(told.get("dedup_key") or key), final=True)
