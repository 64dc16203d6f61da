"""The frames of DingTalk's Stream mode: what one says, and how it is acknowledged; pure.

Text frames, one JSON object each; `data` is JSON inside a string, both ways. DingTalk docs, 2026-11-20.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.platforms.payload import read_object, text_or_empty

ROBOT: Final = "/v1.0/im/bot/messages/get"
CARD: Final = "/v1.0/card/instances/callback"
SUBSCRIPTIONS: Final = (
    {"type": "CALLBACK", "topic": ROBOT},
    {"type": "CALLBACK", "topic": CARD},
    {"type": "EVENT", "topic": "*"},
)

HANDLED: Final = 200
UNREADABLE: Final = 400
NO_HANDLER: Final = 404


@dataclass(frozen=True, slots=True)
class Frame:
    """One thing that the gateway says."""

    type: str  #: SYSTEM, EVENT or CALLBACK; others are new to us
    topic: str
    message_id: str  #: what the acknowledgement refers to
    data: str  #: JSON, not looked at yet


def read(text: str | bytes) -> Frame:
    """The frame in a websocket message. Raises PayloadInvalid."""
    body = read_object(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)
    headers = body.get("headers")
    if not isinstance(headers, dict):
        raise PayloadInvalid("the frame has no headers")
    data = body.get("data")
    if isinstance(data, dict | list):
        data = _as_text(data)  # documented as a string; an object means the same
    return Frame(
        type=text_or_empty(body.get("type")),
        topic=text_or_empty(headers.get("topic")),
        message_id=text_or_empty(headers.get("messageId"))[:255],
        data=data if isinstance(data, str) else "",
    )


def _as_text(data: object) -> str:
    try:
        return orjson.dumps(data).decode()
    except TypeError:  # half a character, or a number beyond 64 bits: what holds them can be read all the same
        pass
    try:
        return json.dumps(data)
    except RecursionError:
        raise PayloadInvalid("the frame is too deep") from None


def acknowledge(frame: Frame, data: Mapping[str, Any], code: int = HANDLED) -> str:
    """The answer to a frame."""
    return orjson.dumps(
        {
            "code": code,
            "headers": {"contentType": "application/json", "messageId": frame.message_id},
            "message": "OK" if code == HANDLED else "not handled",
            "data": orjson.dumps(data).decode(),
        }
    ).decode()


def echo(frame: Frame) -> str:
    """The answer to a ping: its own data."""
    try:
        data = read_object(frame.data.encode("utf-8", "surrogatepass"))
    except PayloadInvalid:
        data = {}
    try:
        return acknowledge(frame, data)
    except (orjson.JSONEncodeError, TypeError):  # half a character, or a number that no JSON holds
        return acknowledge(frame, {})
