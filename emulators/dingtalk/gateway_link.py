"""One websocket of the Stream gateway: frames out, acknowledgements in, and the ways in which it can fall silent."""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from emulators.dingtalk.gateway import Times

ROBOT_TOPIC = "/v1.0/im/bot/messages/get"
CARD_TOPIC = "/v1.0/card/instances/callback"
_numbers = itertools.count(1)
Acknowledged = Callable[["Link", dict[str, Any], list[str]], None]


@dataclass(slots=True)
class Frame:
    """One thing to tell a client; the same, with the same id, however often it is delivered."""

    type: str
    topic: str
    data: str
    facts: dict[str, Any]
    message_id: str = field(default_factory=lambda: uuid.uuid4().hex)
    headers: dict[str, str] = field(default_factory=dict)
    sent: int = 0
    sent_at: float = 0.0

    def text(self, link: Link) -> str:
        headers = {
            "appId": "00000000-0000-0000-0000-000000000001",
            "connectionId": link.name,
            "contentType": "application/json",
            "messageId": self.message_id,
            "time": str(time.time_ns() // 1_000_000),
            "topic": self.topic,
            **self.headers,
        }
        frame = {"specVersion": "1.0", "type": self.type, "headers": headers, "data": self.data}
        return orjson.dumps(frame).decode()

    def asks_again(self, answer: dict[str, Any]) -> bool:
        """An event that is acknowledged with LATER."""
        return self.type == "EVENT" and orjson.loads(answer["data"]).get("status") != "SUCCESS"


class Link:
    """A connection; `silent`: nothing is delivered any more (a zombie), `deaf`: no pong either (half open)."""

    def __init__(
        self, app: str, subscriptions: frozenset[tuple[str, str]], base: str, acknowledged: Acknowledged
    ) -> None:
        self.name = f"connection-{next(_numbers)}"
        self.app = app
        self.base = base
        self.silent = False
        self.deaf = False
        self.leaving = False
        self.pings = {"sent": 0, "answered": 0}
        self._subscriptions = subscriptions
        self._acknowledged = acknowledged
        self._frames: asyncio.Queue[str] = asyncio.Queue()
        self._transport: asyncio.BaseTransport | None = None
        self._close_after_s: float | None = None
        self._asked_to_leave = asyncio.Event()

    def describe(self) -> dict[str, Any]:
        return {"connection": self.name, "silent": self.silent, "deaf": self.deaf, "leaving": self.leaving,
                "pings": self.pings}  # fmt: skip

    def takes(self, kind: str, topic: str) -> bool:
        return not self.leaving and (kind, topic) in self._subscriptions

    def push(self, text: str) -> None:
        """Send it, unless nothing is sent any more."""
        if not self.silent:
            self._frames.put_nowait(text)

    def abort(self) -> None:
        """The TCP connection dies without a word."""
        if isinstance(self._transport, asyncio.Transport):
            self._transport.abort()

    def ask_to_leave(self, close_after_s: float) -> None:
        """The disconnect frame; nothing is delivered after it, and the end comes soon."""
        self.push(Frame("SYSTEM", "disconnect", '{"reason":"persistent connection is timeout"}', {}).text(self))
        self.leaving = True
        self._close_after_s = close_after_s
        self._asked_to_leave.set()

    async def serve(self, request: web.Request, times: Times) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(autoping=False, max_msg_size=2**22)
        await socket.prepare(request)
        self._transport = request.transport
        helpers = [asyncio.create_task(each) for each in (self._write(socket), self._ping(times), self._leave(socket))]
        try:
            async for message in socket:
                if message.type == WSMsgType.PING:
                    if not self.deaf:
                        await socket.pong(message.data)
                elif message.type == WSMsgType.TEXT:
                    self._read(message.data)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
        return socket

    async def _write(self, socket: web.WebSocketResponse) -> None:
        while True:
            await socket.send_str(await self._frames.get())

    async def _ping(self, times: Times) -> None:
        while True:
            await asyncio.sleep(times.ping_s)
            if not self.leaving:
                self.pings["sent"] += not self.silent
                opaque = orjson.dumps({"opaque": uuid.uuid4().hex}).decode()
                self.push(Frame("SYSTEM", "ping", opaque, {}, message_id=f"ping-{uuid.uuid4().hex}").text(self))

    async def _leave(self, socket: web.WebSocketResponse) -> None:
        await self._asked_to_leave.wait()
        await asyncio.sleep(self._close_after_s or 0)
        await socket.close()

    def _read(self, text: str) -> None:
        answer, problems = check(text)
        headers = answer.get("headers")
        if isinstance(headers, dict) and str(headers.get("messageId")).startswith("ping-"):
            self.pings["answered"] += not problems and "opaque" in orjson.loads(answer["data"])
            return
        self._acknowledged(self, answer, problems)


def check(text: str) -> tuple[dict[str, Any], list[str]]:
    """An acknowledgement, and what is wrong with its form."""
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}, ["not JSON"]
    if not isinstance(answer, dict):
        return {}, ["not an object"]
    problems = []
    if not isinstance(answer.get("code"), int):
        problems.append("code is not a number")
    headers = answer.get("headers")
    if not isinstance(headers, dict) or not headers.get("messageId"):
        problems.append("headers.messageId is missing")
    elif headers.get("contentType") != "application/json":
        problems.append("headers.contentType is not application/json")
    if not isinstance(answer.get("message"), str):
        problems.append("message is not a text")
    data = answer.get("data")
    try:
        if not isinstance(data, str) or not isinstance(orjson.loads(data), dict):
            problems.append("data is not a text that holds a JSON object")
    except orjson.JSONDecodeError:
        problems.append("data is not JSON")
    return answer, problems
