"""How a message is said on each platform: by a callback, into a feed and a bell, by a gateway, by a connection."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import orjson

from emulators.dingtalk import callbacks as dingtalk
from emulators.wecom import callbacks as wecom
from emulators.wecom.kf_bell import bell_of, post_of

#: accounts of customer service; each has a feed of its own
ACCOUNTS = ("wkchaos0", "wkchaos1")
_LOOK_S = 0.1
#: WeChat shows a customer five messages after each of theirs; who has so many open questions waits for an answer
MOST_OPEN = 4
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """One message, and how it is brought to the door."""

    msg_id: str
    conversation: str
    once: Callable[[], Awaitable[int]]  #: one try; returns an HTTP status, 0: it was not heard
    event: str = "post"  #: a try in the journal; a "post" with 200 is the acknowledgement
    repeats: bool = True  #: the platform may bring it more than once
    #: waits for the acknowledgement, where that is not the answer to a try
    taken: Callable[[float], Awaitable[bool]] | None = None


class Voice(Protocol):
    """The people of one platform."""

    async def begin(self, http: aiohttp.ClientSession, who: int, text: str) -> Utterance:
        """The next message of somebody."""
        ...

    async def finish(self, http: aiohttp.ClientSession) -> bool:
        """Nothing more will be said; False: to be done again."""
        ...


class _Plain:
    async def finish(self, http: aiohttp.ClientSession) -> bool:
        return True


class DingTalk(_Plain):
    """Signed callbacks; in groups, where the bot answers on cards."""

    def __init__(self, url: str, secret: str, emulator_url: str, *, groups: bool = False) -> None:
        self._url = url
        self._secret = secret
        self._emulator_url = emulator_url
        self._groups = groups

    async def begin(self, http: aiohttp.ClientSession, who: int, text: str) -> Utterance:
        callback = dingtalk.Callback(
            text=text, user=f"user{who:02}", conversation=f"cid{who:02}==", group=self._groups
        )  # fmt: skip
        post = dingtalk.build(callback, secret=self._secret, emulator_url=self._emulator_url)

        async def once() -> int:
            return await _post(http, self._url, post.body, post.headers)

        return Utterance(post.msg_id, post.conversation, once)


class WeCom(_Plain):
    """Encrypted callbacks."""

    def __init__(self, url: str, app: wecom.App) -> None:
        self._url = url
        self._app = app

    async def begin(self, http: aiohttp.ClientSession, who: int, text: str) -> Utterance:
        user = f"member{who:02}"
        post = wecom.build(wecom.Callback(text=text, user=user), self._app)

        async def once() -> int:
            return await _post(http, f"{self._url}?{post.query}", post.body, {"Content-Type": "text/xml"})

        return Utterance(post.msg_id, user, once)


class Customers:
    """Messages wait in a feed; an encrypted bell says so, and now and then it is not rung."""

    def __init__(self, url: str, app: wecom.App, emulator_url: str, forgets: Callable[[], bool]) -> None:
        self._url = url
        self._app = app
        self._emulator_url = emulator_url
        self._forgets = forgets
        self._asked: Counter[str] = Counter()

    async def begin(self, http: aiohttp.ClientSession, who: int, text: str) -> Utterance:
        account, user = ACCOUNTS[who // 2 % len(ACCOUNTS)], f"wm{who:02}"
        until = time.monotonic() + PATIENCE_S
        while await self._open_questions(http, user) >= MOST_OPEN:
            if time.monotonic() > until:
                break  # the checker will say why
            await asyncio.sleep(_LOOK_S)
        self._asked[user] += 1
        words = {"open_kfid": account, "external_userid": user, "content": text}
        msg_id = (await _control(http, self._emulator_url, "kf/say", words))["msgid"]
        forgotten = self._forgets()

        async def once() -> int:
            return 200 if forgotten else await self._ring(http, account)

        return Utterance(msg_id, f"{account}:{user}", once, event="bell")

    async def finish(self, http: aiohttp.ClientSession) -> bool:
        """One more bell at each account, for those that were forgotten."""
        return all([await self._ring(http, account) == 200 for account in ACCOUNTS])

    async def _open_questions(self, http: aiohttp.ClientSession, user: str) -> int:
        if self._asked[user] < MOST_OPEN:
            return 0
        shown = await _control(http, self._emulator_url, "kf/shown", {"external_userid": user})
        return self._asked[user] - len(shown)

    async def _ring(self, http: aiohttp.ClientSession, account: str) -> int:
        token = (await _control(http, self._emulator_url, "kf/bell", {"open_kfid": account}))["token"]
        query, body = post_of(bell_of(self._app, account, token), self._app)
        return await _post(http, self._url, body, {"Content-Type": "text/xml"}, query)


class Stream(_Plain):
    """Frames of the gateway, which brings each again until it is acknowledged."""

    def __init__(self, app: str, emulator_url: str, log: Path) -> None:
        self._app = app
        self._emulator_url = emulator_url
        self._acknowledged: set[str] = set()
        self._log = log
        self._read_bytes = 0

    async def begin(self, http: aiohttp.ClientSession, who: int, text: str) -> Utterance:
        msg_id = f"msg{os.urandom(16).hex()}=="
        frame = {
            "app": self._app, "text": text, "user": f"user{who:02}", "conversation": f"cid{who:02}==", "msg_id": msg_id,
        }  # fmt: skip

        async def once() -> int:
            sent = await _control(http, self._emulator_url, "stream/send", frame)
            return 200 if sent["connection"] else 0  # nobody is connected: with the platform, too, it is gone

        async def taken(patience_s: float) -> bool:
            until = time.monotonic() + patience_s
            while msg_id not in self._acknowledged and time.monotonic() < until:
                await asyncio.sleep(_LOOK_S)
                self._look()
            return msg_id in self._acknowledged

        return Utterance(msg_id, frame["conversation"], once, event="push", taken=taken)

    def _look(self) -> None:
        """Acknowledgements that have been logged since the last look."""
        with self._log.open("rb") as log:
            log.seek(self._read_bytes)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read_bytes += len(whole)
        for line in whole.splitlines():
            if b'"event":"ack"' in line:
                ack = orjson.loads(line)
                if ack.get("accepted"):
                    self._acknowledged.add(ack["msg_id"])


class Aim(_Plain):
    """Instant messages: delivered once, or kept until the account is back."""

    def __init__(self, account: str, emulator_url: str) -> None:
        self._account = account
        self._emulator_url = emulator_url

    async def begin(self, http: aiohttp.ClientSession, who: int, text: str) -> Utterance:
        cookie, name = os.urandom(8).hex(), f"peer{who:02}"
        words = {"from": name, "to": self._account, "text": text, "cookie": cookie}

        async def once() -> int:
            await _control(http, self._emulator_url, "send", words)
            return 200

        return Utterance(cookie, name, once, event="hand", repeats=False)


async def _post(
    http: aiohttp.ClientSession, url: str, body: bytes, headers: dict[str, str], query: dict[str, str] | None = None
) -> int:
    try:
        async with http.post(url, data=body, headers=headers, params=query) as response:
            await response.read()
            return response.status
    except (aiohttp.ClientError, TimeoutError):
        return 0


async def _control(http: aiohttp.ClientSession, url: str, what: str, data: object) -> Any:
    """A call of an emulator, which nobody kills. Raises aiohttp.ClientError."""
    async with http.post(f"{url}/_control/{what}", json=data, timeout=aiohttp.ClientTimeout(total=30)) as response:
        response.raise_for_status()
        return await response.json()
