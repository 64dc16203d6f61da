"""Google's Gemini API: generateContent and streamGenerateContent, at a chosen delay and speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from aiohttp import web

from emulators import tool_calls
from emulators.answers import Answer, Call, Stream, json_answer, refused, sse
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
    server = GeminiServer(api_key, models, words)
    front = server.front = Front(
        "gemini",
        unknown=_unknown,
        reset=lambda: None,
        **usual,
    )
    for version in ("v1", "v1beta"):  # the SDK of late 2026 calls v1
        front.add("POST", f"/{version}/models/{{model}}:streamGenerateContent", server.stream)
        front.add("POST", f"/{version}/models/{{model}}:generateContent", server.whole)
        front.add("GET", f"/{version}/models", server.list_models)
    return front.finish()


class GeminiServer:
    front: Front

    def __init__(self, api_key: str, models: Sequence[str], words: int) -> None:
        self._api_key = api_key
        self._models = tuple(models)
        self._words = words

    def list_models(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        return json_answer({"models": [{"name": f"models/{name}"} for name in self._models or ("mock-model",)]})

    def whole(self, call: Call) -> Answer:
        return self._answer(call, streaming=False)

    def stream(self, call: Call) -> Answer:
        return self._answer(call, streaming=True)

    def _answer(self, call: Call, *, streaming: bool) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        model = call.params["model"]
        if self._models and model not in self._models:
            return _error(404, "NOT_FOUND", f"models/{model} is not found")
        contents = (call.json or {}).get("contents")
        if not isinstance(contents, list) or not contents or not all(isinstance(each, dict) for each in contents):
            return _error(400, "INVALID_ARGUMENT", "contents is not specified")
        if any(each.get("role") not in ("user", "model") for each in contents):
            return _error(400, "INVALID_ARGUMENT", "Please use a valid role: user, model.")
        script = tool_calls.of_gemini(call.json or {}, model, call.fault)
        if script.calls:
            return tool_calls.as_gemini(script, call, self.front.pace, model=model, streaming=streaming)
        text = script.text or _text(contents[-1])
        pieces = tokens(answer_to(text, call.fault, words=self._words))
        asked = sum(count(_text(each)) for each in contents)
        facts = {
            "model": model,
            "stream": streaming,
            "text": text,
            "messages": len(contents),
            "system": "systemInstruction" in (call.json or {}),
            "answer_tokens": len(pieces),
        }
        usage = {"promptTokenCount": asked, "candidatesTokenCount": len(pieces), "totalTokenCount": asked + len(pieces)}
        pace = self.front.pace
        end = {"usageMetadata": usage, "modelVersion": model}
        if not streaming:
            took_s = len(pieces) / pace.tokens_per_second if pace.tokens_per_second else 0
            body = {"candidates": [_candidate("".join(pieces), "STOP")], **end}
            return json_answer(body, facts=facts, delay_s=pace.delay_ms / 1000 + took_s)
        if call.query.get("alt") != "sse":
            return _error(400, "INVALID_ARGUMENT", "this emulator streams with alt=sse only")
        events = [sse({"candidates": [_candidate(piece, None)], "modelVersion": model}) for piece in pieces]
        return Stream(
            events=events,
            tail=[sse({"candidates": [_candidate("", "STOP")], **end})],
            per_s=pace.tokens_per_second,
            delay_s=pace.delay_ms / 1000,
            facts=facts,
            error=lambda status, code, words: sse({"error": {"code": status, "message": words, "status": code}}),
        )

    def _not_let_in(self, call: Call) -> Answer | None:
        given = call.headers.get("x-goog-api-key", "")
        if given and (not self._api_key or given == self._api_key):
            return None
        return _error(401, "UNAUTHENTICATED", "API key not valid. Please pass a valid API key.")


def _candidate(text: str, finish: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    return candidate if finish is None else {**candidate, "finishReason": finish}


def _text(content: dict[str, Any]) -> str:
    parts = content.get("parts")
    return (
        "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))
        if isinstance(parts, list)
        else ""
    )


def _error(status: int, name: str, message: str) -> Answer:
    return refused({"error": {"code": status, "message": message, "status": name}}, status)


def _unknown(call: Call) -> Answer:
    return _error(404, "NOT_FOUND", f"{call.method} {call.path}")
