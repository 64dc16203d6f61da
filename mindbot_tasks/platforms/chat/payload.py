"""What another system posts to the generic platform, and the message it means."""

from __future__ import annotations

import typing
from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator

from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.model.message import JSON, Message, Part, PartKind
from mindbot_tasks.platforms.payload import (
    MAX_NAME_CHARS,
    Degrees,
    Flag,
    Payload,
    Text,
    an_id,
    list_or_empty,
    object_or_empty,
)

MESSAGE_CREATED = "message.created"
MESSAGE_BATCH = "message.batch"
MOST_MESSAGES = 100  #: of one call
_KINDS = frozenset(typing.get_args(PartKind))
_KIND_BY_TYPE: dict[str, PartKind] = {"image": "image", "audio": "voice", "video": "video"}
_MAX_PARTS = 100
_MAX_URL_CHARS = 2000
_MAX_WORDS_CHARS = 500


class SentPart(Payload):
    """One of `data.parts`: a file, a picture, more words."""

    kind: Text = ""
    text: Text = ""
    url: Text = ""
    name: Text = ""
    mime: Text = ""
    content: Text = ""
    title: Text = ""
    description: Text = ""
    address: Text = ""
    latitude: Degrees = None
    longitude: Degrees = None


class Data(Payload):
    """The `data` of a `message.created`."""

    id: Text = ""
    text: Text = ""
    conversation_id: Text = ""
    conversation_kind: Text = ""
    conversation_title: Text = ""
    user_id: Text = ""
    user_name: Text = ""
    user_is_bot: Flag = None
    addressed: Flag = None
    parts: Annotated[list[Any], BeforeValidator(list_or_empty)] = []


class BatchData(Data):
    """One message of a batch."""

    timestamp: Text = ""


class Event(Payload):
    """The body of a call."""

    type: Text = ""
    timestamp: Text = ""
    data: Annotated[Data, BeforeValidator(object_or_empty)] = Data()


class Batch(Payload):
    """The `data` of a `message.batch`."""

    messages: Annotated[list[Any], BeforeValidator(list_or_empty)] = []


def to_messages(payload: dict[str, Any], bot: str, webhook_id: str) -> list[Message]:
    """The messages in a call, in their order; none for events of other types. Raises PayloadInvalid.

    A batch is good as a whole or not at all: who sent it would not know what to send again.
    """
    event = Event.model_validate(payload)
    if not event.type:
        raise PayloadInvalid("type is missing")
    if event.type == MESSAGE_CREATED:
        return [_message(event.data, event.timestamp, bot, webhook_id or event.data.id)]
    if event.type != MESSAGE_BATCH:
        return []
    entries = Batch.model_validate(object_or_empty(payload.get("data"))).messages
    if not 0 < len(entries) <= MOST_MESSAGES:
        raise PayloadInvalid(f"data.messages must have 1 to {MOST_MESSAGES} entries")
    messages = []
    for number, entry in enumerate(entries):
        data = BatchData.model_validate(object_or_empty(entry))
        try:
            messages.append(_message(data, data.timestamp or event.timestamp, bot, data.id or f"{webhook_id}#{number}"))
        except PayloadInvalid as exc:
            raise PayloadInvalid(f"message {number} of the batch: {exc}") from exc
    return messages


def _message(data: Data, timestamp: str, bot: str, external_id: str) -> Message:
    parts = _parts(data)
    if not parts:
        raise PayloadInvalid("data.text is missing")
    external_id = an_id(external_id, "webhook-id")
    # a system that names nobody is one person with one conversation
    sender_id = an_id(data.user_id.strip() or "anonymous", "data.user_id")
    return Message(
        platform="chat",
        bot=bot,
        external_id=external_id,
        conversation_id=an_id(data.conversation_id.strip() or sender_id, "data.conversation_id"),
        conversation_kind="group" if data.conversation_kind == "group" else "one_to_one",
        sender_id=sender_id,
        sender_name=data.user_name[:MAX_NAME_CHARS],
        parts=parts,
        address={"in_reply_to": external_id},
        conversation_title=data.conversation_title[:MAX_NAME_CHARS],
        sent_at_ms=_to_ms(timestamp),
        addressed=data.addressed is not False,
        from_bot=data.user_is_bot is True,
    )


def _parts(data: Data) -> tuple[Part, ...]:
    parts = [Part("text", text)] if (text := data.text.strip()) else []
    for raw in data.parts[:_MAX_PARTS]:
        sent = SentPart.model_validate(object_or_empty(raw))
        kind = _kind_of(sent)
        about: dict[str, JSON] = {
            "url": sent.url[:_MAX_URL_CHARS],
            "name": sent.name[:MAX_NAME_CHARS],
            "mime": sent.mime[:100],
            "content": sent.content,  # until the file is in the store
            "title": sent.title[:_MAX_WORDS_CHARS],
            "description": sent.description[:_MAX_WORDS_CHARS],
            "address": sent.address[:_MAX_WORDS_CHARS],
            "latitude": sent.latitude,
            "longitude": sent.longitude,
        }
        known = {name: value for name, value in about.items() if value not in ("", None)}
        parts.append(Part(kind, sent.text.strip(), known))
    return tuple(parts)


def _kind_of(sent: SentPart) -> PartKind:
    """As it says; a file that does not say so goes by the type that is claimed for it."""
    if sent.kind in _KINDS:
        return typing.cast(PartKind, sent.kind)
    if sent.kind or not (sent.url or sent.content):
        return "unknown"
    return _KIND_BY_TYPE.get(sent.mime.partition("/")[0], "file")


def _to_ms(timestamp: str) -> int | None:
    """ISO 8601 to milliseconds since 1970; a time without a zone cannot be compared with anything, so it is None."""
    try:
        moment = datetime.fromisoformat(timestamp)
        return int(moment.timestamp() * 1000) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
