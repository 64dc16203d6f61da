"""Google's Gemini API: streamGenerateContent as server-sent events.

Fields and errors: Google's API documentation, read 2026-11-20. A stream has no mark at its end: it is whole when a
candidate says why it finished.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote

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

DEFAULT_BASE = "https://generativelanguage.googleapis.com"
_VERSION = "v1beta"
_SECONDS = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)s")

_STATUSES: Mapping[str, RaisedFor] = {
    "INVALID_ARGUMENT": (Rejected, "invalid_request"),
    "FAILED_PRECONDITION": (Rejected, "quota"),  # no billing, or not in this region
    "UNAUTHENTICATED": (Rejected, "auth"),
    "PERMISSION_DENIED": (Rejected, "auth"),
    "NOT_FOUND": (Rejected, "not_found"),
    # reasons in the details say more than the status
    "API_KEY_INVALID": (Rejected, "auth"),
    "API_KEY_SERVICE_BLOCKED": (Rejected, "auth"),
    "BILLING_DISABLED": (Rejected, "quota"),
    "QUOTA_PER_DAY": (Rejected, "quota"),
    "RESOURCE_EXHAUSTED": (Throttled, "rate_limit"),
    "INTERNAL": (Unavailable, "server"),
    "UNAVAILABLE": (Unavailable, "server"),
    "DEADLINE_EXCEEDED": (Unavailable, "server"),
}


@dataclass(frozen=True, slots=True)
class GeminiModel(OneModel):
    """One model of Google."""

    name: str  #: "provider:google"
    model: str
    api_key: SecretStr
    base_url: str = ""  #: "": Google's own

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer, telling `on_text` how it grows. Raises Rejected, Throttled, Unavailable or a Stopped."""
        model = quote(self.model.removeprefix("models/"), safe="")
        ask = Ask(
            self.name,
            url_of(self.base_url, f"models/{model}:streamGenerateContent?alt=sse"),
            {"x-goog-api-key": self.api_key.get_secret_value()},
            self._body(question),
            self.model,
            self.patience,
            self.http,
        )
        answer, _ = call(ask, _Heard, _raise_error, deadline, on_text)
        return Spoken(answer)

    def _body(self, question: Question) -> dict[str, Any]:
        told = [turn.text for turn in question.history if turn.role == "system"]
        system = "\n\n".join(text for text in (question.filled(self.system_prompt), *told) if text)
        turns = [
            _content("model" if turn.role == "assistant" else "user", turn.text)
            for turn in question.history
            if turn.role != "system"
        ]
        words, seen = divided(question, self.vision)
        asked = _content("user", words)
        pictures = [{"inlineData": {"mimeType": each.media_type, "data": in_base64(each)}} for each in seen]
        asked["parts"] = [*pictures, *asked["parts"]]
        body: dict[str, Any] = {"contents": [*turns, asked]}
        if system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        limits = {"maxOutputTokens": self.max_tokens, "temperature": self.temperature}
        if config := {key: value for key, value in limits.items() if value is not None}:
            body["generationConfig"] = config
        return merged(body, self.extra)


def url_of(base_url: str, path: str) -> str:
    """The address of a path below the version."""
    return f"{(base_url or DEFAULT_BASE).rstrip('/').removesuffix(f'/{_VERSION}')}/{_VERSION}/{path}"


def _content(role: str, text: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text}]}


class _Heard(Heard):
    refusals = frozenset({"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII"})
    usual = frozenset({"", "STOP"})

    def take(self, event: sse.Event) -> bool:
        # usage may come after the reason to finish, so only the end of the stream is the end
        self.take_whole(orjson.loads(event.data))
        return False

    def take_whole(self, body: Any) -> None:
        if body.get("error"):
            _raise_told(body, 200, self.provider, None)
        self.model = body.get("modelVersion") or self.model
        if usage := body.get("usageMetadata"):
            self.usage = Usage(int(usage.get("promptTokenCount") or 0), int(usage.get("candidatesTokenCount") or 0))
        if blocked := (body.get("promptFeedback") or {}).get("blockReason"):
            raise Rejected(
                "the question was blocked", kind="content", provider=self.provider, code=str(blocked)[:64], status=200
            )
        if self.finish:
            return
        for candidate in (body.get("candidates") or [])[:1]:
            for part in (candidate.get("content") or {}).get("parts") or []:
                if not part.get("thought"):
                    self.visible.add(part.get("text") or "")
            self.finish = candidate.get("finishReason") or self.finish


def _raise_error(response: Response) -> NoReturn:
    body = response.json_or_none()
    if isinstance(body, list) and body:  # without alt=sse errors come in a list
        body = body[0]
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        _raise_told(body, response.status, response.provider, retry_after_s(response.headers))
    refuse(response)


def _raise_told(body: dict[str, Any], status: int, provider: str, wait_s: float | None) -> NoReturn:
    error = body["error"] if isinstance(body["error"], dict) else {}
    details = [each for each in error.get("details") or () if isinstance(each, dict)] if _is_list(error) else []
    raise_problem(
        _STATUSES,
        _reason(details) or str(error.get("status") or ""),
        status=status,
        provider=provider,
        wait_s=wait_s if wait_s is not None else _retry_delay_s(details),
    )


def _is_list(error: dict[str, Any]) -> bool:
    return isinstance(error.get("details"), list)


def _reason(details: list[dict[str, Any]]) -> str:
    """What the status does not tell: a wrong key is an INVALID_ARGUMENT, and a day's quota no pause."""
    for detail in details:
        if str(detail.get("reason")) in _STATUSES:
            return str(detail["reason"])
        violations = detail.get("violations")
        for violation in violations if isinstance(violations, list) else []:
            if isinstance(violation, dict) and "PerDay" in str(violation.get("quotaId") or ""):
                return "QUOTA_PER_DAY"
    return ""


def _retry_delay_s(details: list[dict[str, Any]]) -> float | None:
    """How long Google asks to wait: in the body's RetryInfo, such as "7s", not in a header."""
    for detail in details:
        delay = detail.get("retryDelay")
        if isinstance(delay, str) and (found := _SECONDS.fullmatch(delay)):
            return float(found[1])
    return None
