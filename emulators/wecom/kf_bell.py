"""Rings the bell of customer service at a webhook, from any process: encrypted and signed as WeCom does it."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import struct
import time
from typing import Any, Literal

import requests
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from emulators.running import Control

Bell = Literal["once", "twice", "lost"]


class KfCustomers:
    """Customers of one enterprise: what they do is remembered by the emulator, and announced to the webhook."""

    def __init__(
        self, webhook: str, emulator_url: str, *, token: str, aes_key: str, corpid: str, timeout_s: float = 5
    ) -> None:
        self.webhook = webhook
        self.control = Control(emulator_url)
        self._token, self._key, self._corpid = token, base64.b64decode(aes_key + "="), corpid
        self._timeout_s = timeout_s
        self._http = requests.Session()
        self._http.trust_env = False

    def says(self, kf: str, user: str, content: object, *, bell: Bell = "once", **more: Any) -> str:
        """A customer writes; returns the message's id."""
        return self._do("say", kf, bell, external_userid=user, content=content, **more)

    def enters(self, kf: str, user: str, *, bell: Bell = "once", **more: Any) -> str:
        return self._do("enter", kf, bell, external_userid=user, **more)

    def agent(self, kf: str, user: str, action: str, *, bell: Bell = "once", **more: Any) -> str:
        """An agent takes, transfers, ends, retakes or says."""
        return self._do("agent", kf, bell, external_userid=user, action=action, **more)

    def happens(self, kf: str, user: str, event: dict[str, Any], *, bell: Bell = "once") -> str:
        return self._do("event", kf, bell, external_userid=user, event=event)

    def ring(self, kf: str) -> int:
        """One bell; returns how the webhook answered, 0: not at all."""
        token = self.control.call("POST", "/kf/bell", {"open_kfid": kf})["token"]
        query, body = self.post_of(bell_xml(self._corpid, kf, token))
        try:
            return self._http.post(self.webhook, params=query, data=body, timeout=self._timeout_s).status_code
        except requests.RequestException:
            return 0

    def shown(self, user: str) -> list[str]:
        """The texts that a customer saw."""
        return [one["text"] for one in self.control.call("POST", "/kf/shown", {"external_userid": user})]

    def post_of(self, message: bytes, *, at: float | None = None) -> tuple[dict[str, str], bytes]:
        """Query and body of a callback that holds `message`."""
        return seal(message, token=self._token, key=self._key, receiver=self._corpid, at=at)

    def close(self) -> None:
        self.control.close()
        self._http.close()

    def _do(self, what: str, kf: str, bell: Bell, **values: Any) -> str:
        msgid: str = self.control.call("POST", f"/kf/{what}", {"open_kfid": kf, **values})["msgid"]
        for _ in range({"once": 1, "twice": 2, "lost": 0}[bell]):
            status = self.ring(kf)
            if status != 200:
                raise RuntimeError(f"the webhook answered {status}")
        return msgid


def bell_xml(corpid: str, kf: str, token: str, *, at: float | None = None) -> bytes:
    """What stands in the callback; without sender, message id or agent."""
    return (
        f"<xml><ToUserName><![CDATA[{corpid}]]></ToUserName><CreateTime>{int(at or time.time())}</CreateTime>"
        f"<MsgType><![CDATA[event]]></MsgType><Event><![CDATA[kf_msg_or_event]]></Event>"
        f"<Token><![CDATA[{token}]]></Token><OpenKfId><![CDATA[{kf}]]></OpenKfId></xml>"
    ).encode()


def seal(
    message: bytes, *, token: str, key: bytes, receiver: str, at: float | None = None
) -> tuple[dict[str, str], bytes]:
    """The callback's query and its XML."""
    content = os.urandom(16) + struct.pack(">I", len(message)) + message + receiver.encode()
    padding = 32 - len(content) % 32
    encryptor = Cipher(algorithms.AES(key), modes.CBC(key[:16])).encryptor()
    sealed = base64.b64encode(encryptor.update(content + bytes([padding]) * padding) + encryptor.finalize()).decode()
    timestamp, nonce = str(int(at or time.time())), secrets.token_hex(5)
    signature = hashlib.sha1("".join(sorted([token, timestamp, nonce, sealed])).encode()).hexdigest()  # noqa: S324
    body = f"<xml><ToUserName><![CDATA[{receiver}]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
    return {"msg_signature": signature, "timestamp": timestamp, "nonce": nonce}, body.encode()
