"""Ollama's own API: /api/chat as lines of JSON, /api/embed, and the models that are there, at a chosen delay and speed.

It "sees" pictures: it says how many there were; a model whose name begins with "blind" refuses them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Unpack

import orjson
from aiohttp import web

from emulators import embeddings, tool_calls
from emulators.answers import Answer, Call, Stream, json_answer, refused
from emulators.front import Front, Usual
from emulators.words import answer_to, count, tokens

#: what a model that thinks says to itself; nobody else should see it
THOUGHT = "(thinking about it)"


def create_app(
    *,
    api_key: str = "",
    models: Sequence[str] = (),
    words: int = 0,
    thinks: bool = False,
    **usual: Unpack[Usual],
) -> web.Application:
    """`api_key` "": nobody is asked for one; `models` empty: every name is there; `words` make the answer longer."""
    server = OllamaServer(api_key, models, words, thinks)
    front = server.front = Front(
        "ollama",
        unknown=_unknown,
        reset=lambda: None,
        **usual,
        max_body_bytes=40 * 1024 * 1024,
    )
    front.add("POST", "/api/chat", server.chat)
    front.add("POST", "/api/embed", server.embed)
    front.add("GET", "/api/tags", server.tags)
    front.add("GET", "/api/version", lambda _: json_answer({"version": "0.13.0"}))
    return front.finish()


class OllamaServer:
    front: Front

    def __init__(self, api_key: str, models: Sequence[str], words: int, thinks: bool) -> None:
        self._api_key = api_key
        self._models = tuple(_full(model) for model in models)
        self._words = words
        self._thinks = thinks

    def tags(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        names = self._models or ("mock-model:latest",)
        details = {"format": "gguf", "family": "mock", "families": None, "parameter_size": "1B"}
        return json_answer(
            {
                "models": [
                    {"name": name, "model": name, "modified_at": _now(), "size": 1, "digest": "0" * 64,
                     "details": {**details, "quantization_level": "Q4_0"}}
                    for name in names
                ]
            }
        )  # fmt: skip

    def chat(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        body = call.json
        if body is None:
            return _error(400, "invalid character in request body")
        model, messages = body.get("model"), body.get("messages")
        if not isinstance(model, str) or not model:
            return _error(400, "model is required")
        if self._models and _full(model) not in self._models:
            return _error(404, f"model '{model}' not found")
        if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
            return _error(400, "messages is required")
        pictures = [_size(picture) for each in messages for picture in each.get("images") or ()]
        if pictures and model.startswith("blind"):
            return _error(400, f'"{model}" does not support images')
        text = next((str(m.get("content") or "") for m in reversed(messages) if m.get("role") == "user"), "")
        script = tool_calls.of_openai(body, call.fault)
        if script.calls:
            return tool_calls.as_ollama(script, call, self.front.pace)
        text = script.text or text
        answer = answer_to(text, call.fault, words=self._words)
        if pictures:
            answer = f"I see {len(pictures)} picture(s). {answer}"
        pieces = tokens(answer)
        asked = sum(count(str(each.get("content") or "")) for each in messages)
        end = {
            "done": True, "done_reason": "stop", "total_duration": 5_000_000, "load_duration": 1_000_000,
            "prompt_eval_count": asked, "prompt_eval_duration": 1_000_000, "eval_count": len(pieces),
            "eval_duration": 3_000_000,
        }  # fmt: skip
        facts = {
            "model": model,
            "stream": body.get("stream") is not False,
            "text": text,
            "pictures": pictures,
            "messages": len(messages),
            "options": body.get("options"),
            "keep_alive": body.get("keep_alive"),
            "think": body.get("think"),
            "answer_tokens": len(pieces),
        }
        pace, thinks = self.front.pace, self._thinks and body.get("think") is not False
        head = {"model": model, "created_at": _now()}
        if body.get("stream") is False:
            took_s = len(pieces) / pace.tokens_per_second if pace.tokens_per_second else 0
            message = {"role": "assistant", "content": answer, **({"thinking": THOUGHT} if thinks else {})}
            return json_answer({**head, "message": message, **end}, facts=facts,
                               delay_s=pace.delay_ms / 1000 + took_s)  # fmt: skip
        said = [{"role": "assistant", "content": "", "thinking": THOUGHT}] if thinks else []
        said += [{"role": "assistant", "content": piece} for piece in pieces]
        return Stream(
            content_type="application/x-ndjson",
            events=[_line({**head, "message": message, "done": False}) for message in said],
            tail=[_line({**head, "message": {"role": "assistant", "content": ""}, **end})],
            per_s=pace.tokens_per_second,
            delay_s=pace.delay_ms / 1000,
            facts=facts,
            ping=b"\n",
            nothing=b"\n",
            odd=b'{"surprise":true}\n',
            error=lambda status, code, message: _line({"error": message}),
        )

    def embed(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        body = call.json or {}
        model = body.get("model")
        if not isinstance(model, str) or not model:
            return _error(400, "model is required")
        if self._models and _full(model) not in self._models:
            return _error(404, f'model "{model}" not found, try pulling it first')
        delay_s = self.front.pace.delay_ms / 1000
        return embeddings.of_ollama(call, body, lambda status, message, _: _error(status, message), delay_s)

    def _not_let_in(self, call: Call) -> Answer | None:
        if not self._api_key or call.bearer == self._api_key:
            return None
        return _error(401, "unauthorized")


def _full(model: str) -> str:
    return model if ":" in model else f"{model}:latest"


def _size(picture: object) -> int:
    """Of a picture in base64; -1 for something else."""
    try:
        return len(base64.b64decode(str(picture), validate=True))
    except binascii.Error:
        return -1


def _now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _line(data: dict[str, Any]) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE)


def _error(status: int, message: str) -> Answer:
    return refused({"error": message}, status)


def _unknown(call: Call) -> Answer:
    return refused("404 page not found", 404)
