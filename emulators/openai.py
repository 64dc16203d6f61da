"""A model server with OpenAI's chat completions, streaming or not, at a chosen delay and speed, transcriptions,
embeddings, and the rerank call of those who speak its protocol.

It "sees" pictures: it says how many there were; a model whose name begins with "blind" refuses them. Of a recording it
"hears" the length, or what a fault rule `say` tells it to.
"""

from __future__ import annotations

import base64
import binascii
import io
import itertools
import time
import wave
from collections.abc import Sequence
from typing import Any, Unpack

import orjson
from aiohttp import web

from emulators import embeddings, tool_calls
from emulators.answers import Answer, Call, Stream, json_answer, refused, sse
from emulators.faults import Say
from emulators.front import Front, Usual
from emulators.uploads import read_form
from emulators.words import answer_to, count, tokens

#: what a model that thinks says to itself; nobody else should see it
THOUGHT = "(thinking about it)"

_DONE = b"data: [DONE]\n\n"
#: endings of the recordings that OpenAI takes
_HEARD = frozenset({"flac", "mp3", "mp4", "mpeg", "mpga", "m4a", "ogg", "wav", "webm"})


def create_app(
    *,
    api_key: str = "",
    models: Sequence[str] = (),
    words: int = 0,
    thinks: bool = False,
    prefix: str = "/v1",
    shutdowns: Sequence[str] = (),
    **usual: Unpack[Usual],
) -> web.Application:
    """`api_key` "": every key is taken, else one of several with commas between them; `models` empty: every name is;
    `words` make the answer longer."""
    server = ModelServer(api_key, models, words, thinks, dict(each.split("=", 1) for each in shutdowns))
    front = server.front = Front(
        "openai",
        unknown=_unknown,
        reset=lambda: None,
        **usual,
    )
    front.add("POST", f"{prefix}/chat/completions", server.chat)
    front.add("POST", f"{prefix}/audio/transcriptions", server.transcribe)
    front.add("POST", f"{prefix}/embeddings", server.embed)
    front.add("POST", f"{prefix}/rerank", server.rerank)
    front.add("GET", f"{prefix}/models", server.list_models)
    front.add("GET", "/health", lambda _: json_answer({}))  # as vLLM has it
    return front.finish()


class ModelServer:
    front: Front

    def __init__(
        self,
        api_key: str,
        models: Sequence[str],
        words: int,
        thinks: bool = False,
        shutdowns: dict[str, str] | None = None,
    ) -> None:
        self._api_keys = frozenset(filter(None, api_key.split(",")))
        self._models = tuple(models)
        self._words = words
        self._thinks = thinks
        self._shutdowns = shutdowns or {}
        self._numbers = itertools.count(1)
        self._started_at = int(time.time())

    def list_models(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        names = self._models or ("mock-model",)
        data = [
            {"id": name, "object": "model", "created": self._started_at, "owned_by": "emulator",
             "shutdown_date": self._shutdowns.get(name)}
            for name in names
        ]  # fmt: skip
        return json_answer({"object": "list", "data": data})

    def chat(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        body = call.json
        if body is None:
            return _error(400, "We could not parse the JSON body of your request.", None, None)
        model, messages = body.get("model"), body.get("messages")
        if not isinstance(model, str) or not model:
            return _error(400, "you must provide a model parameter", "model", None)
        if self._models and model not in self._models:
            return _error(404, f"The model `{model}` does not exist or you do not have access to it.", "model",
                          "model_not_found")  # fmt: skip
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
            return _error(400, "Invalid 'messages': expected an array of at least one object.", "messages", None)
        text = next((_text(m) for m in reversed(messages) if m.get("role") == "user"), "")
        script = tool_calls.of_openai(body, call.fault)
        if script.calls:
            return tool_calls.as_openai(script, call, self.front.pace)
        text = script.text or text
        pictures = [size for m in messages if m.get("role") == "user" for size in _pictures(m)]
        if pictures and model.startswith("blind"):
            return _error(400, "Invalid content type. image_url is only supported by certain models.", "messages", None)
        answer = answer_to(text, call.fault, words=self._words)
        if pictures:
            answer = f"I see {len(pictures)} picture(s). {answer}"
        pieces = tokens(answer)
        asked = sum(count(_text(m)) for m in messages)
        usage = {"prompt_tokens": asked, "completion_tokens": len(pieces), "total_tokens": asked + len(pieces)}
        streaming = body.get("stream") is True
        facts = {
            "model": model,
            "stream": streaming,
            "text": text,
            "pictures": pictures,  # their bytes, and -1 for one that cannot be read
            "messages": len(messages),
            "user": body.get("user"),
            "answer_tokens": len(pieces),
        }
        told = body.get("thinking")
        thinks = self._thinks and not (isinstance(told, dict) and told.get("type") == "disabled")
        facts["thinking"] = told
        pace = self.front.pace
        head = {
            "id": f"chatcmpl-{self._started_at:x}-{next(self._numbers)}",
            "created": int(time.time()),
            "model": model,
        }
        if not streaming:
            message = {"role": "assistant", "content": answer, **({"reasoning_content": THOUGHT} if thinks else {})}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            took_s = len(pieces) / pace.tokens_per_second if pace.tokens_per_second else 0
            return json_answer(
                {**head, "object": "chat.completion", "choices": [choice], "usage": usage},
                facts=facts,
                delay_s=pace.delay_ms / 1000 + took_s,
            )
        options = body.get("stream_options")
        with_usage = isinstance(options, dict) and options.get("include_usage") is True
        return Stream(
            events=_events(head, pieces, thinks=thinks),
            tail=_tail(head, usage if with_usage else None),
            per_s=pace.tokens_per_second,
            delay_s=pace.delay_ms / 1000,
            facts=facts,
            error=lambda status, code, message: sse({"error": _problem(message, None, code)}),
        )

    def transcribe(self, call: Call) -> Answer:
        if refusal := self._not_let_in(call):
            return refusal
        fields, name, content = read_form(call, "file")
        if not fields.get("model"):
            return _error(400, "you must provide a model parameter", "model", None)
        if self._models and fields["model"] not in self._models:
            return _error(404, f"The model `{fields['model']}` does not exist.", "model", "model_not_found")
        ending = name.rpartition(".")[2].lower()
        if ending not in _HEARD or not content:
            return _error(400, f"Invalid file format. Supported formats: {sorted(_HEARD)}", "file", None)
        facts: dict[str, Any] = {"model": fields["model"], "name": name, "bytes": len(content),
                                 "language": fields.get("language")}  # fmt: skip
        text = f"a recording of {len(content)} bytes"
        if ending == "wav":
            try:
                with wave.open(io.BytesIO(content)) as file:
                    facts["seconds"] = round(file.getnframes() / file.getframerate(), 2)
            except (wave.Error, EOFError):
                return _error(400, "The audio file could not be decoded or its format is not supported.", "file", None)
            text = f"a recording of {facts['seconds']} seconds"
        if isinstance(call.fault, Say):
            text = answer_to(text, call.fault)
        return json_answer({"text": text}, facts={**facts, "text": text}, delay_s=self.front.pace.delay_ms / 1000)

    def embed(self, call: Call) -> Answer:
        body, refusal = self._asked(call)
        return refusal or embeddings.of_openai(call, body, _named_error, self.front.pace.delay_ms / 1000)

    def rerank(self, call: Call) -> Answer:
        body, refusal = self._asked(call)
        return refusal or embeddings.rerank(call, body, _named_error, self.front.pace.delay_ms / 1000)

    def _asked(self, call: Call) -> tuple[dict[str, Any], Answer | None]:
        """What a call without messages asks for, and why it is refused."""
        body = call.json or {}
        if refusal := self._not_let_in(call):
            return body, refusal
        model = body.get("model")
        if not isinstance(model, str) or not model:
            return body, _error(400, "you must provide a model parameter", "model", None)
        if self._models and model not in self._models:
            return body, _error(404, f"The model `{model}` does not exist.", "model", "model_not_found")
        return body, None

    def _not_let_in(self, call: Call) -> Answer | None:
        if not self._api_keys or call.bearer in self._api_keys:
            return None
        return _error(401, "Incorrect API key provided.", None, "invalid_api_key")


def _events(head: dict[str, Any], pieces: list[str], *, thinks: bool = False) -> list[bytes]:
    """One event for each token; only the text differs, so the rest is written once."""
    mark = "\x00"
    chunk = {**head, "object": "chat.completion.chunk"}
    pattern = orjson.dumps({**chunk, "choices": [_choice({"content": mark}, None)]})
    before, after = pattern.split(orjson.dumps(mark))
    before, after = b"data: " + before, after + b"\n\n"
    first = sse({**chunk, "choices": [_choice({"role": "assistant", "content": ""}, None)]})
    thought = [sse({**chunk, "choices": [_choice({"reasoning_content": THOUGHT}, None)]})] if thinks else []
    return [first, *thought, *(before + orjson.dumps(piece) + after for piece in pieces)]


def _tail(head: dict[str, Any], usage: dict[str, int] | None) -> list[bytes]:
    chunk = {**head, "object": "chat.completion.chunk"}
    last = sse({**chunk, "choices": [_choice({}, "stop")]})
    return [last, _DONE] if usage is None else [last, sse({**chunk, "choices": [], "usage": usage}), _DONE]


def _choice(delta: dict[str, str], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _text(message: dict[str, Any]) -> str:
    """The text of a message; its content is a text or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _pictures(message: dict[str, Any]) -> list[int]:
    """The size of each picture in a message, -1 for one that is no data URL of a picture."""
    content = message.get("content")
    sizes = []
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and part.get("type") == "image_url":
            url = str((part.get("image_url") or {}).get("url", ""))
            head, _, data = url.partition(";base64,")
            try:
                sizes.append(len(base64.b64decode(data, validate=True)) if head.startswith("data:image/") else -1)
            except binascii.Error:
                sizes.append(-1)
    return sizes


def _problem(message: str, param: str | None, code: str | None) -> dict[str, str | None]:
    return {"message": message, "type": "invalid_request_error", "param": param, "code": code}


def _error(status: int, message: str, param: str | None, code: str | None) -> Answer:
    return refused({"error": _problem(message, param, code)}, status)


def _named_error(status: int, message: str, param: str | None) -> Answer:
    return _error(status, message, param, None)


def _unknown(call: Call) -> Answer:
    return _error(404, f"Invalid URL ({call.method} {call.path})", None, None)
