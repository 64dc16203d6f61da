"""What a chat platform must be able to do; every adapter implements `Platform` and nothing more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.download import Media as Media
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import JSON, Message, Outgoing, Part
from mindbot_tasks.model.news import Bell as Bell
from mindbot_tasks.model.news import Feedback as Feedback
from mindbot_tasks.model.news import News as News
from mindbot_tasks.model.news import Occurrence as Occurrence


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
    images: bool = False  #: `send` takes image parts that are in the file store
    files: bool = False  #: the same for voice, video and other files
    called: bool = True  #: it calls us by HTTP; False: its messages come in by a bridge only


@dataclass(frozen=True, slots=True)
class Pulled:
    """One page of a feed."""

    items: Sequence[Message | Occurrence]  #: in the platform's order: one decides what the next one means
    cursor: str  #: where the next page begins
    more: bool


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


@runtime_checkable
class BringsNews(Protocol):
    """A platform whose calls hold more than messages; the door records it before it acknowledges."""

    def news(self, inbound: Inbound) -> News:
        """What else is in a verified call. Raises PayloadInvalid."""


@runtime_checkable
class Registers(Protocol):
    """A platform that has to be told by a call where to post some of what happens."""

    def register(self, url: str, deadline: Deadline) -> str:
        """Tell it; returns the name under which it keeps the URL, "" if there was nothing to tell.

        Raises Rejected, Throttled or Unavailable.
        """


@runtime_checkable
class WritesFirst(Platform, Protocol):
    """A platform on which the bot can write to somebody who has not asked."""

    def address_of(self, user_id: str, conversation_id: str) -> Mapping[str, JSON]:
        """What `send` needs to reach this person, or, with a conversation, this group. Raises Rejected: it cannot."""


@runtime_checkable
class Pulls(Protocol):
    """A platform that only rings a bell; `collect` fetches."""

    #: when a feed is read for the very first time, messages older than this are kept and not answered
    max_age_s: float

    def feeds(self) -> Sequence[str]:
        """Feeds that are known from the configuration; others become known by their first bell."""

    def pull(self, feed: str, cursor: str, token: str, deadline: Deadline) -> Pulled:
        """The page after `cursor` ("" for the oldest). Raises Rejected, Throttled or Unavailable."""


@runtime_checkable
class Reacts(Protocol):
    """A platform where something has to be done at once about what happened, such as a welcome."""

    def react(self, occurrence: Occurrence, deadline: Deadline) -> None:
        """Called at most once, after it was recorded. Raises Rejected, Throttled or Unavailable: it is not done."""


@runtime_checkable
class HandsOver(Protocol):
    """A platform where a person of the operator's can take a conversation over; the bot is silent then.

    While a person has it, `send` raises Rejected of the kind WITH_PERSON, and the message ends without an answer.
    """

    def asks_for_person(self, text: str) -> bool:
        """Whether these words ask for one. Pure."""

    def has_person(self, conversation_id: str, deadline: Deadline) -> bool:
        """Whether a person has this conversation now; sessions also end without anybody telling. Raises as `send`."""

    def hand_over(self, outgoing: Outgoing, deadline: Deadline) -> bool:
        """Pass the conversation on; `outgoing.part` is the last piece of the answer, of the kind "transfer".

        False: nobody is there to take it, and the asker was told so. The same when called again. Raises as `send`.
        """


@runtime_checkable
class HoldsMedia(Protocol):
    """A platform whose messages bring files that have to be fetched."""

    def open_media(self, part: Part, address: Mapping[str, JSON], deadline: Deadline) -> AbstractContextManager[Media]:
        """The bytes behind a part. Raises Rejected (gone, refused), Throttled or Unavailable."""


@runtime_checkable
class ShowsLive(Protocol):
    """A platform where the answer can be watched while it grows, and is finished by `send`."""

    def begin_live(self, target: LiveTarget, deadline: Deadline) -> LiveAnswer | None:
        """Open, or after a crash take up again, the visible answer of this message; None: not for this message.

        `deadline.check` also tells whether this process may still speak for the message; look before each update.
        """

    def abandon_live(self, target: LiveTarget, text: str, deadline: Deadline) -> None:
        """Nothing will be sent: what was begun, if anything was, ends with this text. Nothing new is begun.

        Never raises.
        """


@dataclass(frozen=True, slots=True)
class LiveTarget:
    """Where a live answer goes; the same for each try, so that a second try finds what the first one began."""

    message_id: int
    answer_key: str  #: as in `Outgoing`
    conversation_id: str
    conversation_kind: str
    sender_id: str
    address: Mapping[str, JSON]


class LiveAnswer(Protocol):
    """The growing answer of one message. Never raises: what cannot be shown live is sent at the end."""

    def __call__(self, text: str) -> None:
        """The whole text so far; decides itself how often to show it, and does not wait for the far side."""

    def end(self) -> None:
        """From here on `send` has the word: returns when no update is under way, and begins no further one."""


@runtime_checkable
class KnowsPeople(Protocol):
    """A platform whose messages come without the names of people, and that can be asked for them."""

    def name_of(self, user_id: str, deadline: Deadline) -> str:
        """The name, "" if there is none or nobody may know it. Raises Rejected, Throttled or Unavailable."""


@runtime_checkable
class Examined(Protocol):
    """A platform that can say whether it works, by its cheapest authenticated call."""

    def examine(self, deadline: Deadline) -> str:
        """What was called, in words for `mindbot doctor`. Raises Rejected, Throttled or Unavailable."""


@runtime_checkable
class UsesTokens(Protocol):
    """A platform whose calls need access tokens of `stores.tokens`."""

    @property
    def token_names(self) -> Sequence[str]:
        """Under which names they are kept."""
