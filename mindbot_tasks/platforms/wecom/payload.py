"""What WeCom posts to an app: messages of members, and events; field names are the vendor's. WeCom docs, 2026-11-20."""

from __future__ import annotations

import hashlib
import math
from typing import Annotated, Any

from pydantic import BeforeValidator

from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.model.message import JSON, Message, Part
from mindbot_tasks.platforms.base import Occurrence
from mindbot_tasks.platforms.payload import MAX_ID_CHARS, MAX_NAME_CHARS, Number, Payload, Text, an_id

PLATFORM = "wecom"
#: events that are remembered; all others are acknowledged and forgotten
KNOWN_EVENTS = frozenset(
    {
        "subscribe",
        "unsubscribe",
        "enter_agent",
        "LOCATION",
        "click",
        "view",
        "view_miniprogram",
        "template_card_event",
        "template_card_menu_event",
    }
)
_MAX_SELECTED = 50


def _degrees_or_none(value: object) -> float | None:
    try:
        degrees = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return None
    return degrees if math.isfinite(degrees) else None


Degrees = Annotated[float | None, BeforeValidator(_degrees_or_none)]


class Callback(Payload):
    """The union of what messages and events have."""

    FromUserName: Text = ""
    CreateTime: Number = None
    MsgType: Text = ""
    MsgId: Text = ""
    AgentID: Number = None
    Content: Text = ""
    PicUrl: Text = ""
    MediaId: Text = ""
    ThumbMediaId: Text = ""
    Format: Text = ""
    FileName: Text = ""
    Title: Text = ""
    Description: Text = ""
    Url: Text = ""
    Location_X: Degrees = None
    Location_Y: Degrees = None
    Scale: Text = ""
    Label: Text = ""
    Latitude: Degrees = None
    Longitude: Degrees = None
    Precision: Degrees = None
    Event: Text = ""
    EventKey: Text = ""
    TaskId: Text = ""
    CardType: Text = ""
    ResponseCode: Text = ""
    SelectedItems: Any = None


def to_message(fields: dict[str, Any], bot: str) -> Message | None:
    """The message in a callback; None for an event. Raises PayloadInvalid."""
    callback = Callback.model_validate(fields)
    if not callback.MsgType:
        raise PayloadInvalid("MsgType is missing")
    if callback.MsgType == "event":
        return None
    user_id = an_id(callback.FromUserName.strip(), "FromUserName")
    return Message(
        platform=PLATFORM,
        bot=bot,
        external_id=an_id(callback.MsgId.strip(), "MsgId"),
        conversation_id=user_id,
        conversation_kind="one_to_one",
        sender_id=user_id,
        sender_name=user_id[:MAX_NAME_CHARS],  # the callback has no other name
        parts=(_part(callback),),
        address={"user_id": user_id, "agent_id": callback.AgentID},
        sent_at_ms=_sent_at_ms(callback),
    )


def to_occurrence(fields: dict[str, Any]) -> Occurrence | None:
    """The event in a callback; None for a message, or an event that nobody wants to know of. Raises PayloadInvalid."""
    callback = Callback.model_validate(fields)
    if callback.MsgType != "event" or callback.Event not in KNOWN_EVENTS:
        return None
    user_id = an_id(callback.FromUserName.strip(), "FromUserName")
    data: dict[str, JSON] = {
        "event_key": callback.EventKey,
        "task_id": callback.TaskId,
        "card_type": callback.CardType,
        "response_code": callback.ResponseCode,
        "selected": _selected(callback.SelectedItems),
        "latitude": callback.Latitude,
        "longitude": callback.Longitude,
        "agent_id": callback.AgentID,
    }
    return Occurrence(
        external_id=_event_id(callback, user_id),
        kind=callback.Event,
        conversation_id=user_id,
        data={name: value for name, value in data.items() if value not in ("", None, {})},
        happened_at_ms=_sent_at_ms(callback),
    )


def _part(callback: Callback) -> Part:
    match callback.MsgType:
        case "text":
            return Part("text", callback.Content.strip())
        case "image":
            return Part("image", data=_given(media_id=callback.MediaId, url=callback.PicUrl))
        case "voice":
            return Part("voice", data=_given(media_id=callback.MediaId, format=callback.Format))
        case "video":
            return Part("video", data=_given(media_id=callback.MediaId, thumb_media_id=callback.ThumbMediaId))
        case "file":
            return Part("file", data=_given(media_id=callback.MediaId, name=callback.FileName or callback.Title))
        case "location":
            place = _given(latitude=callback.Location_X, longitude=callback.Location_Y, scale=callback.Scale)
            return Part("location", callback.Label.strip(), place)
        case "link":
            words = "\n".join(filter(None, (callback.Title.strip(), callback.Description.strip())))
            return Part("link", words, _given(url=callback.Url, picture_url=callback.PicUrl))
        case unknown:
            return Part("unknown", data={"type": unknown[:MAX_NAME_CHARS]})


def _given(**values: JSON) -> dict[str, JSON]:
    return {name: value for name, value in values.items() if value not in ("", None)}


def _sent_at_ms(callback: Callback) -> int | None:
    """CreateTime is in seconds; a value that no clock shows counts as absent."""
    seconds = callback.CreateTime
    return seconds * 1000 if seconds is not None and seconds < 2**40 else None


def _event_id(callback: Callback, user_id: str) -> str:
    """Events have no id of their own: who, when and what make one."""
    event_id = f"{callback.Event}:{callback.CreateTime or 0}:{user_id}:{callback.EventKey}:{callback.TaskId}"
    if len(event_id) <= MAX_ID_CHARS:
        return event_id
    return f"{callback.Event}:{hashlib.sha256(event_id.encode()).hexdigest()}"


def _selected(value: object) -> dict[str, JSON]:
    """Question -> chosen options of a card."""
    items = value.get("SelectedItem") if isinstance(value, dict) else None
    found: dict[str, JSON] = {}
    for item in (items if isinstance(items, list) else [items])[:_MAX_SELECTED]:
        question = item.get("QuestionKey") if isinstance(item, dict) else None
        if not isinstance(question, str):
            continue
        chosen = item.get("OptionIds") if isinstance(item, dict) else None
        ids = chosen.get("OptionId") if isinstance(chosen, dict) else None
        options = ids if isinstance(ids, list) else [ids]
        found[question[:MAX_ID_CHARS]] = [text for text in options[:_MAX_SELECTED] if isinstance(text, str)]
    return found
