"""Coze's chat v3: a published bot that streams, with conversations that belong to one bot."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Unpack

import orjson
from aiohttp import web

from emulators.answers import Answer, Call, Stream, json_answer, refused
from emulators.front import Front, Usual
from emulators.words import answer_to, count, tokens


def create_app(
    *,
    api_key: str = "",
    bots: Sequence[str] = (),
    words: int = 0,
    **usual: Unpack[Usual],
) -> web.Application:
    """`api_key` "": every token is taken; `bots` empty: every id is; `words` make the answer longer."""
    server = CozeServer(api_key, bots, words)
    front = server.front = Front(
        "coze",
        unknown=_unknown,
        reset=server.reset,
        **usual,
    )
    front.add("POST", "/v3/chat", server.chat)
    front.add("POST", "/v3/chat/cancel", server.cancel)
    front.add("GET", "/v1/users/me", server.whoami)
    return front.finish()


class CozeServer:
    front: Front

    def __init__(self, api_key: str, bots: Sequence[str], words: int) -> None:
        self._api_key = api_key
        self._bots = tuple(bots)
        self._words = words
        self._numbers = itertools.count(7_400_000_000_000_000_000)
        self._conversations: dict[str, str] = {}  # id -> bot
        self._running: set[str] = set()  # and those that have ended by themselves: a caller who left ends nothing

    def reset(self) -> None:
        self._conversations.clear()
        self._running.clear()

    def chat(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        body = call.json or {}
        bot, messages = body.get("bot_id"), body.get("additional_messages")
        if not isinstance(bot, str) or not bot or not body.get("user_id"):
            return _error(4000, "Request parameter error: bot_id and user_id are required")
        if self._bots and bot not in self._bots:
            return _error(4015, "The bot_id is not published to the channel Agent as API")
        if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
            return _error(4000, "Request parameter error: additional_messages")
        if body.get("stream") is not True:
            return _error(4000, "this emulator streams only")
        conversation = call.query.get("conversation_id", "")
        if conversation and self._conversations.get(conversation) != bot:
            return _error(4200, "Requested resource conversation does not exist")
        new = not conversation
        conversation = conversation or str(next(self._numbers))
        self._conversations[conversation] = bot
        chat_id = str(next(self._numbers))
        self._running.add(chat_id)
        text = str(messages[-1].get("content") or "")
        pieces = tokens(answer_to(text, call.fault, words=self._words))
        asked = count(text)
        chat = {"id": chat_id, "conversation_id": conversation, "bot_id": bot, "status": "in_progress"}
        usage = {"token_count": asked + len(pieces), "input_count": asked, "output_count": len(pieces)}
        pace = self.front.pace
        return Stream(
            events=_events(chat, pieces),
            tail=_tail(chat, pieces, usage),
            per_s=pace.tokens_per_second,
            delay_s=pace.delay_ms / 1000,
            stopped=lambda: chat_id not in self._running,
            facts={
                "bot": bot,
                "conversation_id": conversation,
                "chat_id": chat_id,
                "new": new,
                "text": text,
                "user": body["user_id"],
                "answer_tokens": len(pieces),
            },
            error=lambda status, code, message: _event("error", {"code": 5000, "msg": message}),
        )

    def cancel(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        chat_id = str((call.json or {}).get("chat_id") or "")
        if chat_id not in self._running:
            return _error(4104, "The chat cannot be cancelled in its present state")
        self._running.discard(chat_id)
        return json_answer({"code": 0, "msg": "", "data": {"id": chat_id, "status": "canceled"}},
                           facts={"chat_id": chat_id})  # fmt: skip

    def whoami(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        data = {"user_id": "7400000000000000000", "user_name": "emulated", "nick_name": "", "avatar_url": ""}
        return json_answer({"code": 0, "msg": "", "data": data})

    def _not_let_in(self, call: Call) -> Answer | None:
        if call.bearer and (not self._api_key or call.bearer == self._api_key):
            return None
        return refused({"code": 4100, "msg": "authentication is invalid"}, 401)


def _events(chat: dict[str, Any], pieces: list[str]) -> list[bytes]:
    message = {"chat_id": chat["id"], "conversation_id": chat["conversation_id"], "role": "assistant", "type": "answer"}
    return [
        _event("conversation.chat.created", {**chat, "status": "created"}),
        _event("conversation.chat.in_progress", chat),
        *(_event("conversation.message.delta", {**message, "content": p, "content_type": "text"}) for p in pieces),
    ]


def _tail(chat: dict[str, Any], pieces: list[str], usage: dict[str, int]) -> list[bytes]:
    message = {"chat_id": chat["id"], "conversation_id": chat["conversation_id"], "role": "assistant"}
    whole = {**message, "type": "answer", "content": "".join(pieces), "content_type": "text"}
    follow_up = {**message, "type": "follow_up", "content": "Shall I tell more?", "content_type": "text"}
    return [
        _event("conversation.message.completed", whole),
        _event("conversation.message.completed", follow_up),
        _event("conversation.chat.completed", {**chat, "status": "completed", "usage": usage}),
        b'event: done\ndata: "[DONE]"\n\n',
    ]


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event:" + name.encode() + b"\ndata:" + orjson.dumps(data) + b"\n\n"


def _error(code: int, message: str) -> Answer:
    return refused({"code": code, "msg": message}, 200)


def _unknown(call: Call) -> Answer:
    return refused({"code": 4000, "msg": f"{call.method} {call.path}"}, 404)
