"""What a chat platform must be able to do; every adapter implements `Platform` and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Message, Outgoing, Part


@dataclass(frozen=True, slots=True)
class Inbound:
    """One webhook call as it came; header names are lower case."""

    method: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    received_at_ms: int


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the platform wants to read back at once."""

    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the platform can do, for stages that must not know its name."""

    markdown: bool = False
    live: bool = False  #: people can watch the answer grow
    idempotent_send: bool = False  #: sending the same `Outgoing.key` twice shows one message
    pull: bool = False  #: the asker fetches the answer; there may be nothing to send


class Platform(Protocol):
    """One bot on one chat platform."""

    name: ClassVar[str]
    bot: str
    capabilities: Capabilities

    def verify(self, inbound: Inbound) -> None:
        """Return if the platform signed this call; else raise SignatureInvalid."""

    def parse(self, inbound: Inbound) -> list[Message]:
        """The messages in a verified call, none for a ping. Raises PayloadInvalid."""

    def acknowledge(self, inbound: Inbound, message_ids: Sequence[int]) -> Acknowledgement:
        """What to answer once `message_ids` (ours, in the order of `parse`) are safely recorded."""

    def render(self, answer: Answer) -> list[Part]:
        """The pieces to send, each within the platform's limits. Pure."""

    def send(self, outgoing: Outgoing, deadline: Deadline) -> str:
        """Deliver one piece; return the platform's id of it ("" if it gives none).

        Raises Rejected, Throttled or Unavailable.
        """
