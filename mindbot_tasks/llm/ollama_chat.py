"""Ollama's own API: /api/chat, a line of JSON for each piece. A closed connection stops the model.

Fields and errors: Ollama's API documentation and Python client 0.6, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson
from pydantic import SecretStr

from mindbot_tasks.core import sse
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.core.http import Response, Stream, refuse, retry_after_s
from mindbot_tasks.llm.attachments import divided, in_base64, without_contents
from mindbot_tasks.llm.base import OnText, Question, Spoken
from mindbot_tasks.llm.one_call import Ask, Heard, call, merged, raise_problem
from mindbot_tasks.llm.one_model import OneModel
from mindbot_tasks.model.answer import Usage

DEFAULT_BASE = "http://127.0.0.1:11434"


@dataclass(frozen=True, slots=True)
class OllamaModel(OneModel):
    """One model of an Ollama server."""

    name: str  #: "provider:ollama"
    model: str
    base_url: str = DEFAULT_BASE
    api_key: SecretStr | None = None  #: for a proxy in front of it
    context_tokens: int = 0  #: 0: as the server is set up, which may be little
    keep_alive: str = ""
    thinking: bool | None = None

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer, telling `on_text` how it grows. Raises Rejected, Throttled, Unavailable or a Stopped."""
        try:
            return self._ask(question, deadline, on_text)
        except Rejected as exc:
            # it could be that it does not see, after all
            if exc.kind != "invalid_request" or (blind := without_contents(question)) is question:
                raise
        return self._ask(blind, deadline, on_text)

    def _ask(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        headers = {"Accept": "application/x-ndjson"}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key.get_secret_value()}"
        ask = Ask(
            self.name,
            f"{self.base_url}/api/chat",
            headers,
            self._body(question),
            self.model,
            self.patience,
            self.http,
        )
        answer, _ = call(ask, _Heard, _raise_error, deadline, on_text)
        return Spoken(answer)

    def _body(self, question: Question) -> dict[str, Any]:
        messages: list[dict[str, Any]] = (
            [{"role": "system", "content": prompt}] if (prompt := question.filled(self.system_prompt)) else []
        )
        messages += [{"role": turn.role, "content": turn.text} for turn in question.history]
        words, seen = divided(question, self.vision)
        asked: dict[str, Any] = {"role": "user", "content": words}
        if seen:
            asked["images"] = [in_base64(attachment) for attachment in seen]
        wanted = {
            "num_predict": self.max_tokens,
            "temperature": self.temperature,
            "num_ctx": self.context_tokens or None,
        }
        body: dict[str, Any] = {
            "model": self.model,
            "messages": [*messages, asked],
            "stream": True,
            "options": {key: value for key, value in wanted.items() if value is not None},
        }
        if self.keep_alive:
            body["keep_alive"] = _number_or_text(self.keep_alive)
        if self.thinking is not None:
            body["think"] = self.thinking
        return merged(body, self.extra)


class _Heard(Heard):
    usual = frozenset({"", "stop"})

    def events(self, stream: Stream) -> Iterator[sse.Event]:
        """A line is an event."""
        return (sse.Event("", line.decode("utf-8", "replace")) for line in stream.lines() if line.strip())

    def _in_one_piece(self, stream: Stream) -> bool:
        return False  # it is lines, whatever the content type says; and that is one line

    def take(self, event: sse.Event) -> bool:
        body = orjson.loads(event.data)
        if error := body.get("error"):
            _raise_told(error, 200, self.provider, None)
        message = body.get("message") or {}
        # thinking models also send `thinking`: not for the reader
        self.visible.add(message.get("content") or "")
        self.model = body.get("model") or self.model
        if not body.get("done"):
            return False
        self.finish = str(body.get("done_reason") or "stop")
        self.usage = Usage(int(body.get("prompt_eval_count") or 0), int(body.get("eval_count") or 0))
        return True

    def take_whole(self, body: Any) -> None:
        raise NotImplementedError  # an answer in one piece is a single line


def _number_or_text(value: str) -> int | str:
    """Seconds are a number, other times a text such as "30m"."""
    try:
        return int(value)
    except ValueError:
        return value


def _raise_error(response: Response) -> NoReturn:
    body = response.json_or_none()
    if isinstance(body, dict) and body.get("error"):
        _raise_told(body["error"], response.status, response.provider, retry_after_s(response.headers))
    refuse(response)


def _raise_told(error: Any, status: int, provider: str, wait_s: float | None) -> NoReturn:
    """Errors are a text without a code, so the status decides."""
    raise_problem({}, "", status=status, provider=provider, wait_s=wait_s)
