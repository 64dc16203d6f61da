"""Alerts as signed JSON to an address of the operator's own."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Any, ClassVar

import orjson

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.http import ANYWHERE, PUBLIC
from mindbot_tasks.core.settings import AlertWebhookSettings
from mindbot_tasks.model.alert import Accepted, Channel, Notification
from mindbot_tasks.notifiers import wire


class Webhook:
    """One address. 2xx is delivered; the receiver knows a repetition by its Idempotency-Key."""

    channel: ClassVar[Channel] = Channel.WEBHOOK

    def __init__(self, name: str, settings: AlertWebhookSettings) -> None:
        self.name = name
        self._settings = settings

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        body = orjson.dumps(content_of(notification))
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(notification.id)}
        if self._settings.secret is not None:
            headers |= sign(self._settings.secret.get_secret_value(), body, now_s=int(time.time()))
        wire.accepted(
            wire.call(
                "POST",
                self._settings.url,
                provider=self.name,
                deadline=deadline.within(self._settings.timeout),
                headers=headers,
                body=body,
                destinations=ANYWHERE if self._settings.allow_private else PUBLIC,
            )
        )
        return Accepted(str(notification.id), final=True)


def content_of(notification: Notification) -> dict[str, Any]:
    """What is sent; documented in docs/alerts.md."""
    return {
        "event": notification.event,
        "alert": notification.alert_code,
        "dedup_key": notification.dedup_key,
        "severity": notification.severity,
        "component": notification.component,
        "summary": notification.subject,
        "text": notification.long_text,
        "at_ms": notification.at_ms,
        "recipient": notification.recipient,
        "notification_id": notification.id,
        "details": dict(notification.details),
    }


def sign(secret: str, body: bytes, *, now_s: int) -> dict[str, str]:
    """The headers that prove who called: hex HMAC-SHA256 of "timestamp.body"."""
    signature = hmac.new(secret.encode(), f"{now_s}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-MindBot-Timestamp": str(now_s), "X-MindBot-Signature": f"sha256={signature}"}
