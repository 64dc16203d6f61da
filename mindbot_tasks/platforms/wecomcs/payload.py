"""What a page of customer service holds: messages of customers, and everything else as occurrences; pure.

WeCom docs, 2026-11-20. An item that cannot be read never stands in the way of those after it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

import orjson
import structlog
from pydantic import BeforeValidator

from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.model.message import JSON, Message, Part, PartKind
from mindbot_tasks.model.news import Occurrence
from mindbot_tasks.platforms.payload import MAX_NAME_CHARS, Degrees, Number, Payload, Text, an_id, object_or_empty

log = structlog.get_logger(__name__)

NAME = "wecomcs"
CUSTOMER, SYSTEM, AGENT = 3, 4, 5
#: change_type of a session that an agent changed; all others mean that a person has it
ENDED = 3
_MAX_DATA_CHARS = 500
#: fields of an event that stand in the occurrence itself
_NOT_DATA = frozenset({"event_type", "open_kfid", "external_userid"})

Kind = Annotated["Content", BeforeValidator(object_or_empty)]


class Content(Payload):
    """The object of any message type."""

    content: Text = ""
    menu_id: Text = ""
    media_id: Text = ""
    latitude: Degrees = None
    longitude: Degrees = None
    name: Text = ""
    address: Text = ""
    title: Text = ""
    desc: Text = ""
    url: Text = ""
    pic_url: Text = ""
    userid: Text = ""
    appid: Text = ""
    pagepath: Text = ""
    event_type: Text = ""
    open_kfid: Text = ""
    external_userid: Text = ""
    change_type: Number = None


class Item(Payload):
    """One element of msg_list."""

    msgid: Text = ""
    open_kfid: Text = ""
    external_userid: Text = ""
    send_time: Number = None
    origin: Number = None
    servicer_userid: Text = ""
    msgtype: Text = ""

    @property
    def sent_at_ms(self) -> int | None:
        return self.send_time * 1000 if self.send_time is not None and self.send_time < 10**11 else None


def read_items(raw_items: object, *, bot: str, feed: str) -> list[Message | Occurrence]:
    """All that can be read, in order."""
    found: list[Message | Occurrence] = []
    for raw in raw_items if isinstance(raw_items, list) else ():
        try:
            item = _read(raw, bot, feed)
        except PayloadInvalid as exc:
            log.warning("wecomcs_item_unreadable", reason=str(exc), bot=bot)
            continue
        if item is not None:
            found.append(item)
    return found


def conversation_of(open_kfid: str, external_userid: str) -> str:
    """A customer talks with each account separately."""
    return f"{open_kfid}:{external_userid}"


def _read(raw: object, bot: str, feed: str) -> Message | Occurrence | None:
    if not isinstance(raw, dict):
        raise PayloadInvalid("not an object")
    item = Item.model_validate(raw)
    content = Content.model_validate(object_or_empty(raw.get(item.msgtype)))
    if item.msgtype == "event":
        return _event(raw, item, content, feed)
    external_userid = an_id(item.external_userid, "external_userid")
    open_kfid = an_id(item.open_kfid or feed, "open_kfid")
    conversation = an_id(conversation_of(open_kfid, external_userid), "conversation")
    external_id = _id_of(raw, item)
    if item.origin == AGENT:
        return Occurrence(
            external_id=external_id,
            kind="agent_message",
            conversation_id=conversation,
            data={"servicer_userid": item.servicer_userid[:_MAX_DATA_CHARS], "msgtype": item.msgtype[:40]},
            happened_at_ms=item.sent_at_ms,
            with_human=True,
        )
    if item.origin not in (CUSTOMER, None):
        return Occurrence(
            external_id=external_id,
            kind=f"origin_{item.origin}",
            conversation_id=conversation,
            data={"msgtype": item.msgtype[:40]},
            happened_at_ms=item.sent_at_ms,
        )
    return Message(
        platform=NAME,
        bot=bot,
        external_id=external_id,
        conversation_id=conversation,
        conversation_kind="one_to_one",
        sender_id=external_userid,
        sender_name="",
        parts=(_part(item.msgtype, content),),
        address={
            "open_kfid": open_kfid,
            "external_userid": external_userid,
            "msgid": external_id,
            "sent_at_ms": item.sent_at_ms,
        },
        sent_at_ms=item.sent_at_ms,
    )


def _event(raw: Mapping[str, Any], item: Item, event: Content, feed: str) -> Occurrence:
    """open_kfid and external_userid of an event are inside of it."""
    open_kfid = event.open_kfid or item.open_kfid or feed
    external_userid = event.external_userid or item.external_userid
    with_human: bool | None = None
    if event.event_type == "session_status_change" and event.change_type is not None:
        with_human = event.change_type != ENDED
    return Occurrence(
        external_id=_id_of(raw, item),
        kind=event.event_type[:80] or "event",
        conversation_id=conversation_of(open_kfid, external_userid) if external_userid else "",
        data={"open_kfid": open_kfid[:_MAX_DATA_CHARS], "external_userid": external_userid[:_MAX_DATA_CHARS]}
        | _plain_values(raw.get("event")),
        happened_at_ms=item.sent_at_ms,
        with_human=with_human,
    )


def _plain_values(event: object) -> dict[str, JSON]:
    if not isinstance(event, dict):
        return {}
    return {
        str(name)[:80]: value[:_MAX_DATA_CHARS] if isinstance(value, str) else value
        for name, value in list(event.items())[:40]
        if name not in _NOT_DATA and isinstance(value, str | int | bool)
    }


def _id_of(raw: Mapping[str, Any], item: Item) -> str:
    """The platform's id; one without gets that of its content, so that it is known when it comes again."""
    if item.msgid.strip():
        return an_id(item.msgid, "msgid")
    try:
        content = orjson.dumps(raw, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # halves of surrogate pairs, numbers beyond 64 bits
        content = repr(sorted(raw)).encode("utf-8", "replace")
    return f"content-{hashlib.sha256(content).hexdigest()[:40]}"


def _part(msgtype: str, content: Content) -> Part:
    media: dict[str, PartKind] = {"image": "image", "voice": "voice", "video": "video", "file": "file"}
    if msgtype in media:
        return Part(media[msgtype], data={"media_id": content.media_id})
    match msgtype:
        case "text":
            return Part("text", content.content.strip(), _known(menu_id=content.menu_id))
        case "location":
            where = "\n".join(words for words in (content.name, content.address) if words)
            data = _known(name=content.name, address=content.address)
            return Part("location", where, data | _known(latitude=content.latitude, longitude=content.longitude))
        case "link":
            words = "\n".join(words for words in (content.title, content.desc, content.url) if words)
            return Part("link", words, _known(title=content.title, desc=content.desc, url=content.url,
                                              pic_url=content.pic_url))  # fmt: skip
        case "business_card":
            return Part("card", data=_known(type="business_card", userid=content.userid))
        case "miniprogram":
            data = _known(type="miniprogram", appid=content.appid, pagepath=content.pagepath)
            return Part("card", content.title, data | _known(title=content.title))
        case _:
            return Part("unknown", data={"type": msgtype[:MAX_NAME_CHARS]})


def _known(**values: str | float | None) -> dict[str, JSON]:
    return {name: value for name, value in values.items() if value not in ("", None)}
