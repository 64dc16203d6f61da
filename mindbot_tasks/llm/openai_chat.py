"""Any server that speaks OpenAI's chat completions: OpenAI, GLM, DeepSeek, Qwen, vLLM, Ollama's /v1 and so on.

Written on our own HTTP client instead of an SDK: a call costs a third of the CPU, and deadlines and stops hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
from pydantic import SecretStr

from mindbot_tasks.core import sse
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import Http, Patience, Response, refuse, retry_after_s
from mindbot_tasks.llm.attachments import divided, in_base64, is_picture, without_contents
from mindbot_tasks.llm.base import Attachment, OnText, Question, Spoken
from mindbot_tasks.llm.one_call import Ask, Heard, RaisedFor, call, raise_problem
from mindbot_tasks.model.answer import Usage

# error.code or error.type -> (our class, kind). OpenAI and Zhipu (its codes are numbers in text), read 2026-11-20.
_CODES: Mapping[str, RaisedFor] = {
    # told as 429, but waiting does not help
    "insufficient_quota": (Rejected, "quota"),
    "credit_balance_exhausted": (Rejected, "quota"),
    "billing_hard_limit_reached": (Rejected, "quota"),
    "spend_limit_reached": (Rejected, "quota"),
    "billing_not_active": (Rejected, "quota"),
    "account_deactivated": (Rejected, "auth"),
    "1113": (Rejected, "quota"),
    "1302": (Throttled, "rate_limit"),
    "rate_limit_exceeded": (Throttled, "rate_limit"),
    "invalid_api_key": (Rejected, "auth"),
    "model_not_found": (Rejected, "not_found"),
    "context_length_exceeded": (Rejected, "invalid_request"),
    "content_filter": (Rejected, "content"),
    "content_policy_violation": (Rejected, "content"),
    "server_error": (Unavailable, "server"),
    "engine_overloaded": (Unavailable, "server"),
    "engine_overloaded_error": (Unavailable, "server"),
}

_takes_less: set[tuple[str, str]] = set()
"""(address, model) of models that refused the usual parameters in this process."""


@dataclass(frozen=True, slots=True)
class ChatModel:
    """One model of one provider."""

    name: str  #: "provider:openai"
    url: str  #: of chat/completions
    model: str
    api_key: SecretStr | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    system_prompt: str = ""
    patience: Patience | None = None
    extra: Mapping[str, Any] | None = None  #: more fields of the body, such as {"thinking": {"type": "disabled"}}
    stream: bool = True
    vision: bool = False
    http: Http | None = None

    def takes(self, attachment: Attachment) -> bool:
        return self.vision and is_picture(attachment)

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer, telling `on_text` how it grows. Raises Rejected, Throttled, Unavailable or a Stopped."""
        try:
            return self._ask(question, deadline, on_text)
        except Rejected as exc:
            # newer models of OpenAI refuse `temperature` or `max_tokens` outright
            if exc.kind == "invalid_request" and (blind := without_contents(question)) is not question:
                return self._ask(blind, deadline, on_text)  # it could be that it does not see, after all
            if exc.code not in ("unsupported_parameter", "unsupported_value") or (self.url, self.model) in _takes_less:
                raise
        _takes_less.add((self.url, self.model))
        return self._ask(question, deadline, on_text)

    def _ask(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        headers = {}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key.get_secret_value()}"
        ask = Ask(self.name, self.url, headers, self._body(question), self.model, self.patience, self.http, self.stream)
        answer, _ = call(ask, _Heard, _raise_error, deadline, on_text)
        return Spoken(answer)

    def _body(self, question: Question) -> dict[str, Any]:
        prompt = question.filled(self.system_prompt)
        messages: list[dict[str, Any]] = [{"role": "system", "content": prompt}] if prompt else []
        messages += [{"role": turn.role, "content": turn.text} for turn in question.history]
        messages.append({"role": "user", "content": self._content(question)})
        body: dict[str, Any] = {"model": self.model, "messages": messages, **(self.extra or {})}
        if (self.url, self.model) not in _takes_less:
            if self.max_tokens is not None:
                body["max_tokens"] = self.max_tokens
            if self.temperature is not None:
                body["temperature"] = self.temperature
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return body

    def _content(self, question: Question) -> str | list[dict[str, Any]]:
        """The words; with pictures that the model can see, a list of both."""
        words, seen = divided(question, self.vision)
        if not seen:
            return words
        urls = [f"data:{attachment.media_type};base64,{in_base64(attachment)}" for attachment in seen]
        return [{"type": "text", "text": words}, *({"type": "image_url", "image_url": {"url": url}} for url in urls)]


class _Heard(Heard):
    refusals = frozenset({"content_filter"})

    def take(self, event: sse.Event) -> bool:
        if event.data == "[DONE]":
            return True
        self._take(orjson.loads(event.data), "delta")
        return False

    def take_whole(self, body: Any) -> None:
        self._take(body, "message")

    def _take(self, body: Any, part: str) -> None:
        if body.get("error"):
            _raise_told(body["error"], 200, self.provider, None)
        if usage := body.get("usage"):
            self.usage = Usage(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
        choices = body.get("choices")
        if not choices:
            return
        choice = choices[0]
        self.model = body.get("model") or self.model
        # thinking models also send `reasoning_content`: not for the reader
        piece = (choice.get(part) or {}).get("content")
        if piece:
            self.visible.add(piece)
        self.finish = choice.get("finish_reason") or self.finish


def _raise_error(response: Response) -> NoReturn:
    """Raise what an error answer means, JSON or a gateway's page."""
    body = response.json_or_none()
    error = body.get("error") if isinstance(body, dict) else None
    if error is not None:
        _raise_told(error, response.status, response.provider, retry_after_s(response.headers))
    refuse(response)


def _raise_told(error: Any, status: int, provider: str, wait_s: float | None) -> NoReturn:
    """Raise what OpenAI's error object means: by its code, else by its type."""
    told = error if isinstance(error, dict) else {}
    codes = [str(told[key]) for key in ("code", "type") if told.get(key) not in (None, "")]
    code = next((code for code in codes if code in _CODES), codes[0] if codes else "")
    raise_problem(_CODES, code, status=status, provider=provider, wait_s=wait_s)
