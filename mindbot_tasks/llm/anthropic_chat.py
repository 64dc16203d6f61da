"""Anthropic's messages API, streamed.

Events, errors and headers: Anthropic's API documentation and Python SDK 2.11, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import orjson
from pydantic import SecretStr

from mindbot_tasks.core import sse
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import Response, refuse, retry_after_s
from mindbot_tasks.llm.attachments import divided, in_base64
from mindbot_tasks.llm.base import OnText, Question, Spoken
from mindbot_tasks.llm.one_call import Ask, Heard, RaisedFor, call, merged, raise_problem
from mindbot_tasks.llm.one_model import OneModel
from mindbot_tasks.model.answer import Usage

DEFAULT_BASE = "https://api.anthropic.com"
VERSION = "2026-10-21"
_DEFAULT_MAX_TOKENS = 4096  # the API insists on a number

_TYPES: Mapping[str, RaisedFor] = {
    "invalid_request_error": (Rejected, "invalid_request"),
    "authentication_error": (Rejected, "auth"),
    "billing_error": (Rejected, "quota"),
    "permission_error": (Rejected, "auth"),
    "not_found_error": (Rejected, "not_found"),
    "request_too_large": (Rejected, "invalid_request"),
    "rate_limit_error": (Throttled, "rate_limit"),
    "api_error": (Unavailable, "server"),
    "timeout_error": (Unavailable, "server"),
    "overloaded_error": (Unavailable, "server"),
}


_NO_TEMPERATURE = "temperature_refused"
_takes_none: set[tuple[str, str]] = set()
"""(address, model) of models that refused a temperature in this process: newer ones do."""


@dataclass(frozen=True, slots=True)
class AnthropicModel(OneModel):
    """One model of Anthropic, or of a server that speaks its protocol."""

    name: str  #: "provider:anthropic"
    model: str
    api_key: SecretStr
    base_url: str = ""  #: "": Anthropic's own
    max_tokens: int = field(default=_DEFAULT_MAX_TOKENS, kw_only=True)

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer, telling `on_text` how it grows. Raises Rejected, Throttled, Unavailable or a Stopped."""
        try:
            return self._ask(question, deadline, on_text)
        except Rejected as exc:
            if exc.code != _NO_TEMPERATURE or (self.base_url, self.model) in _takes_none:
                raise
        _takes_none.add((self.base_url, self.model))
        return self._ask(question, deadline, on_text)

    def _ask(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        ask = Ask(
            self.name,
            url_of(self.base_url, "/v1/messages"),
            {"Authorization": f"Bearer {self.api_key.get_secret_value()}", "anthropic-version": VERSION},
            self._body(question),
            self.model,
            self.patience,
            self.http,
        )
        answer, _ = call(ask, _Heard, _raise_error, deadline, on_text)
        return Spoken(answer)

    def _body(self, question: Question) -> dict[str, Any]:
        turns = [{"role": turn.role, "content": turn.text} for turn in question.history if turn.role != "system"]
        while turns and turns[0]["role"] != "user":  # a conversation has to begin with its user
            turns.pop(0)
        told = [turn.text for turn in question.history if turn.role == "system"]
        system = "\n\n".join(text for text in (question.filled(self.system_prompt), *told) if text)
        body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": self.max_tokens,
            "messages": [*turns, {"role": "user", "content": self._content(question)}],
            "stream": True,
        }
        if system:
            body["system"] = system
        if self.temperature is not None and (self.base_url, self.model) not in _takes_none:
            body["temperature"] = min(self.temperature, 1.0)  # their scale ends at 1
        return merged(body, self.extra)

    def _content(self, question: Question) -> str | list[dict[str, Any]]:
        words, seen = divided(question, self.vision)
        if not seen:
            return words
        sources = [{"type": "base64", "media_type": each.media_type, "data": in_base64(each)} for each in seen]
        return [*({"type": "image", "source": source} for source in sources), {"type": "text", "text": words}]


def url_of(base_url: str, path: str) -> str:
    """The address of a path; many write the base with its version."""
    return (base_url or DEFAULT_BASE).rstrip("/").removesuffix("/v1") + path


class _Heard(Heard):
    refusals = frozenset({"refusal"})
    usual = frozenset({"", "end_turn", "stop_sequence"})

    def take(self, event: sse.Event) -> bool:
        told = orjson.loads(event.data)
        match told.get("type"):
            case "message_start":
                message = told["message"]
                self.model = message.get("model") or self.model
                self._count(message.get("usage") or {})
            case "content_block_start":
                self.visible.add(_text(told["content_block"]))
            case "content_block_delta" if told["delta"].get("type") == "text_delta":
                self.visible.add(told["delta"]["text"])
            case "message_delta":
                self.finish = told["delta"].get("stop_reason") or self.finish
                self._count(told.get("usage") or {})
            case "message_stop":
                return True
            case "error":
                _raise_told(told, 200, self.provider, None)
        return False

    def take_whole(self, body: Any) -> None:
        if body.get("type") == "error":
            _raise_told(body, 200, self.provider, None)
        self.model = body.get("model") or self.model
        self.finish = body.get("stop_reason") or ""
        self._count(body.get("usage") or {})
        for block in body["content"]:
            self.visible.add(_text(block))

    def _count(self, usage: dict[str, Any]) -> None:
        """Counts are of the whole message so far; the later event may leave out what the first one said."""
        self.usage = Usage(
            int(usage.get("input_tokens") or self.usage.input_tokens),
            int(usage.get("output_tokens") or self.usage.output_tokens),
        )


def _text(block: dict[str, Any]) -> str:
    """The words of a block; thinking is not for the reader."""
    return str(block.get("text") or "") if block.get("type") == "text" else ""


def _raise_error(response: Response) -> NoReturn:
    body = response.json_or_none()
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        _raise_told(body, response.status, response.provider, retry_after_s(response.headers))
    refuse(response)


def _raise_told(body: dict[str, Any], status: int, provider: str, wait_s: float | None) -> NoReturn:
    error = body.get("error")
    code = str(error.get("type") or "") if isinstance(error, dict) else ""
    if code == "invalid_request_error" and isinstance(error, dict):
        # the one type stands for both of these as well; only the words tell
        words = str(error.get("message") or "")[:300]
        if "credit balance" in words:
            code = "billing_error"
        elif "temperature" in words and status == 400:
            raise Rejected("the model takes no temperature", kind="invalid_request", provider=provider, status=status,
                           code=_NO_TEMPERATURE)  # fmt: skip
    raise_problem(_TYPES, code, status=status, provider=provider, wait_s=wait_s)
