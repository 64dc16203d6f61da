"""The Stream gateway: bots connect by websocket and get their callbacks there; which bot gets which, and when again.

DingTalk docs, 2026-11-20; the redelivery after 60 s and the silent connections were reported by users.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from typing import Any

import orjson
from aiohttp import web

from emulators.answers import Answer, Call, json_answer
from emulators.calls import fingerprint
from emulators.dingtalk.callbacks import Callback, build
from emulators.dingtalk.gateway_link import CARD_TOPIC, ROBOT_TOPIC, Frame, Link
from emulators.dingtalk.sender import intent
from emulators.dingtalk.tokens import Tokens, api_error
from emulators.front import Front

OPEN_PATH = "/v1.0/gateway/connections/open"
_CALLBACK_FIELDS = {field.name for field in dataclasses.fields(Callback)}


@dataclasses.dataclass(slots=True)
class Times:
    """Seconds, as the platform has them; a test makes them short."""

    ticket_s: float = 90
    ping_s: float = 25
    redeliver_s: float = 60
    redeliveries: float = 1  #: how often a frame that was not acknowledged comes again

    def set(self, values: dict[str, Any]) -> None:
        """Raises ValueError."""
        known = {field.name for field in dataclasses.fields(self)}
        if unknown := set(values) - known:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}")
        for name, value in values.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"{name} must be a number that is not negative")
            setattr(self, name, float(value))


@dataclasses.dataclass(slots=True)
class Ticket:
    app: str
    subscriptions: frozenset[tuple[str, str]]
    base: str
    good_until: float


class Gateway:
    """All connections, and every frame that waits for its acknowledgement."""

    def __init__(self, front: Front, tokens: Tokens) -> None:
        self._front = front
        self._tokens = tokens
        self.times = Times()
        self._tickets: dict[str, Ticket] = {}
        self._links: dict[str, Link] = {}
        self._waiting: dict[str, Frame] = {}
        self._turn = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        """Forget everything; connections die."""
        self.times = Times()
        self._tickets.clear()
        self._waiting.clear()
        for link in self._links.values():
            link.abort()
        for task in self._tasks:
            task.cancel()

    # connections

    def open(self, call: Call) -> Answer:
        """A ticket for one connection."""
        body = call.json or {}
        key, secret = str(body.get("clientId") or ""), str(body.get("clientSecret") or "")
        facts = {"app": fingerprint(key)}
        if not self._tokens.allowed(key, secret):
            return api_error(401, "authFailed", "鉴权失败", facts)
        wanted = body.get("subscriptions")
        if not isinstance(wanted, list) or not all(isinstance(each, dict) for each in wanted):
            return api_error(400, "invalidParameter.subscriptions", "subscriptions", facts)
        topics = frozenset((str(each.get("type")), str(each.get("topic"))) for each in wanted)
        ticket = str(uuid.uuid4())
        host = call.headers.get("Host", "127.0.0.1")
        self._tickets[ticket] = Ticket(key, topics, f"http://{host}", time.monotonic() + self.times.ticket_s)
        return json_answer({"endpoint": f"ws://{host}/connect", "ticket": ticket}, facts=facts)

    async def connect(self, request: web.Request) -> web.StreamResponse:
        """GET /connect?ticket=...: a websocket, if the ticket is good; it is good once."""
        ticket = self._tickets.pop(request.query.get("ticket", ""), None)
        if ticket is None or ticket.good_until < time.monotonic():
            self._front.log.noted("connect", {"accepted": False})
            return web.Response(status=403)
        link = Link(ticket.app, ticket.subscriptions, ticket.base, self._acknowledged)
        self._front.log.noted("connect", {"accepted": True, "connection": link.name, "app": fingerprint(link.app)})
        self._links[link.name] = link
        try:
            return await link.serve(request, self.times)
        finally:
            self._links.pop(link.name, None)
            self._front.log.noted("disconnected", {"connection": link.name})

    def connections(self) -> list[dict[str, Any]]:
        """Control: those that are open."""
        return [link.describe() for link in self._links.values()]

    # frames

    def send(self, values: dict[str, Any]) -> dict[str, Any]:
        """Control: a robot callback (fields of `Callback`; `app`: of which app) to one of the connections."""
        values = dict(values)
        app = str(values.pop("app", ""))
        if unknown := set(values) - _CALLBACK_FIELDS:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(sorted(_CALLBACK_FIELDS))}")
        callback = Callback(**values)
        base = next((link.base for link in self._links.values()), "http://127.0.0.1:9")
        post = build(callback, secret="", emulator_url=base)
        facts = {"msg_id": post.msg_id, **intent(post, callback)}
        delivered = ""
        for _ in range(post.copies):
            frame = Frame("CALLBACK", ROBOT_TOPIC, post.body.decode("utf-8", "replace"), facts)
            delivered = self._deliver(frame, app)
        return {"msg_id": post.msg_id, "conversation": post.conversation, "session": post.session,
                "connection": delivered}  # fmt: skip

    def card(self, values: dict[str, Any]) -> dict[str, Any]:
        """Control: a card callback; `data` is its body."""
        frame = Frame("CALLBACK", CARD_TOPIC, orjson.dumps(values.get("data") or {}).decode(), {})
        return {"connection": self._deliver(frame, str(values.get("app", ""))), "message_id": frame.message_id}

    def event(self, values: dict[str, Any]) -> dict[str, Any]:
        """Control: an event of the organisation."""
        frame = Frame("EVENT", "*", orjson.dumps(values.get("data") or {}).decode(), {})
        frame.headers = {"eventType": str(values.get("type", "chat_update_title")), "eventId": uuid.uuid4().hex,
                         "eventCorpId": "ding0001", "eventBornTime": str(int(time.time() * 1000))}  # fmt: skip
        return {"connection": self._deliver(frame, str(values.get("app", ""))), "message_id": frame.message_id}

    def raw(self, values: dict[str, Any]) -> dict[str, Any]:
        """Control: `text` as it is, to every connection; whatever it may be."""
        for link in self._links.values():
            link.push(str(values.get("text", "")))
        return {"connections": len(self._links)}

    def act(self, values: dict[str, Any]) -> dict[str, Any]:
        """Control: {"what": disconnect | abort | zombie | half_open, "connection"?: name, "close_after_s"?: 10}."""
        chosen = [link for link in self._links.values() if values.get("connection", link.name) == link.name]
        if not chosen:
            raise ValueError("there is no such connection")
        link = chosen[0]
        match values.get("what"):
            case "disconnect":
                link.ask_to_leave(float(values.get("close_after_s", 10)))
            case "abort":
                link.abort()
            case "zombie":
                link.silent = True
            case "half_open":
                link.silent = link.deaf = True
            case other:
                raise ValueError(f"what: {other!r} is not one of disconnect, abort, zombie, half_open")
        return link.describe()

    def _deliver(self, frame: Frame, app: str, *, avoid: str = "") -> str:
        """The name of the connection that got it; "": there was none, and it is lost, as with the platform."""
        able = [each for each in self._links.values() if each.takes(frame.type, frame.topic) and app in ("", each.app)]
        able = [each for each in able if each.name != avoid] or able
        if not able:
            self._front.log.noted("frame", {**self._facts(frame), "connection": None})
            return ""
        self._turn += 1
        link = able[self._turn % len(able)]
        frame.sent += 1
        frame.sent_at = time.perf_counter()
        self._front.log.noted("frame", {**self._facts(frame), "connection": link.name})
        self._waiting[frame.message_id] = frame
        link.push(frame.text(link))
        if frame.sent == 1:
            task = asyncio.get_running_loop().create_task(self._again(frame, link.name, app))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return link.name

    @staticmethod
    def _facts(frame: Frame) -> dict[str, Any]:
        return {"type": frame.type, "topic": frame.topic, "message_id": frame.message_id, "delivery": frame.sent,
                **frame.facts}  # fmt: skip

    async def _again(self, frame: Frame, connection: str, app: str) -> None:
        """Deliver it anew, elsewhere if possible, as often as `redeliveries` says, until it is acknowledged."""
        tries = 0
        while tries < self.times.redeliveries:
            await asyncio.sleep(self.times.redeliver_s)
            if frame.message_id not in self._waiting:
                return
            connection = self._deliver(frame, app, avoid=connection) or connection
            tries += 1

    def _acknowledged(self, link: Link, answer: dict[str, Any], problems: list[str]) -> None:
        """What a client has sent; every line of the log says what is wrong with it."""
        headers = answer.get("headers")
        message_id = str(headers.get("messageId")) if isinstance(headers, dict) else ""
        frame = self._waiting.get(message_id)
        facts: dict[str, Any] = {"connection": link.name, "message_id": message_id, "code": answer.get("code"),
                                 "data": answer.get("data"), "problems": problems}  # fmt: skip
        if frame is None:
            facts["unknown"] = True
        else:
            facts |= {"msg_id": frame.facts.get("msg_id"), "topic": frame.topic}
            facts["ms"] = round((time.perf_counter() - frame.sent_at) * 1000, 2)
            facts["accepted"] = not problems and answer.get("code") == 200 and not frame.asks_again(answer)
            if facts["accepted"]:
                del self._waiting[message_id]
        self._front.log.noted("ack", facts)


def serve(front: Front, gateway: Gateway) -> None:
    front.add("POST", OPEN_PATH, gateway.open)
    front.app.router.add_get("/connect", gateway.connect)
    front.control("GET", "/stream", lambda _: gateway.connections())
    front.control("POST", "/stream/times", lambda values: gateway.times.set(values))
    front.control("POST", "/stream/send", gateway.send)
    front.control("POST", "/stream/card", gateway.card)
    front.control("POST", "/stream/event", gateway.event)
    front.control("POST", "/stream/raw", gateway.raw)
    front.control("POST", "/stream/act", gateway.act)
