"""Opsgenie's alert API, for as long as it lives: the alias is the identity of an alert there.

https://docs.opsgenie.com/docs/alert-api, 2026-11. Atlassian retires it; PagerDuty or a webhook are for new set-ups.
"""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import quote

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import IncidentSettings
from mindbot_tasks.model.alert import Accepted, Channel, Delivery, DeliveryReport, Event, Notification, Severity
from mindbot_tasks.notifiers import wire

BASE = "https://api.opsgenie.com"
_PRIORITIES = {Severity.CRITICAL: "P1", Severity.HIGH: "P2", Severity.MEDIUM: "P3", Severity.LOW: "P5"}
_PATHS = {Event.ACKNOWLEDGE: "acknowledge", Event.RESOLVE: "close"}


class Opsgenie:
    """One integration, by its API key."""

    channel: ClassVar[Channel] = Channel.INCIDENT

    def __init__(self, name: str, settings: IncidentSettings) -> None:
        self.name = name
        self._settings = settings

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        alias = notification.dedup_key[:512]
        if notification.event is Event.TRIGGER:
            told = self._asked("POST", "/v2/alerts", deadline, json=self._alert(notification, alias))
        else:
            path = f"/v2/alerts/{quote(alias, safe='')}/{_PATHS[notification.event]}"
            body = {"source": "MindBot", "note": notification.subject[:25_000]}
            told = self._asked("POST", path, deadline, json=body, params={"identifierType": "alias"})
        return Accepted(str(told.get("requestId", "")))

    def query(self, provider_message_id: str, notification: Notification, deadline: Deadline) -> DeliveryReport | None:
        """It only says "will be processed" at first; later it can be asked whether it was."""
        path = f"/v2/alerts/requests/{quote(provider_message_id, safe='')}"
        told = self._asked("GET", path, deadline).get("data") or {}
        if "success" not in told:
            return None
        state = Delivery.DELIVERED if told["success"] else Delivery.UNDELIVERED
        return DeliveryReport(state, str(told.get("status", ""))[:40])

    def _alert(self, notification: Notification, alias: str) -> dict[str, Any]:
        alert: dict[str, Any] = {
            "message": notification.subject[:130],
            "alias": alias,
            "description": notification.long_text[:15_000],
            "priority": _PRIORITIES[notification.severity],
            "tags": ["mindbot", str(notification.severity)],
            "entity": notification.component[:512],
            "source": "MindBot",
            "details": {"alert": notification.alert_code, **notification.details},
        }
        if self._settings.responders:
            alert["responders"] = [{"name": name, "type": "team"} for name in self._settings.responders]
        return alert

    def _asked(self, method: str, path: str, deadline: Deadline, **options: Any) -> dict[str, Any]:
        told = wire.accepted(
            wire.call(
                method,
                f"{self._settings.base_url or BASE}{path}",
                provider=self.name,
                deadline=deadline.within(self._settings.timeout),
                headers={"Authorization": f"GenieKey {self._settings.key.get_secret_value()}"},
                **options,
            )
        ).json()
        return told if isinstance(told, dict) else {}
