"""What DingTalk posts when somebody talks to the robot, and the message it means.

The same object comes by HTTP and, as `data`, by Stream mode. Field names: DingTalk docs, 2026-11-20.
"""

from __future__ import annotations

from typing import Annotated, Any

import structlog
from pydantic import BeforeValidator, Field

from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.model.message import JSON, Message, Part, PartKind
from mindbot_tasks.platforms.dingtalk.addresses import Address, trusted_webhook
from mindbot_tasks.platforms.payload import (
    MAX_NAME_CHARS,
    Flag,
    Number,
    Payload,
    Text,
    an_id,
    list_or_empty,
    object_or_empty,
)

log = structlog.get_logger(__name__)

#: nobody writes that many pieces; a forger's list of a hundred thousand shall not become rows
_MAX_PARTS = 100


class Content(Payload):
    """`text`, `content` and the content of a quoted message: the union of what the types have."""

    content: Text = ""
    text: Text = ""
    type: Text = ""
    downloadCode: Text = ""  # noqa: N815 - the vendor's names
    pictureDownloadCode: Text = ""  # noqa: N815
    recognition: Text = ""
    duration: Number = None
    videoType: Text = ""  # noqa: N815
    fileName: Text = ""  # noqa: N815
    fileId: Text = ""  # noqa: N815
    spaceId: Text = ""  # noqa: N815
    unknownMsgType: Text = ""  # noqa: N815
    richText: Annotated[list[Any], BeforeValidator(list_or_empty)] = []  # noqa: N815
    isReplyMsg: Flag = None  # noqa: N815
    repliedMsg: Annotated[dict[str, Any], BeforeValidator(object_or_empty)] = {}  # noqa: N815


SomeContent = Annotated[Content, BeforeValidator(object_or_empty)]


class Quoted(Payload):
    """The message that somebody answered to."""

    msgId: Text = ""  # noqa: N815
    msgType: Text = ""  # noqa: N815
    senderId: Text = ""  # noqa: N815
    content: SomeContent = Content()


class Callback(Payload):
    """One call of the robot."""

    msgId: Text = ""  # noqa: N815
    msgtype: Text = ""
    conversationType: Text = ""  # noqa: N815
    conversationId: Text = ""  # noqa: N815
    conversationTitle: Text = ""  # noqa: N815
    createAt: Number = None  # noqa: N815
    senderId: Text = ""  # noqa: N815
    senderNick: Text = ""  # noqa: N815
    senderStaffId: Text = ""  # noqa: N815
    chatbotUserId: Text = ""  # noqa: N815
    robotCode: Text = ""  # noqa: N815
    isInAtList: Flag = None  # noqa: N815
    sessionWebhook: Text = ""  # noqa: N815
    sessionWebhookExpiredTime: Number = None  # noqa: N815
    text: Annotated[
        Content | None, BeforeValidator(lambda value: None if value is None else object_or_empty(value))
    ] = None
    content: SomeContent = Content()
    code: Text = Field(default="")


def to_message(payload: dict[str, Any], bot: str, settings: DingTalkSettings) -> Message | None:
    """The message in a callback; None for one that holds nothing to answer. Raises PayloadInvalid."""
    callback = Callback.model_validate(payload)
    external_id = an_id(callback.msgId, "msgId")
    parts = _parts(callback, settings.robot_name)
    if parts is None:
        # so it looks when the organisation's quota is used up: the platform still calls, without the words
        log.warning("dingtalk_message_without_text", external_id=external_id, bot=bot, code=callback.code[:40])
        return None
    is_group = callback.conversationType == "2"
    sender_id = an_id(callback.senderStaffId.strip() or callback.senderId.strip(), "senderId")
    conversation_id = an_id(callback.conversationId.strip() or ("" if is_group else sender_id), "conversationId")
    webhook = trusted_webhook(callback.sessionWebhook, settings.oapi_base)
    if callback.sessionWebhook and not webhook:
        log.warning("dingtalk_session_webhook_refused", external_id=external_id, bot=bot)
    address = Address(
        session_webhook=webhook,
        session_expires_at_ms=callback.sessionWebhookExpiredTime or 0,
        robot_code=callback.robotCode.strip()[:MAX_NAME_CHARS],
        staff_id=callback.senderStaffId.strip(),
        conversation_id=conversation_id,
        is_group=is_group,
        nick=callback.senderNick[:MAX_NAME_CHARS],
    )
    return Message(
        platform="dingtalk",
        bot=bot,
        external_id=external_id,
        conversation_id=conversation_id,
        conversation_kind="group" if is_group else "one_to_one",
        sender_id=sender_id,
        sender_name=callback.senderNick[:MAX_NAME_CHARS],
        parts=parts,
        address=address.to_dict(),
        conversation_title=callback.conversationTitle[:MAX_NAME_CHARS] if is_group else "",
        sent_at_ms=callback.createAt,
        # only messages that @ the robot reach it in a group; the flag is trusted when it says otherwise
        addressed=not is_group or callback.isInAtList is not False,
        from_bot=bool(callback.chatbotUserId.strip()) and callback.senderId.strip() == callback.chatbotUserId.strip(),
    )


def _parts(callback: Callback, robot_name: str) -> tuple[Part, ...] | None:
    """The pieces of the message, None for a text without text."""
    content = callback.content
    match callback.msgtype:
        case "":
            raise PayloadInvalid("msgtype is missing")
        case "text":
            if callback.text is None:
                return None
            return (*_quote(callback.text), Part("text", callback.text.content.strip()))
        case "richText":
            return (*_quote(content), *_rich(content, robot_name))
        case "picture":
            return (_file("image", content),)
        case "audio":
            return (_file("voice", content, text=content.recognition.strip(), duration_ms=content.duration),)
        case "video":
            return (_file("video", content, duration=content.duration, video_type=content.videoType),)
        case "file":
            return (_file("file", content, name=content.fileName, file_id=content.fileId, space_id=content.spaceId),)
        case unknown:
            return (Part("unknown", data={"type": (content.unknownMsgType or unknown)[:MAX_NAME_CHARS]}),)


def _file(kind: PartKind, content: Content, text: str = "", **data: JSON) -> Part:
    """A piece whose bytes have to be fetched with a download code."""
    known = {name: value for name, value in data.items() if value not in ("", None)}
    return Part(kind, text, {"download_code": content.downloadCode or content.pictureDownloadCode, **known})


def _rich(content: Content, robot_name: str) -> list[Part]:
    """Words and pictures in their order; neighbouring words become one piece."""
    mention = f"@{robot_name}" if robot_name else None
    parts: list[Part] = []
    words: list[str] = []

    def end_words() -> None:
        if text := "".join(words).strip():
            parts.append(Part("text", text))
        words.clear()

    for raw in content.richText[:_MAX_PARTS]:
        item = Content.model_validate(object_or_empty(raw))
        if item.type == "picture" or item.downloadCode or item.pictureDownloadCode:
            end_words()
            parts.append(_file("image", item))
        elif item.text.strip() != mention:  # some clients repeat the @name as words
            words.append(item.text)
    end_words()
    return parts or [Part("text")]


def _quote(content: Content) -> tuple[Part, ...]:
    """The quoted message, if there is one, as pieces before the words: what it says, and the files in it.

    In groups a picture cannot mention the robot: who wants it looked at sends it, and then answers to it.
    """
    if not content.repliedMsg or content.isReplyMsg is False:
        return ()
    quoted = Quoted.model_validate(content.repliedMsg)
    inner = quoted.content
    text = inner.text or inner.content or inner.recognition or inner.fileName
    rich = _rich(inner, "")
    if not text:
        text = "\n".join(part.text for part in rich if part.text)
    origin = {"message_id": quoted.msgId, "sender_id": quoted.senderId, "type": quoted.msgType}
    quote = Part("quote", text.strip(), {name: value for name, value in origin.items() if value})
    return (quote, *_quoted_file(quoted.msgType, inner), *(part for part in rich if part.kind == "image"))


def _quoted_file(msgtype: str, content: Content) -> tuple[Part, ...]:
    """Not of a quoted recording: what is said in it is no word of the asker's."""
    if not (content.downloadCode or content.pictureDownloadCode):
        return ()
    match msgtype:
        case "picture":
            return (_file("image", content),)
        case "video":
            return (_file("video", content, duration=content.duration, video_type=content.videoType),)
        case "file":
            return (_file("file", content, name=content.fileName, file_id=content.fileId, space_id=content.spaceId),)
        case _:
            return ()
