"""Robot callbacks as DingTalk posts them, and as others forge them; pure.

sign = base64(HMAC-SHA256(key = secret, timestamp in ms + "\\n" + secret)). DingTalk docs, 2026-11-20.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson

from emulators.dingtalk import sessions

Kind = Literal[
    "text",  # in order
    "bad_signature",
    "unsigned",
    "stale",  # signed right, an hour and a minute ago
    "duplicate",  # posted twice, with the same msgId
    "no_text",  # the quota of the organisation is used up: errorMessage instead of text
    "string_content",  # the text object as a JSON string, as some clients were seen to send
    "picture",
    "unknown_type",
    "not_json",
]
KINDS: tuple[str, ...] = get_args(Kind)
STALE_MS = 3_660_000
_BOT = "$:LWCP_v1:$bot=="


def sign(timestamp: str, secret: str) -> str:
    mac = hmac.new(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
    return base64.b64encode(mac.digest()).decode()


@dataclass(slots=True, frozen=True, kw_only=True)
class Callback:
    """What somebody says to the robot, and what goes wrong on the way."""

    text: str = "hello"
    kind: Kind = "text"
    conversation: str = ""  #: "": the user's own
    user: str = "user01"
    nick: str = "Zhang San"
    group: bool = False
    msg_id: str = ""  #: "": a new one
    robot_code: str = "dingapp0001"
    corp: str = "ding0001"
    timestamp_ms: int = 0  #: 0: now
    session_lifetime_s: float = sessions.DEFAULT_LIFETIME_S
    session_webhook: str = ""  #: "": one of the emulator

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, found {self.kind!r}")


@dataclass(slots=True, frozen=True)
class Post:
    """The request to make, and how to recognise what becomes of it."""

    msg_id: str
    conversation: str
    session: str
    headers: dict[str, str]
    body: bytes
    copies: int


def build(callback: Callback, *, secret: str, emulator_url: str) -> Post:
    """The HTTP request of a callback, its session webhook pointing to `emulator_url`."""
    now_ms = callback.timestamp_ms or time.time_ns() // 1_000_000
    msg_id = callback.msg_id or f"msg{uuid.uuid4().hex}=="
    conversation = callback.conversation or f"cid{callback.user}=="
    session = sessions.issue(conversation, msg_id, now_ms=now_ms, lifetime_s=callback.session_lifetime_s)
    webhook = callback.session_webhook or f"{emulator_url.rstrip('/')}/robot/sendBySession?session={session}"
    data: dict[str, Any] = {
        "conversationId": conversation,
        "conversationType": "2" if callback.group else "1",
        "msgId": msg_id,
        "createAt": now_ms,
        "senderId": "$:LWCP_v1:$" + hashlib.blake2s(callback.user.encode(), digest_size=8).hexdigest() + "==",
        "senderNick": callback.nick,
        "senderCorpId": callback.corp,
        "senderStaffId": callback.user,
        "isAdmin": False,
        "chatbotCorpId": callback.corp,
        "chatbotUserId": _BOT,
        "robotCode": callback.robot_code,
        "senderPlatform": "Mac",
        "sessionWebhook": webhook,
        "sessionWebhookExpiredTime": now_ms + int(callback.session_lifetime_s * 1000),
        **_content(callback),
    }
    if callback.group:
        data |= {"conversationTitle": "a group", "isInAtList": True, "atUsers": [{"dingtalkId": _BOT}]}
    body = orjson.dumps(data)
    return Post(
        msg_id=msg_id,
        conversation=conversation,
        session=session,
        headers={"Content-Type": "application/json; charset=utf-8", **_signature(callback, now_ms, secret)},
        body=body[: len(body) // 2] if callback.kind == "not_json" else body,
        copies=2 if callback.kind == "duplicate" else 1,
    )


def _content(callback: Callback) -> dict[str, Any]:
    # In a group the @mention has been cut out of the text, its blank has not.
    text = {"content": f" {callback.text}" if callback.group else callback.text}
    match callback.kind:
        case "no_text":
            return {"msgtype": "text", "errorMessage": "quota exhausted", "code": "20001"}
        case "string_content":
            return {"msgtype": "text", "text": orjson.dumps(text).decode()}
        case "picture":
            return {"msgtype": "picture", "content": {"downloadCode": "code-1", "pictureDownloadCode": "code-2"}}
        case "unknown_type":
            return {"msgtype": "unknownMsgType", "content": {"unknownMsgType": "hologram"}}
        case _:
            return {"msgtype": "text", "text": text}


def _signature(callback: Callback, now_ms: int, secret: str) -> dict[str, str]:
    match callback.kind:
        case "unsigned":
            return {}
        case "bad_signature":
            return {"timestamp": str(now_ms), "sign": sign(str(now_ms), secret + "?")}
        case "stale":
            then = str(now_ms - STALE_MS)
            return {"timestamp": then, "sign": sign(then, secret)}
        case _:
            return {"timestamp": str(now_ms), "sign": sign(str(now_ms), secret)}
