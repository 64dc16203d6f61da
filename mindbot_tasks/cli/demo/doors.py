"""The doors of the demo: how somebody speaks through each, and where the answer is looked for on the other side."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulators.dingtalk import DingTalkSender
from emulators.wecom import WeComSender
from emulators.wecom.callbacks import App
from mindbot_tasks.cli.demo.stack import CALLBACK, CORPID, FETCH, DemoFailed, Stack, as_json
from mindbot_tasks.cli.stage_times import StageTime, stage_times
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.platforms import standard_webhooks

LOOK_EVERY_S = 0.2


@dataclass
class Exchange:
    """One question through one door, and what came of it."""

    door: str  #: a key of the words, such as "dingtalk_person"
    path: str  #: where the webhook was posted
    who: str
    question: str
    acknowledged_ms: float = 0.0
    message_id: int = 0
    answer: str | None = None  #: as it arrived on the other side
    view: dict[str, Any] = field(default_factory=dict)  #: what the API tells about the message

    @property
    def done(self) -> bool:
        """The answer is there, and the ledger says that it is."""
        return self.answer is not None and bool(self.view.get("finished"))

    @property
    def stages(self) -> list[StageTime]:
        return stage_times((step["step"], step["took_ms"]) for step in self.view.get("timeline", ()))

    @property
    def total_ms(self) -> int:
        finished_at, received_at = self.view.get("finished_at"), self.view.get("received_at")
        return finished_at - received_at if finished_at and received_at else 0


class Door(Protocol):
    """One way in, and the way back that belongs to it."""

    exchange: Exchange

    def send(self) -> None:
        """Post the signed webhook. Raises DemoFailed unless it is acknowledged."""

    def look(self) -> None:
        """Fill in the answer if it has arrived."""


class DingTalkDoor:
    """A person writes to the robot, alone or in a group; the answer comes to the session webhook."""

    def __init__(self, stack: Stack, lang: Lang, who: str, question: str, *, group: bool) -> None:
        self._stack = stack
        self._lang = lang
        self._group = group
        self._conversation = f"cid{secrets.token_hex(6)}=="
        self._msg_id = ""
        door = "dingtalk_group" if group else "dingtalk_person"
        self.exchange = Exchange(door, "/webhooks/dingtalk", who, question)

    def send(self) -> None:
        stack, exchange = self._stack, self.exchange
        url = stack.url + exchange.path
        with DingTalkSender(url, stack.keys.dingtalk, emulator_url=stack.dingtalk.url) as sender:
            sent = sender.send(
                exchange.question,
                nick=exchange.who,
                user="user-" + secrets.token_hex(4),
                conversation=self._conversation,
                group=self._group,
            )
        _require_taken(exchange, sent.status, self._lang)
        exchange.acknowledged_ms = sent.answers[-1].ms
        self._msg_id = sent.msg_id

    def look(self) -> None:
        exchange = self.exchange
        if not exchange.message_id:
            page = self._stack.get("/api/v1/messages", platform="dingtalk", conversation_id=self._conversation)
            exchange.message_id = page["messages"][0]["id"] if page["messages"] else 0
        if exchange.answer is None:
            calls = self._stack.dingtalk.control.calls(path="/robot/sendBySession", for_msg_id=self._msg_id)
            texts = [call["text"] for call in calls if call["accepted"]]
            exchange.answer = "\n".join(texts) if texts else None


class WeComDoor:
    """A member writes to the app; WeCom's callback is encrypted, the answer is a message of the app."""

    def __init__(self, stack: Stack, lang: Lang, who: str, question: str) -> None:
        self._stack = stack
        self._lang = lang
        self._user = "member-" + secrets.token_hex(4)
        self.exchange = Exchange("wecom_member", "/webhooks/wecom", who, question)

    def send(self) -> None:
        stack, exchange = self._stack, self.exchange
        app = App(stack.keys.wecom_token, stack.keys.wecom_aes_key, CORPID)
        with WeComSender(stack.url + exchange.path, app) as sender:
            sent = sender.send(exchange.question, user=self._user)
        _require_taken(exchange, sent.status, self._lang)
        exchange.acknowledged_ms = sent.answers[-1].ms

    def look(self) -> None:
        exchange = self.exchange
        if not exchange.message_id:
            page = self._stack.get("/api/v1/messages", platform="wecom", conversation_id=self._user)
            exchange.message_id = page["messages"][0]["id"] if page["messages"] else 0
        if exchange.answer is None:
            calls = self._stack.wecom.control.calls(path="/cgi-bin/message/send", users=self._user, accepted=True)
            exchange.answer = "\n".join(call["text"] for call in calls) or None


class ChatDoor:
    """Another system posts signed JSON; it fetches the answer, or is called back with it."""

    def __init__(self, stack: Stack, lang: Lang, who: str, question: str, *, bot: str) -> None:
        self._stack = stack
        self._lang = lang
        self._bot = bot
        self.exchange = Exchange(f"chat_{bot}", f"/webhooks/chat/{bot}", who, question)

    def send(self) -> None:
        exchange = self.exchange
        body = as_json(
            {"type": "message.created", "data": {"text": exchange.question, "user_id": exchange.who,
                                                 "user_name": exchange.who}}
        )  # fmt: skip
        webhook_id = "demo_" + secrets.token_hex(8)
        headers = standard_webhooks.sign([self._stack.keys.chat], webhook_id, body, now_s=int(time.time()))
        started = time.perf_counter()
        response = self._stack.post(exchange.path, body, headers)
        exchange.acknowledged_ms = round((time.perf_counter() - started) * 1000, 2)
        _require_taken(exchange, response.status, self._lang)
        exchange.message_id = response.json()["id"]

    def look(self) -> None:
        exchange = self.exchange
        if exchange.answer is not None:
            return
        if self._bot == CALLBACK:
            exchange.answer = self._stack.receiver.answer_to(exchange.message_id)
            return
        view = self._stack.get(f"/api/v1/messages/{exchange.message_id}")
        if view["finished"] and view["answer"]:
            exchange.answer = view["answer"]["text"]


def _require_taken(exchange: Exchange, status: int, lang: Lang) -> None:
    if status != 200:
        raise DemoFailed(say("demo.refused", lang, path=exchange.path, status=status or say("demo.nobody", lang)))


def doors(stack: Stack, lang: Lang) -> list[Door]:
    """Every door that is enabled in the demo, with what is said there."""

    def words(key: str) -> str:
        return say(f"demo.{key}", lang)

    return [
        DingTalkDoor(stack, lang, words("person"), words("ask_code"), group=False),
        DingTalkDoor(stack, lang, words("colleague"), words("ask_translation"), group=True),
        WeComDoor(stack, lang, words("member"), words("ask_member")),
        ChatDoor(stack, lang, "crm", words("ask_fetch"), bot=FETCH),
        ChatDoor(stack, lang, "helpdesk", words("ask_callback"), bot=CALLBACK),
    ]


def wait_for_answers(stack: Stack, waiting: Sequence[Door], lang: Lang, *, patience_s: float) -> list[Door]:
    """Look once at each; returns those whose answer is not there yet. Raises DemoFailed when one has ended without."""
    for door in waiting:
        try:
            door.look()
            if door.exchange.message_id:
                door.exchange.view = stack.get(f"/api/v1/messages/{door.exchange.message_id}")
        except FarSideError:
            continue  # a web process that is restarted is no reason to give up
        view = door.exchange.view
        if view.get("finished") and view["state"] != "replied":
            raise DemoFailed(
                say("demo.not_answered", lang, door=say(f"demo.{door.exchange.door}", lang), id=view["id"],
                    state=view["state"], why=view["error"] or "-")
            )  # fmt: skip
    left = [door for door in waiting if not door.exchange.done]
    if left and patience_s <= 0:
        raise DemoFailed(say("demo.too_late", lang, doors="; ".join(_where(door.exchange, lang) for door in left)))
    return left


def _where(exchange: Exchange, lang: Lang) -> str:
    """A door and how far its message came."""
    state = exchange.view.get("state", "?")
    error = exchange.view.get("error")
    return f"{say(f'demo.{exchange.door}', lang)} ({state}{f': {error}' if error else ''})"
