"""What SMS vendors tell us by themselves, read; light, because the web process reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mindbot_tasks.model.alert import Delivery, DeliveryReport

_TWILIO = {
    "accepted": Delivery.ACCEPTED,
    "scheduled": Delivery.ACCEPTED,
    "queued": Delivery.ACCEPTED,
    "sending": Delivery.ACCEPTED,
    "sent": Delivery.SENT,
    "delivered": Delivery.DELIVERED,
    "read": Delivery.DELIVERED,
    "partially_delivered": Delivery.UNDELIVERED,
    "undelivered": Delivery.UNDELIVERED,
    "failed": Delivery.UNDELIVERED,
    "canceled": Delivery.UNDELIVERED,
}


def twilio_state(status: str) -> Delivery | None:
    """What Twilio's word means; None: a word of later days, which changes nothing."""
    return _TWILIO.get(status.lower())


def alibaba_reports(items: Sequence[dict[str, Any]]) -> Iterator[tuple[str, DeliveryReport]]:
    """The delivery reports among these: BizId and what it says."""
    for item in items:
        if item.get("biz_id") and "success" in item:
            arrived = item["success"] in (True, "true", 1)
            state = Delivery.DELIVERED if arrived else Delivery.UNDELIVERED
            yield str(item["biz_id"]), DeliveryReport(state, str(item.get("err_code") or "")[:40])


def alibaba_replies(items: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """People's answers among these: phone number and text. The names of the fields are as in the documentation."""
    for item in items:
        if "content" in item and "success" not in item:
            yield str(item.get("phone_number") or ""), str(item["content"] or "")
