"""What is wrong, and how somebody is told: severities, the states of an alert, and one notification on its way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Severity(StrEnum):
    """How bad it is; from worst to mildest."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)

    @property
    def wakes(self) -> bool:
        """Whether a message too many is better than silence."""
        return self in (Severity.CRITICAL, Severity.HIGH)


class AlertState(StrEnum):
    """Where an alert is; `resolved` is its end."""

    FIRING = "firing"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class Channel(StrEnum):
    """Kinds of ways to reach people; a notifier is of one kind."""

    SMS = "sms"
    EMAIL = "email"
    WEBHOOK = "webhook"
    INCIDENT = "incident"  #: PagerDuty, Opsgenie
    CHAT = "chat"  #: through a platform of MindBot itself


class Event(StrEnum):
    """What a notification is about."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


class Delivery(StrEnum):
    """What is known of a notification after its vendor took it, in the order in which it can only advance."""

    ACCEPTED = "accepted"  #: the vendor has it; with some vendors nobody ever knows more
    SENT = "sent"  #: handed to the carrier
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"  #: it did not arrive: the next vendor is tried at once

    @property
    def rank(self) -> int:
        """Callbacks come out of order; what is known never goes back."""
        return (0, 1, 2, 2)[list(Delivery).index(self)]


@dataclass(frozen=True, slots=True)
class Notification:
    """One message to one recipient by one channel; what does not apply to a channel is left aside by it."""

    id: int  #: of the outbox; the same for every try, so it serves as idempotency key
    alert_code: str  #: short, for people to type: "K7Q4"
    event: Event
    severity: Severity
    recipient: str  #: the name
    address: str  #: phone number, e-mail address, "platform:bot:user"; "" where the notifier has its own (webhooks)
    subject: str  #: one line
    short: str  #: for SMS
    long_text: str  #: for e-mail
    long_html: str
    dedup_key: str  #: the same for all notifications of one alert
    component: str  #: what it is about: "dingtalk:default", "disk"
    at_ms: int  #: when what it tells of happened
    lang: str = "en"
    details: Mapping[str, str] = field(default_factory=dict)  #: rule, level, metric values, link to acknowledge ...


@dataclass(frozen=True, slots=True)
class Accepted:
    """The vendor took it."""

    provider_message_id: str
    cost: float | None = None  #: None: the vendor did not say
    currency: str = ""
    segments: int = 1  #: parts of an SMS
    final: bool = False  #: nobody will ever know more (no receipts): count it as delivered


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What a vendor says when it is asked for a message, or by a callback."""

    state: Delivery
    code: str = ""  #: the vendor's own
    cost: float | None = None
    currency: str = ""


Phase = Literal["idle", "pending", "firing"]


@dataclass(frozen=True, slots=True)
class Track:
    """How long the condition of one rule has held for one subject."""

    phase: Phase = "idle"
    since: int = 0  #: in this phase (ms)
    false_since: int | None = None  #: firing, and not true any more
