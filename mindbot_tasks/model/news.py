"""What platforms tell us beside messages: bells, things that happened, thumbs up and down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mindbot_tasks.model.message import JSON


@dataclass(frozen=True, slots=True)
class Bell:
    """The platform says that a feed holds something new, and wants to be asked for it."""

    feed: str  #: which feed of the bot, at most 255 characters
    token: str = ""  #: shows that the pull was asked for; short-lived


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that happened on the platform and is no message."""

    external_id: str  #: as for messages: makes duplicates visible
    kind: str  #: the platform's word for it
    conversation_id: str = ""
    data: Mapping[str, JSON] = field(default_factory=dict)
    happened_at_ms: int | None = None
    #: what it means for the conversation: a person took over, or the bot has it again
    with_human: bool | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """A thumb up or down under an answer."""

    answer_ref: str  #: the platform's handle of the answer, as `send` returned it or the live answer has it
    user_id: str
    vote: Literal["up", "down"]
    message_id: int | None = None  #: ours, where the handle tells it


@dataclass(frozen=True, slots=True)
class News:
    """Everything else that a call can bring beside messages."""

    bells: Sequence[Bell] = ()
    occurrences: Sequence[Occurrence] = ()
    feedback: Sequence[Feedback] = ()
