"""Rings the bell of customer service at a webhook, from any process: encrypted and signed as WeCom does it."""

from __future__ import annotations

import time
from typing import Any, Literal

import requests
from wechatpy.work.crypto import PrpCrypto

from emulators.running import Control
from emulators.wecom.callbacks import App, signed, to_xml

Bell = Literal["once", "twice", "lost"]
#: a webhook that is busy for a moment is rung again, three times in all; after each so long
_AGAIN_AFTER_S = (0.3, 1.0, 0.0)


class KfCustomers:
    """Customers of one enterprise: what they do is remembered by the emulator, and announced to the webhook."""

    def __init__(self, webhook: str, emulator_url: str, app: App, *, timeout_s: float = 5) -> None:
        self.webhook = webhook
        self.control = Control(emulator_url)
        self._app = app
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
        return self.ring_with(kf, self.control.call("POST", "/kf/bell", {"open_kfid": kf})["token"])

    def ring_with(self, kf: str, token: str) -> int:
        """One bell with a token that is known already; returns as `ring`."""
        query, body = post_of(bell_of(self._app, kf, token), self._app)
        try:
            return self._http.post(self.webhook, params=query, data=body, timeout=self._timeout_s).status_code
        except requests.RequestException:
            return 0

    def shown(self, user: str) -> list[str]:
        """The texts that a customer saw."""
        return [one["text"] for one in self.control.call("POST", "/kf/shown", {"external_userid": user})]

    def close(self) -> None:
        self.control.close()
        self._http.close()

    def _do(self, what: str, kf: str, bell: Bell, **values: Any) -> str:
        msgid: str = self.control.call("POST", f"/kf/{what}", {"open_kfid": kf, **values})["msgid"]
        for _ in range({"once": 1, "twice": 2, "lost": 0}[bell]):
            for wait_s in _AGAIN_AFTER_S:
                if (status := self.ring(kf)) == 200:
                    break
                time.sleep(wait_s)
            else:
                raise RuntimeError(f"the webhook answered {status}")
        return msgid


def bell_of(app: App, kf: str, token: str, *, at: float | None = None) -> str:
    """What stands in the callback; without sender, message id or agent."""
    return to_xml(
        {
            "ToUserName": app.corpid,
            "CreateTime": int(at or time.time()),
            "MsgType": "event",
            "Event": "kf_msg_or_event",
            "Token": token,
            "OpenKfId": kf,
        }
    )


def post_of(message: str, app: App, *, at: float | None = None) -> tuple[dict[str, str], bytes]:
    """The query and the XML of a callback that holds `message`, sealed by wechatpy."""
    sealed = str(PrpCrypto(app.crypto.key).encrypt(message, app.corpid).decode())
    body = to_xml({"ToUserName": app.corpid, "Encrypt": sealed})
    return signed(sealed, app, int(at or time.time())), body.encode()
