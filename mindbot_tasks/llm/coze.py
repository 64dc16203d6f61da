"""A Coze bot: chat v3, streamed; Coze keeps the conversation.

Events, envelope and codes: Coze's Python SDK 0.20, read 2026-11-20; other codes are judged by their hundreds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import orjson
import structlog
from pydantic import SecretStr

from mindbot_tasks.core import sse
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, RetryableError, Stopped, Throttled, Unavailable
from mindbot_tasks.core.http import Http, Patience, Response, get_http, refuse, retry_after_s
from mindbot_tasks.llm.attachments import divided
from mindbot_tasks.llm.base import OnText, Question, Spoken
from mindbot_tasks.llm.one_call import Ask, Heard, RaisedFor, call, raise_problem
from mindbot_tasks.llm.sharing import with_news
from mindbot_tasks.llm.visible import Visible
from mindbot_tasks.model.answer import Usage

log = structlog.get_logger(__name__)

DEFAULT_BASE = "https://api.coze.cn"
_CANCEL_S = 2.0

_CODES: Mapping[str, RaisedFor] = {
    "4000": (Rejected, "invalid_request"),
    "4015": (Rejected, "not_found"),  # the bot is not published to the API
    "4100": (Rejected, "auth"),
    "4101": (Rejected, "auth"),
}


@dataclass(frozen=True, slots=True)
class CozeBot:
    """One published bot."""

    name: str  #: "provider:coze"
    bot_id: str
    api_key: SecretStr
    base_url: str = DEFAULT_BASE
    patience: Patience | None = None
    http: Http | None = None

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer in the remembered conversation, which Coze cuts to its own measure.

        Raises Rejected, Throttled, Unavailable or a Stopped; Coze is told to stop when we go before the end.
        """
        session_id = question.session_id if question.session_id.isalnum() else ""
        try:
            return self._ask(question, session_id, deadline, on_text)
        except Rejected as exc:
            # what Coze says to a conversation it does not know (any more) is documented nowhere
            if not session_id or exc.kind not in ("not_found", "invalid_request"):
                raise
            log.info("coze_conversation_renewed", answerer=self.name, code=exc.code)
        return self._ask(question, "", deadline, on_text)

    def _ask(self, question: Question, session_id: str, deadline: Deadline, on_text: OnText) -> Spoken:
        url = f"{_base(self.base_url)}/v3/chat" + (f"?conversation_id={session_id}" if session_id else "")
        ask = Ask(
            self.name, url, self._headers(), self._body(question, session_id), self.bot_id, self.patience, self.http
        )
        seen: list[_Heard] = []

        def heard(visible: Visible, provider: str) -> _Heard:
            seen.append(_Heard(visible, provider))
            return seen[-1]

        try:
            answer, said = call(ask, heard, _raise_error, deadline, on_text)
        except (Stopped, RetryableError):
            if seen and seen[-1].chat_id and not seen[-1].ended:
                self._cancel(seen[-1])
            raise
        return Spoken(answer, said.session_id)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}

    def _body(self, question: Question, session_id: str) -> dict[str, Any]:
        told = replace(question, text=with_news(question, self.name, knows=bool(session_id)))
        words, _ = divided(told, sees=False)
        return {
            "bot_id": self.bot_id,
            "user_id": question.user_key,
            "stream": True,
            "auto_save_history": True,
            "additional_messages": [
                {
                    "role": "user",
                    "type": "question",
                    "content": words,
                    "content_type": "text",
                }
            ],
        }

    def _cancel(self, heard: _Heard) -> None:
        """A closed connection does not stop the bot, and it goes on to cost money."""
        try:
            answer = (self.http or get_http()).request(
                "POST",
                f"{_base(self.base_url)}/v3/chat/cancel",
                deadline=Deadline(_CANCEL_S),
                provider=self.name,
                headers=self._headers(),
                json={"conversation_id": heard.session_id, "chat_id": heard.chat_id},
            )
            log.info("coze_cancelled", answerer=self.name, status=answer.status)
        except FarSideError as exc:
            log.warning("coze_cancel_failed", answerer=self.name, kind=exc.kind)


class _Heard(Heard):
    def __init__(self, visible: Visible, provider: str) -> None:
        super().__init__(visible, provider)
        self.chat_id = ""
        self.ended = False

    def take(self, event: sse.Event) -> bool:
        match event.name:
            case "conversation.chat.created" | "conversation.chat.in_progress":
                self._take_chat(orjson.loads(event.data))
            case "conversation.message.delta":
                message = orjson.loads(event.data)
                if message.get("type") == "answer":  # the rest is follow-up questions, tools and thinking
                    self.visible.add(message.get("content") or "")
            case "conversation.chat.completed":
                self._take_chat(orjson.loads(event.data))
                self.ended = True
                self.finish = "stop"
                return True
            case "conversation.chat.failed":
                self.ended = True
                error = orjson.loads(event.data).get("last_error") or {}
                raise_code(error.get("code"), 200, self.provider, None)
            case "conversation.chat.requires_action":
                raise Rejected("the bot waits for a tool", kind="content", code="paused", provider=self.provider)
            case "error":
                self.ended = True
                raise_code(orjson.loads(event.data).get("code"), 200, self.provider, None)
            case "done" | "conversation.message.completed" | "conversation.audio.delta":
                pass  # completed messages repeat everything
            case _:
                orjson.loads(event.data)  # unknown, but it has to be an event of theirs
        return False

    def take_whole(self, body: Any) -> None:
        """Asked for a stream, Coze answers JSON when it refuses."""
        raise_code(body.get("code"), 200, self.provider, None)

    def _take_chat(self, chat: dict[str, Any]) -> None:
        self.chat_id = str(chat.get("id") or self.chat_id)
        self.session_id = str(chat.get("conversation_id") or self.session_id)
        if usage := chat.get("usage"):
            self.usage = Usage(int(usage.get("input_count") or 0), int(usage.get("output_count") or 0))


def _base(url: str) -> str:
    """The host alone; older examples end in /v1."""
    return url.rstrip("/").removesuffix("/v1").removesuffix("/v3")


def _raise_error(response: Response) -> NoReturn:
    body = response.json_or_none()
    if isinstance(body, dict) and body.get("code"):
        raise_code(body["code"], response.status, response.provider, retry_after_s(response.headers))
    refuse(response)


def raise_code(code: Any, status: int, provider: str, wait_s: float | None) -> NoReturn:
    """Raise what the envelope's code means."""
    name = str(code or "")
    known = dict(_CODES)
    if name not in known and len(name) == 4:
        if name.startswith("41"):
            known[name] = (Rejected, "auth")
        elif name.startswith("42"):
            known[name] = (Rejected, "not_found")
        elif name.startswith("40"):
            known[name] = (Rejected, "invalid_request")
        elif name.startswith("5"):
            known[name] = (Unavailable, "server")
    if status == 429:
        known[name] = (Throttled, "rate_limit")
    raise_problem(known, name, status=status, provider=provider, wait_s=wait_s)
