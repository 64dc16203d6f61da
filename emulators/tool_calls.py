"""Models that ask for tools, in the wire formats of four vendors: what the user writes says which tools, and when.

Each line of the last user message that reads `call:NAME {"json": "arguments"}` is one round of tool calls; several
calls of one round stand in one line with ` && ` between them. `loop:NAME {...}` asks for the same tool for ever. When
all rounds have their results, the model "says" those. A model whose name begins with "gullible" also obeys such lines
in the results of tools: it falls for every injection.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from emulators.answers import Answer, Call, Stream, json_answer, sse
from emulators.faults import Say
from emulators.front import Pace

_CALL = re.compile(r"^(call|loop):([\w.-]+) (\{.*\})$")
_numbers = itertools.count(1)

Messages = Sequence[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """One tool call that the model asks for."""

    name: str
    arguments: dict[str, Any]
    id: str


@dataclass(frozen=True, slots=True)
class Script:
    """What the model does now: asks for `calls`, or says `text` (None: nothing here is about tools)."""

    calls: tuple[Wanted, ...] = ()
    text: str | None = None


def _rounds(text: str) -> list[tuple[bool, list[tuple[str, dict[str, Any]]]]]:
    """Each round that a text asks for: whether it is a loop, and its calls."""
    rounds = []
    for line in text.splitlines():
        found = [_CALL.match(part.strip()) for part in line.split(" && ")]
        calls = []
        for match in found:
            if match is None:
                break
            try:
                calls.append((match[2], orjson.loads(match[3])))
            except orjson.JSONDecodeError:
                break
        if calls and len(calls) == len(found):
            rounds.append((found[0] is not None and found[0][1] == "loop", calls))
    return rounds


def script(prompt: str, results: Sequence[str], *, model: str, rule: object, offered: object) -> Script:
    """`prompt`: the last words of the user; `results`: of the tools that were called since, in their order; `offered`:
    the tools that the request offers, without which a model asks for none."""
    if isinstance(rule, Say) or not offered:
        return Script()
    rounds = _rounds(prompt)
    if model.startswith("gullible"):
        rounds += [each for result in results for each in _rounds(result)]
    left = len(results)
    for loops, calls in rounds:
        if loops or left < len(calls):
            return Script(tuple(Wanted(name, given, f"call_{next(_numbers)}") for name, given in calls))
        left -= len(calls)
    return Script(text=f"the tools said: {' | '.join(results)}") if results else Script()


def _since(messages: Messages, is_user: Any) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """The last message of the user, and all that came after it."""
    for at in range(len(messages) - 1, -1, -1):
        if is_user(messages[at]):
            return messages[at], list(messages[at + 1 :])
    return None, list(messages)


def _words(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


# OpenAI


def of_openai(body: dict[str, Any], rule: object) -> Script:
    user, after = _since(body["messages"], lambda each: each.get("role") == "user")
    results = [_words(each.get("content")) for each in after if each.get("role") == "tool"]
    return script(
        _words((user or {}).get("content")), results, model=str(body.get("model")), rule=rule, offered=body.get("tools")
    )


def as_openai(found: Script, call: Call, pace: Pace) -> Answer:
    body = call.json or {}
    head = {"id": f"chatcmpl-tools-{next(_numbers)}", "created": 1_790_000_000, "model": body.get("model")}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    calls = [
        {"id": one.id, "type": "function",
         "function": {"name": one.name, "arguments": orjson.dumps(one.arguments).decode()}}
        for one in found.calls
    ]  # fmt: skip
    facts = _facts(body, found)
    if body.get("stream") is not True:
        message = {"role": "assistant", "content": None, "tool_calls": calls}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return json_answer({**head, "object": "chat.completion", "choices": [choice], "usage": usage}, facts=facts,
                           delay_s=pace.delay_ms / 1000)  # fmt: skip
    chunk = {**head, "object": "chat.completion.chunk"}

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return sse({**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    events = [event({"role": "assistant", "content": None})]
    for index, one in enumerate(calls):
        function: dict[str, str] = one["function"]  # type: ignore[assignment]
        begun = {"index": index, "id": one["id"], "type": "function", "function": {**function, "arguments": ""}}
        events.append(event({"tool_calls": [begun]}))
        pieces = _halves(function["arguments"])
        events += [event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in pieces]
    options = body.get("stream_options")
    tail = [event({}, "tool_calls")]
    if isinstance(options, dict) and options.get("include_usage") is True:
        tail.append(sse({**chunk, "choices": [], "usage": usage}))
    return _stream(events, [*tail, b"data: [DONE]\n\n"], pace, facts)


# Anthropic


def brings_results(message: dict[str, Any]) -> list[str]:
    """What tools said, in a message of the user."""
    content = message.get("content")
    blocks = content if isinstance(content, list) else []
    return [_words(b.get("content")) for b in blocks if isinstance(b, dict) and b.get("type") == "tool_result"]


def of_anthropic(body: dict[str, Any], rule: object) -> Script:
    user, after = _since(body["messages"], lambda each: each.get("role") == "user" and not brings_results(each))
    results = [result for each in after for result in brings_results(each)]
    return script(
        _words((user or {}).get("content")), results, model=str(body.get("model")), rule=rule, offered=body.get("tools")
    )


def as_anthropic(found: Script, call: Call, pace: Pace) -> Answer:
    body = call.json or {}
    blocks = [{"type": "tool_use", "id": f"toolu_{one.id}", "name": one.name, "input": one.arguments}
              for one in found.calls]  # fmt: skip
    message: dict[str, Any] = {
        "id": f"msg_tools_{next(_numbers)}", "type": "message", "role": "assistant", "model": body.get("model"),
        "content": [], "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1},
    }  # fmt: skip
    facts = _facts(body, found)
    if body.get("stream") is not True:
        whole = {"content": blocks, "stop_reason": "tool_use", "usage": {"input_tokens": 10, "output_tokens": 5}}
        return json_answer({**message, **whole}, facts=facts, delay_s=pace.delay_ms / 1000)

    def event(data: dict[str, Any]) -> bytes:
        return b"event: " + str(data["type"]).encode() + b"\n" + sse(data)

    events = [event({"type": "message_start", "message": message})]
    for index, block in enumerate(blocks):
        events.append(event({"type": "content_block_start", "index": index, "content_block": {**block, "input": {}}}))
        for piece in _halves(orjson.dumps(block["input"]).decode()):
            delta = {"type": "input_json_delta", "partial_json": piece}
            events.append(event({"type": "content_block_delta", "index": index, "delta": delta}))
        events.append(event({"type": "content_block_stop", "index": index}))
    ended = {"stop_reason": "tool_use", "stop_sequence": None}
    tail = [
        event({"type": "message_delta", "delta": ended, "usage": {"input_tokens": 10, "output_tokens": 5}}),
        event({"type": "message_stop"}),
    ]
    return _stream(events, tail, pace, facts)


# Gemini


def of_gemini(body: dict[str, Any], model: str, rule: object) -> Script:
    def results_of(content: dict[str, Any]) -> list[str]:
        found = [part.get("functionResponse") for part in content.get("parts") or [] if isinstance(part, dict)]
        return [_response(each.get("response")) for each in found if isinstance(each, dict)]

    user, after = _since(body["contents"], lambda each: each.get("role") == "user" and not results_of(each))
    results = [result for each in after for result in results_of(each)]
    return script(_words((user or {}).get("parts")), results, model=model, rule=rule, offered=body.get("tools"))


def _response(response: Any) -> str:
    if isinstance(response, dict) and len(response) == 1:
        response = next(iter(response.values()))
    return response if isinstance(response, str) else orjson.dumps(response).decode()


def as_gemini(found: Script, call: Call, pace: Pace, *, model: str, streaming: bool) -> Answer:
    parts = [{"functionCall": {"name": one.name, "args": one.arguments, "id": one.id}} for one in found.calls]
    body = {
        "candidates": [{"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        "modelVersion": model,
    }
    facts = {"model": model, **_facts(call.json or {}, found)}
    if not streaming:
        return json_answer(body, facts=facts, delay_s=pace.delay_ms / 1000)
    return _stream([sse(body)], [], pace, facts)


# Ollama


def as_ollama(found: Script, call: Call, pace: Pace) -> Answer:
    """Its questions look like OpenAI's, so `of_openai` reads them."""
    body = call.json or {}
    calls = [{"function": {"name": one.name, "arguments": one.arguments}} for one in found.calls]
    head = {"model": body.get("model"), "created_at": "2026-11-21T00:00:00Z"}
    message = {"role": "assistant", "content": "", "tool_calls": calls}
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 10, "eval_count": 5, "total_duration": 5_000_000,
           "load_duration": 1_000_000, "prompt_eval_duration": 1_000_000, "eval_duration": 3_000_000}  # fmt: skip
    facts = _facts(body, found)
    if body.get("stream") is False:
        return json_answer({**head, "message": message, **end}, facts=facts, delay_s=pace.delay_ms / 1000)
    events = [_line({**head, "message": message, "done": False})]
    tail = [_line({**head, "message": {"role": "assistant", "content": ""}, **end})]
    answer = _stream(events, tail, pace, facts)
    answer.content_type = "application/x-ndjson"
    return answer


def _line(data: dict[str, Any]) -> bytes:
    return orjson.dumps(data, option=orjson.OPT_APPEND_NEWLINE)


def _halves(text: str) -> list[str]:
    """Arguments come in pieces, too."""
    middle = len(text) // 2
    return [piece for piece in (text[:middle], text[middle:]) if piece]


def _facts(body: dict[str, Any], found: Script) -> dict[str, Any]:
    return {
        "model": body.get("model"),
        "stream": body.get("stream") is True,
        "text": "",
        "calls": [one.name for one in found.calls],
        "answer_tokens": 5,
    }


def _stream(events: list[bytes], tail: list[bytes], pace: Pace, facts: dict[str, Any]) -> Stream:
    return Stream(
        events=events, tail=tail, per_s=pace.tokens_per_second, delay_s=pace.delay_ms / 1000, facts=facts,
        error=lambda status, code, message: sse({"error": {"message": message, "code": code, "type": code}}),
    )  # fmt: skip
