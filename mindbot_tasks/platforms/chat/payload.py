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
    Flag,
    Payload,
    Text,
    an_id,
    list_or_empty,
    object_or_empty,
)

MESSAGE_CREATED = "message.created"
_KINDS = frozenset(typing.get_args(PartKind))
_MAX_PARTS = 100
_MAX_URL_CHARS = 2000


class SentPart(Payload):
    """One of `data.parts`: a file, a picture, more words."""

    kind: Text = ""
    text: Text = ""
    url: Text = ""
    name: Text = ""
    mime: Text = ""


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


class Event(Payload):
    """The body of a call."""

    type: Text = ""
    timestamp: Text = ""
    data: Annotated[Data, BeforeValidator(object_or_empty)] = Data()


def to_message(payload: dict[str, Any], bot: str, webhook_id: str) -> Message | None:
    """The message in a call; None for events of other types. Raises PayloadInvalid."""
    event = Event.model_validate(payload)
    if not event.type:
        raise PayloadInvalid("type is missing")
    if event.type != MESSAGE_CREATED:
        return None
    data = event.data
    parts = _parts(data)
    if not parts:
        raise PayloadInvalid("data.text is missing")
    external_id = an_id(webhook_id or data.id, "webhook-id")
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
        sent_at_ms=_to_ms(event.timestamp),
        addressed=data.addressed is not False,
        from_bot=data.user_is_bot is True,
    )


def _parts(data: Data) -> tuple[Part, ...]:
    parts = [Part("text", text)] if (text := data.text.strip()) else []
    for raw in data.parts[:_MAX_PARTS]:
        sent = SentPart.model_validate(object_or_empty(raw))
        kind = typing.cast(PartKind, sent.kind) if sent.kind in _KINDS else "unknown"
        about: dict[str, JSON] = {
            "url": sent.url[:_MAX_URL_CHARS],
            "name": sent.name[:MAX_NAME_CHARS],
            "mime": sent.mime[:100],
        }
        parts.append(Part(kind, sent.text.strip(), {name: value for name, value in about.items() if value}))
    return tuple(parts)


def _to_ms(timestamp: str) -> int | None:
    """ISO 8601 to milliseconds since 1970; a time without a zone cannot be compared with anything, so it is None."""
    try:
        moment = datetime.fromisoformat(timestamp)
        return int(moment.timestamp() * 1000) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
