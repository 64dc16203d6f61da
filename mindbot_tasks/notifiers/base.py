"""What a notifier is: one vendor's way to reach people. No Celery, no Flask; the outbox decides when and whom."""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol, runtime_checkable

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.model.alert import Accepted, Channel, DeliveryReport, Notification


class Notifier(Protocol):
    """Built once in a process from the settings, used by several threads at once."""

    name: str  #: as in the configuration: "twilio", "webhooks.ops"; written into the outbox
    channel: ClassVar[Channel]

    def send(self, notification: Notification, deadline: Deadline) -> Accepted:
        """Hand it to the vendor; one try, no retries of its own.

        Raises Rejected (never with this vendor: the next one is tried at once), Throttled (with retry_after_s) or
        Unavailable; after Unavailable nobody knows whether it went out, unless its code is "connect" or "tls".
        """


@runtime_checkable
class Queries(Protocol):
    """A notifier whose vendor can be asked what became of a message."""

    def query(self, provider_message_id: str, notification: Notification, deadline: Deadline) -> DeliveryReport | None:
        """None: the vendor does not know it (yet). Raises Rejected, Throttled or Unavailable."""


@runtime_checkable
class Examined(Protocol):
    """A notifier whose credentials can be tried without sending anything."""

    def examine(self, deadline: Deadline) -> str:
        """A sentence about the account. Raises Rejected for credentials that do not hold, or Unavailable."""


@runtime_checkable
class TellsCost(Protocol):
    """One whose vendor says what a message cost, some time after it took it: `query` brings it along."""

    tells_cost: ClassVar[Literal[True]]
