"""Callbacks as WeCom posts them, sealed by wechatpy, and as others forge them; pure. WeCom docs, 2026-11-20."""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from wechatpy.utils import WeChatSigner
from wechatpy.work.crypto import PrpCrypto, WeChatCrypto

Kind = Literal["text", "image", "voice", "video", "location", "link", "file", "event"]
Wrong = Literal[
    "",
    "signature",  # one letter of it
    "unsigned",
    "receiver",  # for another enterprise
    "padding",  # signed right, and cannot be opened
    "stale",  # signed right, a day ago
    "no_xml",
    "bomb",  # entities in the outer XML
]
_STALE_S = 86_400
_ids = itertools.count(time.time_ns() // 1000)


@dataclass(slots=True, frozen=True)
class App:
    """The callback settings of one app."""

    token: str
    encoding_aes_key: str
    corpid: str

    @property
    def crypto(self) -> WeChatCrypto:
        return WeChatCrypto(self.token, self.encoding_aes_key, self.corpid)


@dataclass(slots=True, frozen=True, kw_only=True)
class Callback:
    """What a member does, and what goes wrong on the way."""

    text: str = "hello"
    kind: Kind = "text"
    user: str = "zhangsan"
    agent_id: int = 1_000_002
    msg_id: str = ""  #: "": a new one
    event: str = "enter_agent"  #: for the kind "event"
    event_key: str = ""
    media_id: str = "media-0"
    more: Mapping[str, Any] = field(default_factory=dict)  #: further elements
    timestamp_s: int = 0  #: 0: now
    wrong: Wrong = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, found {self.kind!r}")
        if self.wrong not in get_args(Wrong):
            raise ValueError(f"wrong must be one of {', '.join(get_args(Wrong))}, found {self.wrong!r}")


@dataclass(slots=True, frozen=True)
class Post:
    """The request to make, and how to recognise what becomes of it."""

    msg_id: str
    query: str
    body: bytes


def build(callback: Callback, app: App) -> Post:
    """The HTTP request of a callback."""
    now_s = callback.timestamp_s or int(time.time())
    msg_id = callback.msg_id or str(next(_ids))
    fields: dict[str, Any] = {
        "ToUserName": app.corpid,
        "FromUserName": callback.user,
        "CreateTime": now_s,
        "MsgType": callback.kind,
        **_content(callback),
        **({} if callback.kind == "event" else {"MsgId": msg_id}),
        "AgentID": callback.agent_id,
        **callback.more,
    }
    plain = to_xml(fields)
    sealed = _seal(plain, app, callback.wrong)
    query = signed(sealed, app, now_s - _STALE_S if callback.wrong == "stale" else now_s)
    match callback.wrong:
        case "signature":
            query["msg_signature"] = query["msg_signature"][:-1] + ("0" if query["msg_signature"][-1] != "0" else "1")
        case "unsigned":
            query = {}
    body = to_xml({"ToUserName": app.corpid, "AgentID": callback.agent_id, "Encrypt": sealed})
    if callback.wrong == "no_xml":
        body = body[: len(body) // 2]
    elif callback.wrong == "bomb":
        body = f'<!DOCTYPE xml [<!ENTITY a "{sealed}">]><xml><Encrypt>&a;</Encrypt></xml>'
    return Post(msg_id, urlencode(query), body.encode())


def verification(app: App, echo: str) -> str:
    """The query of a call that checks the address; "+" and "=" are percent-encoded."""
    sealed = _seal(echo, app, "")
    return urlencode({**signed(sealed, app, int(time.time())), "echostr": sealed})


def signed(sealed: str, app: App, now_s: int) -> dict[str, str]:
    """The query parameters of a call."""
    nonce = str(next(_ids))
    signer = WeChatSigner()
    signer.add_data(app.token, str(now_s), nonce, sealed)
    return {"msg_signature": str(signer.signature), "timestamp": str(now_s), "nonce": nonce}


def to_xml(fields: Mapping[str, Any]) -> str:
    return f"<xml>{_elements(fields)}</xml>"


def _elements(fields: Mapping[str, Any]) -> str:
    """Texts in CDATA sections, numbers bare, lists as repeated elements."""
    found = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, Mapping):
                inner = _elements(one)
            elif isinstance(one, str):
                inner = f"<![CDATA[{one}]]>" if "]]>" not in one else escape(one)
            else:
                inner = escape(str(one))
            found.append(f"<{name}>{inner}</{name}>")
    return "".join(found)


def _content(callback: Callback) -> dict[str, Any]:
    match callback.kind:
        case "text":
            return {"Content": callback.text}
        case "image":
            return {"PicUrl": "https://wework.qpic.cn/1.jpg", "MediaId": callback.media_id}
        case "voice":
            return {"MediaId": callback.media_id, "Format": "amr"}
        case "video":
            return {"MediaId": callback.media_id, "ThumbMediaId": f"{callback.media_id}-thumb"}
        case "file":
            return {"MediaId": callback.media_id}
        case "location":
            place = {"Location_X": 23.134, "Location_Y": 113.358, "Scale": 20}
            return {**place, "Label": callback.text, "AppType": "wxwork"}
        case "link":
            return {"Title": callback.text, "Description": "", "Url": "https://work.weixin.qq.com", "PicUrl": ""}
        case "event":
            return {"Event": callback.event, "EventKey": callback.event_key}


def _seal(plain: str, app: App, wrong: Wrong) -> str:
    crypto = PrpCrypto(app.crypto.key)
    if wrong == "padding":  # 40 is more than a block
        raw = plain.encode()
        padded = raw.ljust(len(raw) // 32 * 32 + 64, b"\x28")
        return base64.b64encode(crypto.cipher.encrypt(padded)).decode()
    return str(crypto.encrypt(plain, "wwsomebodyelse01" if wrong == "receiver" else app.corpid).decode())
