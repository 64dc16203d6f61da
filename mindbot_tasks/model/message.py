"""What people say to the bot and what it says back, the same for every platform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypeAlias

JSON: TypeAlias = bool | int | float | str | list[Any] | dict[str, Any] | None

ConversationKind = Literal["one_to_one", "group"]
PartKind = Literal[
    "text",
    "markdown",
    "image",
    "voice",
    "video",
    "file",
    "link",
    "location",
    "card",
    "quote",
    "mention",
    "transfer",
    "unknown",
]


class State(StrEnum):
    """Where a message is. The first five are on the way; the rest are ends."""

    RECEIVED = "received"
    CLASSIFIED = "classified"
    ANSWERED = "answered"
    REPLYING = "replying"
    REPLIED = "replied"
    APOLOGISED = "apologised"
    EXPIRED = "expired"
    QUARANTINED = "quarantined"
    IGNORED = "ignored"


FINISHED = frozenset({State.REPLIED, State.APOLOGISED, State.EXPIRED, State.QUARANTINED, State.IGNORED})


class Stage(StrEnum):
    """The stages of a conversation; also their task names (`mindbot.<stage>`) and queue names."""

    CLASSIFY = "classify"
    GENERATE = "generate"
    REPLY = "reply"
    APOLOGISE = "apologise"


class Verdict(StrEnum):
    """Why a message will not get its answer; a message with a verdict only goes to `apologise`."""

    FAILED = "failed"  # every way to answer, or to deliver, said no
    LATE = "late"  # its deadline is near
    POISON = "poison"  # it took its worker down too often
    CANCELLED = "cancelled"  # a person stopped it


#: labels that the door gives to a message, where all others get theirs from `classify`
ASKS_STATUS = "/status"  #: answered at once, before those that it asks about
OVER_LIMIT = "/limited"  #: gets the one polite notice
#: label of a message that nobody asked for: it begins as an answer, and nobody waits for an apology
UNASKED = "unasked"


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a message: `text` for words (or a caption, or recognised speech), `data` for the rest.

    The same names in `data` everywhere; each may be missing, and a platform may add its own (ids to fetch a file by):

    image, voice, video, file   file (id in the file store), url, name, media_type, size, duration_ms, unavailable (why)
    link                        url, title, description
    location                    latitude, longitude, name, address
    card                        title, url, buttons: [{title, url}]
    quote, mention              message_id, user_id, name
    """

    kind: PartKind
    text: str = ""
    data: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """One incoming message, as a platform's parser understood it."""

    platform: str
    bot: str  #: name of the bot on that platform; "default" for the single form of the configuration
    external_id: str  #: the platform's own id: the key that makes duplicates visible
    conversation_id: str  #: the platform's id of the conversation
    conversation_kind: ConversationKind
    sender_id: str  #: the platform's id of the person
    sender_name: str
    parts: tuple[Part, ...]
    address: Mapping[str, JSON]  #: whatever the platform needs later to send the answer
    conversation_title: str = ""
    sent_at_ms: int | None = None  #: the platform's clock, milliseconds since 1970
    addressed: bool = True  #: False: not for the bot, such as a group message without a mention; kept and left alone
    ignored_because: str = ""  #: words for the timeline of one that is not addressed
    from_bot: bool = False  #: the platform says that a program wrote it, perhaps this bot itself

    @property
    def text(self) -> str:
        """All words of the message, in order."""
        return words_of((part.kind, part.text, part.data) for part in self.parts)


def words_of(parts: Iterable[tuple[str, str, Mapping[str, JSON]]]) -> str:
    """All words of the parts (kind, text, data), in order; of a place also where it is, of a link where it leads.

    >>> words_of([("quote", "E = mc2", {}), ("text", "What does it mean?", {})])
    '> E = mc2\\n\\nWhat does it mean?'
    """
    return "\n".join(words for part in parts if (words := _words_of(*part))).strip()


def _words_of(kind: str, text: str, data: Mapping[str, JSON]) -> str:
    match kind:
        case "quote" if text:  # somebody else's words, or earlier ones: whoever answers must be able to tell
            return "\n".join(f"> {line}".rstrip() for line in text.splitlines()) + "\n"
        case "location":
            point = [data.get("latitude"), data.get("longitude")]
            where = f"({point[0]}, {point[1]})" if all(isinstance(each, int | float) for each in point) else ""
            name = text or "\n".join(each for each in (data.get("name"), data.get("address")) if isinstance(each, str))
            return " ".join(filter(None, (name, where)))
        case "link":
            title, url = text or data.get("title"), data.get("url")
            named = title if isinstance(title, str) else ""
            return "\n".join(filter(None, (named, url if isinstance(url, str) and url not in named else "")))
        case _:
            return text


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One sendable piece of an answer, on its way to the platform."""

    message_id: int
    platform: str
    bot: str
    conversation_id: str  #: the platform's id
    conversation_kind: ConversationKind
    sender_id: str  #: the platform's id of the person who asked
    address: Mapping[str, JSON]  #: as stored from `Message.address`
    part: Part  #: as rendered by the platform
    number: int  #: 0, 1, 2 ... within the answer
    total: int
    key: str  #: the same for every try of this piece: give it to platforms with an idempotent send
    resend: bool = False  #: an earlier try of this very piece may have gone out
    answer_key: str = ""  #: names the whole answer: the same for every piece and try, another one for a replay
    earlier_tries: int = 0  #: of this stage; any of them may have gone out if its outcome was not told
    apology: bool = False  #: said instead of an answer
