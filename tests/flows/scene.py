"""One story on one stack: people of its own, a mark in its texts, and what became of them."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import requests

from emulators.dingtalk import DingTalkSender
from emulators.dingtalk.callbacks import Callback, build
from emulators.dingtalk.sender import Sent
from emulators.running import Control
from emulators.wecom.kf_bell import KfCustomers
from mindbot_tasks.platforms import standard_webhooks
from mindbot_tasks.stores import trace
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.trace import Trace
from tests.flows.stack import CANARY_TEXT, CHAT_SECRET, WECOM, Stack

T = TypeVar("T")

MODEL = "/v1/chat/completions"
DIFY = "/v1/chat-messages"
SESSION = "/robot/sendBySession"
CARD, STREAM = "/v1.0/card/instances/createAndDeliver", "/v1.0/card/streaming"
TO_PERSON = "/v1.0/robot/oToMessages/batchSend"
TO_GROUP = "/v1.0/robot/groupMessages/send"
PATIENCE_S = 90.0


def until(found: Callable[[], T | None], what: str, *, within_s: float = PATIENCE_S) -> T:
    """The first true value. Raises AssertionError after a while."""
    began_at = time.monotonic()
    while not (value := found()):
        waited_s = time.monotonic() - began_at
        assert waited_s < within_s, f"after {within_s} s there is still no {what}"
        # forty stories that look all the time leave the machine no time for what they wait for
        time.sleep(0.05 if waited_s < 1 else 0.2)
    return value


class Scene:
    """Everything a story says and sees. All stories happen at the same time, so each looks at its own marks only."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        token = secrets.token_hex(5)
        self.mark = f"mark{token}"  #: in every text of this story, so in every call because of one
        self.user = f"user{token}"
        self.conversation = f"cid{token}=="
        self.openai = Control(stack.vendors.openai.url)
        self.dify = Control(stack.vendors.dify.url)
        self.dingtalk = Control(stack.vendors.dingtalk.url)
        self.wecom = Control(stack.vendors.wecom.url)
        self.account = f"wk{token}"  #: of customer service
        self.customers = KfCustomers(f"{stack.web}/webhooks/wecomcs", stack.vendors.wecom.url, WECOM)
        self.oscar = Control(stack.vendors.oscar.url)
        self.otlp = Control(stack.vendors.otlp.url)

    def close(self) -> None:
        for control in (self.openai, self.dify, self.dingtalk, self.oscar, self.wecom, self.otlp):
            control.close()
        self.customers.close()

    def fault(self, action: str, path: str, *, contains: str = "", **options: Any) -> None:
        """What goes wrong at a vendor with a call that has this story's mark."""
        by = {MODEL: self.openai, DIFY: self.dify}.get(path, self.dingtalk)
        by.fault(action, path, contains=contains or self.mark, **options)

    def says(
        self, text: str = "hello", *, bot: str = "default", web: str = "", vendor: str = "",
        session_over: bool = False, **other: Any,
    ) -> Sent:  # fmt: skip
        """Post a DingTalk callback of this story's user, marked; `session_over`: nobody can be answered by it."""
        url = f"{web or self.stack.web}/webhooks/dingtalk/{bot}"
        with DingTalkSender(url, self.stack.secret, emulator_url=vendor or self.dingtalk.url) as sender:
            words = f"{text} {self.mark} {CANARY_TEXT}"
            callback = Callback(**{"text": words, "user": self.user, "conversation": self.conversation, **other})
            post = build(callback, secret=self.stack.secret, emulator_url=vendor or self.dingtalk.url)
            if session_over:
                self.dingtalk.call("POST", "/sessions/expire", {"session": post.session})
            # a database that is busy for a moment says 503, and platforms post again
            return until(lambda: _if_taken(sender.repeat(post, callback)), "200 of the web side")

    def chats(self, text: str, *parts: dict[str, str], more_headers: Mapping[str, str] | None = None) -> int:
        """Post to the generic platform; returns our id of the message."""
        data = {
            "text": f"{text} {self.mark} {CANARY_TEXT}", "user_id": self.user, "conversation_id": self.conversation,
            "parts": parts,
        }  # fmt: skip
        body = json.dumps({"type": "message.created", "data": data}).encode()
        headers = standard_webhooks.sign([CHAT_SECRET], self.mark, body, now_s=int(time.time()))
        headers = {**headers, **(more_headers or {})}

        def post() -> int | None:
            answer = requests.post(f"{self.stack.web}/webhooks/chat", data=body, headers=headers, timeout=10)
            assert answer.status_code in (200, 503), answer.text
            return int(answer.json()["id"]) if answer.ok else None

        return until(post, "200 of the web side")

    # what became of it

    def messages(self) -> list[Trace]:
        """All messages of this story's conversation, oldest first."""
        with reading(self.stack.engine) as connection:
            rows = trace.list_messages(connection, trace.Filter(conversation=self.conversation))
            found = [trace.get_trace(connection, row["id"]) for row in reversed(rows)]
        return [one for one in found if one is not None]

    def ended(self, count: int = 1, *, within_s: float = PATIENCE_S) -> list[Trace]:
        """The messages, as soon as so many have ended. Raises AssertionError."""

        def all_ended() -> list[Trace]:
            found = self.messages()
            return found if len([one for one in found if one.message["finished_at"]]) >= count else []

        try:
            return until(all_ended, f"end of {count} messages", within_s=within_s)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{[(one.message, one.events) for one in self.messages()]}") from exc

    def spans(self, told: Trace, *names: str) -> list[dict[str, Any]]:
        """The trace of a message, as soon as spans of all these names have been exported."""

        def exported() -> list[dict[str, Any]]:
            about = self.otlp.call("GET", "/spans", {"mindbot.message.id": told.message["id"]})
            ours = {one["trace_id"] for one in about if one["resource"]["stack"] == self.stack.name}
            found = [span for trace_id in ours for span in self.otlp.call("GET", "/spans", {"trace_id": trace_id})]
            return found if set(names) <= {span["name"] for span in found} else []

        return until(exported, f"spans {names}")

    def shown(self, dingtalk: Control | None = None) -> list[dict[str, Any]]:
        """What this story's people saw from the bot on DingTalk, in order."""
        calls = (dingtalk or self.dingtalk).calls(accepted=True)
        return [
            call
            for call in calls
            if (call["path"] in (SESSION, TO_GROUP) and call.get("conversation") == self.conversation)
            or (call["path"] == TO_PERSON and self.user in (call.get("reached") or ()))
        ]

    def texts(self) -> list[str]:
        return [call["text"] for call in self.shown()]

    def cards(self) -> dict[str, list[dict[str, Any]]]:
        """The cards that this story's people saw, and what was streamed into each, in order."""
        calls = [
            call
            for call in self.dingtalk.calls(accepted=True)
            if call["path"] in (CARD, STREAM)
            and (call.get("conversation") == self.conversation or self.user in (call.get("reached") or ()))
        ]
        return {
            card: [call for call in calls if call["card"] == card and call["path"] == STREAM]
            for card in dict.fromkeys(call["card"] for call in calls)
        }

    def asked(self, *, dify: bool = False) -> list[dict[str, Any]]:
        """The calls of models because of this story, refused ones too."""
        if dify:
            return [call for call in self.dify.calls(path=DIFY) if self.mark in call.get("text", "")]
        return [call for call in self.openai.calls(path=MODEL) if self.mark in call.get("text", "")]


def _if_taken(sent: Sent) -> Sent | None:
    if sent.acknowledged:
        return sent
    assert sent.status == 503, sent
    time.sleep(1.1)
    return None


def steps(told: Trace) -> list[str]:
    """The names of a message's steps."""
    return [event.step for event in told.events]
