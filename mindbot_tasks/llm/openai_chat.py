"""Any server that speaks OpenAI's chat completions: OpenAI, GLM, DeepSeek, Qwen, Kimi, vLLM, Ollama's /v1 and so on.

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
from mindbot_tasks.core.http import Response, refuse, retry_after_s
from mindbot_tasks.llm.attachments import divided, in_base64, without_contents
from mindbot_tasks.llm.base import OnText, Question, Spoken
from mindbot_tasks.llm.one_call import Ask, Heard, RaisedFor, call, merged, raise_problem
from mindbot_tasks.llm.one_model import OneModel
from mindbot_tasks.model.answer import Usage

_QUOTA: RaisedFor = (Rejected, "quota")
_AUTH: RaisedFor = (Rejected, "auth")
_WAIT: RaisedFor = (Throttled, "rate_limit")
_BAD: RaisedFor = (Rejected, "invalid_request")
_GONE: RaisedFor = (Rejected, "not_found")
_UNSAFE: RaisedFor = (Rejected, "content")
_SICK: RaisedFor = (Unavailable, "server")

# error.code or error.type -> (our class, kind); the vendors' pages on errors, read 2026-11-20
_CODES: Mapping[str, RaisedFor] = {
    # OpenAI; the first ones are told as 429, but waiting does not help
    "insufficient_quota": _QUOTA, "credit_balance_exhausted": _QUOTA, "billing_hard_limit_reached": _QUOTA,
    "spend_limit_reached": _QUOTA, "billing_not_active": _QUOTA, "account_deactivated": _AUTH,
    "invalid_api_key": _AUTH, "rate_limit_exceeded": _WAIT, "model_not_found": _GONE,
    "context_length_exceeded": _BAD, "content_filter": _UNSAFE, "content_policy_violation": _UNSAFE,
    "server_error": _SICK, "engine_overloaded": _SICK,
    # Zhipu: numbers in text; its 429 means any of these
    "1000": _AUTH, "1001": _AUTH, "1002": _AUTH, "1003": _AUTH, "1004": _AUTH, "1005": _AUTH, "1110": _AUTH,
    "1111": _AUTH, "1112": _AUTH, "1113": _QUOTA, "1120": _SICK, "1121": _AUTH, "1200": _SICK, "1210": _BAD,
    "1211": _GONE, "1212": _BAD, "1213": _BAD, "1214": _BAD, "1215": _BAD, "1220": _AUTH, "1221": _GONE, "1222": _GONE,
    "1230": _SICK, "1234": _SICK, "1261": _BAD, "1300": _UNSAFE, "1301": _UNSAFE, "1302": _WAIT, "1303": _WAIT,
    "1304": _QUOTA, "1305": _WAIT, "1308": _QUOTA, "1309": _QUOTA, "1310": _QUOTA, "1311": _AUTH, "1312": _WAIT,
    "1313": _WAIT,
    # Moonshot
    "exceeded_current_quota_error": _QUOTA, "invalid_authentication_error": _AUTH, "incorrect_api_key_error": _AUTH,
    "permission_denied_error": _AUTH, "rate_limit_reached_error": _WAIT, "engine_overloaded_error": _SICK,
    "resource_not_found_error": _GONE,
    # Alibaba Cloud
    "Arrearage": _QUOTA, "AllocationQuota.FreeTierOnly": _QUOTA, "InvalidApiKey": _AUTH, "AccessDenied": _AUTH,
    "Model.AccessDenied": _AUTH, "Throttling": _WAIT, "Throttling.RateQuota": _WAIT,
    "Throttling.AllocationQuota": _WAIT, "Throttling.BurstRate": _WAIT, "limit_requests": _WAIT,
    "limit_burst_rate": _WAIT, "ModelNotFound": _GONE,
    "data_inspection_failed": _UNSAFE, "DataInspectionFailed": _UNSAFE,
}  # fmt: skip
#: refusals of a field that the model can do without
_OPTIONAL = frozenset({"unsupported_parameter", "unsupported_value", "1210", "1214"})

_takes_less: set[tuple[str, str]] = set()
"""(address, model) of models that refused the usual parameters in this process."""


@dataclass(frozen=True, slots=True)
class ChatModel(OneModel):
    """One model of one provider."""

    name: str  #: "provider:openai"
    url: str  #: of chat/completions
    model: str
    api_key: SecretStr | None = None
    thinking: Mapping[str, Any] | None = None  #: those that switch it; left out where they are refused
    max_tokens_field: str = "max_tokens"
    stream: bool = True

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer, telling `on_text` how it grows. Raises Rejected, Throttled, Unavailable or a Stopped."""
        try:
            return self._ask(question, deadline, on_text)
        except Rejected as exc:
            # newer models of OpenAI refuse `temperature` or `max_tokens` outright
            if exc.kind == "invalid_request" and (blind := without_contents(question)) is not question:
                return self._ask(blind, deadline, on_text)  # it could be that it does not see, after all
            if exc.code not in _OPTIONAL or (self.url, self.model) in _takes_less:
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
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        if (self.url, self.model) not in _takes_less:
            body |= self.thinking or {}
            if self.max_tokens is not None:
                body[self.max_tokens_field] = self.max_tokens
            if self.temperature is not None:
                body["temperature"] = self.temperature
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        return merged(body, self.extra)

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
