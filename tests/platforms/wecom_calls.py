"""Callbacks of WeCom for tests, sealed by wechatpy; and a WeCom that keeps its token and limits in memory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from xml.sax.saxutils import escape

from pydantic import SecretStr
from wechatpy.work.crypto import PrpCrypto, WeChatCrypto

from mindbot_tasks.core.http import Http
from mindbot_tasks.core.settings import WeComSettings
from mindbot_tasks.platforms.base import Inbound
from mindbot_tasks.platforms.wecom import WeCom
from mindbot_tasks.platforms.wecom.sending import Sender
from mindbot_tasks.platforms.weixin import Client
from mindbot_tasks.stores.limiter import Rate
from tests.platforms import weixin_vectors as vectors

NOW_MS = vectors.NOW_MS
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
MESSAGE: dict[str, Any] = {
    "ToUserName": vectors.CORPID,
    "FromUserName": "zhangsan",
    "CreateTime": 1_700_000_000,
    "MsgType": "text",
    "Content": "hello",
    "MsgId": "7300000000000000001",
    "AgentID": 1_000_002,
}
VENDOR = WeChatCrypto(vectors.TOKEN, vectors.AES_KEY, vectors.CORPID)


def stored(file_id: int, content: bytes, name: str, media_type: str) -> Any:
    """A file of a store that keeps it in memory."""
    return SimpleNamespace(file_id=file_id, name=name, media_type=media_type, size=len(content), read=lambda: content)


class GivenToken:
    """A token store that never has to ask."""

    def get(self, name: str, fetch: Callable[[], tuple[str, float]]) -> str:
        return "T"

    def drop(self, name: str, used: str) -> None:
        """The next one is the same."""


class Memory:
    """What Redis would keep for sends; the same answers."""

    def __init__(self) -> None:
        self.contents: dict[str, str] = {}
        self.uploads: dict[str, str] = {}
        self.wait_s = 0.0
        self.buckets: list[str] = []

    def admit(self, bucket: str, rate: Rate, content: str, key: str, *, remembered_s: float) -> tuple[float, str]:
        self.buckets.append(bucket)
        return (self.wait_s, "") if self.wait_s else (0.0, self.contents.setdefault(content, key))

    def find(self, name: str) -> str:
        return self.uploads.get(name, "")

    def remember(self, name: str, upload_id: str, *, keep_s: int) -> None:
        self.uploads[name] = upload_id


def wecom(
    url: str = "https://qyapi.weixin.qq.com",
    memory: Memory | None = None,
    files: Mapping[int, tuple[bytes, str, str]] | None = None,
    tokens: Any = None,
    **values: Any,
) -> WeCom:
    usual = {"corpid": vectors.CORPID, "secret": SecretStr("s"), "token": SecretStr(vectors.TOKEN)}
    settings = WeComSettings(**{**usual, "encoding_aes_key": SecretStr(vectors.AES_KEY), "api_base": url, **values})
    client = Client(
        "wecom", corpid=settings.corpid, secret="s", api_base=url, http=Http(), tokens=tokens or GivenToken()
    )
    memory = memory or Memory()

    def read_file(file_id: int) -> Any:
        return stored(file_id, *(files or {})[file_id])

    sender = Sender(settings, client, admit=memory.admit, uploads=memory, read_file=read_file if files else None)
    return WeCom("default", settings, client, sender)


def xml_of(fields: Mapping[str, Any]) -> str:
    return f"<xml>{_elements(fields)}</xml>"


def _elements(fields: Mapping[str, Any]) -> str:
    found = []
    for name, value in fields.items():
        if not (name.isascii() and name.isidentifier()):
            continue
        values = value if isinstance(value, list) else [value]
        found += [f"<{name}>{_value(one)}</{name}>" for one in values]
    return "".join(found)


def _value(value: object) -> str:
    if isinstance(value, dict):
        return _elements(value)
    text = value if isinstance(value, str) else json.dumps(value)
    return escape(_NOT_XML.sub("", text))


def call(
    fields: Mapping[str, Any] | None = None, *, now_s: int = NOW_MS // 1000, plain: str | None = None, **changes: Any
) -> Inbound:
    """A signed call with the usual message, some of it changed; None removes a field."""
    shown = fields if fields is not None else {k: v for k, v in {**MESSAGE, **changes}.items() if v is not None}
    plain = xml_of(shown) if plain is None else plain
    sealed = PrpCrypto(VENDOR.key).encrypt(plain, vectors.CORPID).decode()
    return inbound(sealed, now_s)


def inbound(sealed: str, now_s: int = NOW_MS // 1000) -> Inbound:
    return Inbound("POST", {}, signed(sealed, now_s), f"<xml><Encrypt>{sealed}</Encrypt></xml>".encode(), NOW_MS)


def signed(sealed: str, now_s: int) -> dict[str, str]:
    from wechatpy.crypto import _get_signature

    signature = _get_signature(vectors.TOKEN, str(now_s), "nonce", sealed)
    return {"msg_signature": signature, "timestamp": str(now_s), "nonce": "nonce"}
