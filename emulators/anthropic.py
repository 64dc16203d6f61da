"""Anthropic's messages API: streaming or not, at a chosen delay and speed."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Unpack

import orjson
from aiohttp import web

from emulators import tool_calls
from emulators.answers import Answer, Call, Stream, json_answer, refused
from emulators.front import Front, Usual
from emulators.words import answer_to, count, tokens


def create_app(
    *,
    api_key: str = "",
    models: Sequence[str] = (),
    words: int = 0,
    **usual: Unpack[Usual],
) -> web.Application:
    """`api_key` "": every key is taken; `models` empty: every name is; `words` make the answer longer."""
    server = MessageServer(api_key, models, words)
    front = server.front = Front(
        "anthropic",
        unknown=_unknown,
        reset=lambda: None,
        **usual,
    )
    front.add("POST", "/v1/messages", server.messages)
    front.add("GET", "/v1/models", server.list_models)
    return front.finish()


class MessageServer:
    front: Front

    def __init__(self, api_key: str, models: Sequence[str], words: int) -> None:
        self._api_key = api_key
        self._models = tuple(models)
        self._words = words
        self._numbers = itertools.count(1)

    def list_models(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        data = [{"type": "model", "id": name, "display_name": name} for name in self._models or ("mock-model",)]
        return json_answer({"data": data, "has_more": False, "first_id": data[0]["id"], "last_id": data[-1]["id"]})

    def messages(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        if not call.headers.get("anthropic-version"):
            return _error(400, "invalid_request_error", "anthropic-version: header is required")
        body = call.json or {}
        if problem := _problem(body):
            return _error(400, "invalid_request_error", problem)
        model = body["model"]
        if self._models and model not in self._models:
            return _error(404, "not_found_error", f"model: {model}")
        messages = body["messages"]
        script = tool_calls.of_anthropic(body, call.fault)
        if script.calls:
            return tool_calls.as_anthropic(script, call, self.front.pace)
        text = script.text or _text(messages[-1])
        pieces = tokens(answer_to(text, call.fault, words=self._words))
        asked = sum(count(_text(message)) for message in messages) + count(str(body.get("system") or ""))
        streaming = body.get("stream") is True
        facts = {
            "model": model,
            "stream": streaming,
            "text": text,
            "messages": len(messages),
            "system": bool(body.get("system")),
            "answer_tokens": len(pieces),
        }
        message = {
            "id": f"msg_{next(self._numbers):024d}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": asked, "output_tokens": 1},
        }
        pace = self.front.pace
        if not streaming:
            took_s = len(pieces) / pace.tokens_per_second if pace.tokens_per_second else 0
            whole = {
                "content": [{"type": "text", "text": "".join(pieces)}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": asked, "output_tokens": len(pieces)},
            }
            return json_answer({**message, **whole}, facts=facts, delay_s=pace.delay_ms / 1000 + took_s)
        return Stream(
            events=_events(message, pieces),
            tail=_tail(asked, len(pieces)),
            per_s=pace.tokens_per_second,
            ping=_event({"type": "ping"}),
            delay_s=pace.delay_ms / 1000,
            facts=facts,
            error=lambda status, code, words: _event({"type": "error", "error": {"type": code, "message": words}}),
        )

    def _not_let_in(self, call: Call) -> Answer | None:
        # the SDK's second generation sends a bearer token, older clients x-api-key
        given = call.bearer or call.headers.get("x-api-key", "")
        if given and (not self._api_key or given == self._api_key):
            return None
        return _error(401, "authentication_error", "invalid x-api-key")


def _problem(body: dict[str, Any]) -> str:
    """What is wrong with a request, "" for nothing."""
    messages = body.get("messages")
    if not isinstance(body.get("model"), str):
        return "model: Field required"
    if not isinstance(body.get("max_tokens"), int):
        return "max_tokens: Field required"
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        return "messages: at least one message is required"
    if messages[0].get("role") != "user":
        return "messages: first message must use the user role"
    if any(each.get("role") not in ("user", "assistant") for each in messages):
        return "messages: Unexpected role"
    if not (_text(messages[-1]).strip() or tool_calls.brings_results(messages[-1])):
        return "messages: text content blocks must be non-empty"
    if isinstance(body.get("temperature"), int | float) and not 0 <= body["temperature"] <= 1:
        return "temperature: range: 0..1"
    return ""


def _events(message: dict[str, Any], pieces: list[str]) -> list[bytes]:
    start = _event({"type": "message_start", "message": message})
    block = _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
    deltas = [
        _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}})
        for piece in pieces
    ]
    return [start, block, *deltas]


def _tail(input_tokens: int, output_tokens: int) -> list[bytes]:
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    usage = {"input_tokens": input_tokens, "output_tokens": output_tokens}  # both as sums so far
    return [
        _event({"type": "content_block_stop", "index": 0}),
        _event({"type": "message_delta", "delta": delta, "usage": usage}),
        _event({"type": "message_stop"}),
    ]


def _event(data: dict[str, Any]) -> bytes:
    return b"event: " + str(data["type"]).encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"


def _text(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _error(status: int, kind: str, message: str) -> Answer:
    body = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_emulator"}
    return refused(body, status)


def _unknown(call: Call) -> Answer:
    return _error(404, "not_found_error", f"{call.method} {call.path}")
