"""A Dify app (chat, agent or chatflow) as an answerer: chat-messages in streaming mode.

Endpoints, events and codes: Dify's OpenAPI 1.0.0 and documentation, read 2026-11-20.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NoReturn
from urllib.parse import quote, urlsplit

import orjson
import structlog
from pydantic import SecretStr

from mindbot_tasks.core import sse
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, RetryableError, Stopped, Throttled, Unavailable
from mindbot_tasks.core.http import Http, Patience, Response, Stream, get_http, refuse, retry_after_s
from mindbot_tasks.llm.base import Attachment, OnText, Question, Spoken
from mindbot_tasks.llm.dify_files import MOST_UPLOAD_BYTES, Uploads, keep, made_file
from mindbot_tasks.llm.visible import Visible
from mindbot_tasks.model.answer import Answer, Usage
from mindbot_tasks.model.message import JSON

log = structlog.get_logger(__name__)

DEFAULT_ENDPOINT = "https://api.dify.ai/v1"
_STOP_S = 2.0
_MAX_ANSWER_BYTES = 16_000_000  # chatflows repeat inputs and outputs of every node
# the conversation cannot go on, a new one can
_START_ANEW = frozenset({"not_found", "conversation_completed", "completion_request_error"})

_CODES: Mapping[str, tuple[type[Rejected | RetryableError], str]] = {
    "invalid_param": (Rejected, "invalid_request"),
    "bad_request": (Rejected, "invalid_request"),
    "not_chat_app": (Rejected, "invalid_request"),
    "app_unavailable": (Rejected, "not_found"),
    "agent_not_published": (Rejected, "not_found"),
    "provider_not_initialize": (Rejected, "auth"),
    "provider_quota_exceeded": (Rejected, "quota"),
    "model_currently_not_support": (Rejected, "not_found"),
    "completion_request_error": (Unavailable, "server"),
    "conversation_completed": (Rejected, "expired"),
    "unauthorized": (Rejected, "auth"),
    "forbidden": (Rejected, "auth"),
    "not_found": (Rejected, "not_found"),
    "too_many_requests": (Throttled, "rate_limit"),
    "rate_limit_error": (Rejected, "quota"),  # the plan's, not the minute's
    "internal_server_error": (Unavailable, "server"),
}


@dataclass(frozen=True, slots=True)
class DifyApp:
    """One app; its key selects it."""

    name: str  #: "workflow:general_chat" or "provider:dify"
    endpoint: str  #: as configured: the base address, or that of chat-messages
    api_key: SecretStr
    workflow: str = ""
    patience: Patience | None = None
    http: Http | None = None
    remembers: ClassVar[bool] = True

    def answer(self, question: Question, deadline: Deadline, on_text: OnText) -> Spoken:
        """Answer in the remembered conversation; in a new one, once, if Dify does not know it any more.

        Raises Rejected, Throttled, Unavailable or a Stopped; Dify is told to stop when we go before the end.
        """
        session_id = question.session_id if _is_uuid(question.session_id) else ""
        if question.attachments:
            question, uploaded = self._uploads().upload(question, deadline)
        else:
            uploaded = []
        try:
            return self._ask(question, uploaded, session_id, deadline, on_text)
        except FarSideError as exc:
            if not session_id or exc.code not in _START_ANEW:
                raise
            log.info("dify_conversation_renewed", answerer=self.name, code=exc.code)
        question = replace(question, text=question.anew or question.text)
        return self._ask(question, uploaded, "", deadline, on_text)

    def takes(self, attachment: Attachment) -> bool:
        """Whether the app wants it is known when it is asked."""
        return attachment.size <= MOST_UPLOAD_BYTES

    def _uploads(self) -> Uploads:
        return Uploads(self.name, _base(self.endpoint), self.api_key, self.http or get_http())

    def _ask(
        self, question: Question, uploaded: list[dict[str, Any]], session_id: str, deadline: Deadline, on_text: OnText
    ) -> Spoken:
        started = time.monotonic()
        told = _Told(Visible(on_text, started), self.name)
        try:
            with self._post(
                "",
                {
                    "query": question.text,
                    "inputs": {},
                    "user": question.user_key,
                    "response_mode": "streaming",
                    "conversation_id": session_id,
                    "auto_generate_name": False,  # a name would cost one more model call
                    **({"files": uploaded} if uploaded else {}),
                },
                deadline,
            ) as stream:
                if stream.status != 200:
                    _raise_error(stream.whole())
                if "json" in (stream.headers.get("Content-Type") or ""):
                    told.take(stream.whole().json(), blocking=True)
                else:
                    told.take_events(stream.events())
        except (Stopped, RetryableError):
            if told.task_id and not told.ended:
                self._stop(told.task_id, question.user_key)
            raise
        text = told.visible.end()
        parts = [made_file(found, _base(self.endpoint)) for found in told.files.values()]
        if parts:
            parts = keep(parts, _base(self.endpoint), question.message_id, self.name, deadline)
        if not text.strip() and not parts:
            raise Unavailable("the answer is empty", kind="content", provider=self.name)
        return Spoken(
            Answer(
                text=text,
                provider="dify",
                workflow=self.workflow,
                parts=tuple(parts),
                usage=told.usage,
                latency_ms=int((time.monotonic() - started) * 1000),
                first_token_ms=told.visible.first_ms,
                details={"citations": told.citations} if told.citations else {},
            ),
            told.conversation_id or session_id,
        )

    def _stop(self, task_id: str, user: str) -> None:
        """Closing the connection does not stop Dify, and the model goes on to cost money."""
        try:
            with self._post(f"/{quote(task_id, safe='')}/stop", {"user": user}, Deadline(_STOP_S)) as stream:
                log.info("dify_stopped", answerer=self.name, status=stream.status)
        except FarSideError as exc:
            log.warning("dify_stop_failed", answerer=self.name, kind=exc.kind)

    def _post(self, below: str, body: dict[str, Any], deadline: Deadline) -> Stream:
        return (self.http or get_http()).stream(
            "POST",
            chat_messages_url(self.endpoint) + below,
            deadline=deadline,
            provider=self.name,
            headers={"Authorization": f"Bearer {self.api_key.get_secret_value()}"},
            json=body,
            patience=self.patience,
            max_bytes=_MAX_ANSWER_BYTES,
        )


class _Told:
    """What came of one call."""

    def __init__(self, visible: Visible, provider: str) -> None:
        self.visible = visible
        self.task_id = ""
        self.conversation_id = ""
        self.ended = False
        self.usage = Usage()
        self.files: dict[str, dict[str, Any]] = {}  #: by URL, which may come in more than one event
        self.citations: list[JSON] = []
        self._provider = provider
        self._agent = False

    def take_events(self, events: Iterator[sse.Event]) -> None:
        """Raises Unavailable when the stream ends before its end."""
        for event in events:
            try:
                self.take(orjson.loads(event.data))
            except (orjson.JSONDecodeError, AttributeError, TypeError, ValueError, KeyError) as exc:
                raise Unavailable("the answer cannot be read", kind="protocol", provider=self._provider) from exc
            if self.ended:
                return
        raise Unavailable("the answer broke off", kind="connection", code="cut", provider=self._provider, status=200)

    def take(self, event: dict[str, Any], *, blocking: bool = False) -> None:
        """One event; unknown ones say nothing to us."""
        self.task_id = event.get("task_id") or self.task_id
        self.conversation_id = event.get("conversation_id") or self.conversation_id
        match event.get("event"):
            case "message" if self._agent:
                self.visible.replace(event.get("answer") or "")  # an agent's closing copy of everything
            case "message":
                self.visible.add(event.get("answer") or "")
            case "agent_message":
                self._agent = True
                self.visible.add(event.get("answer") or "")
            case "message_replace":  # moderation took everything back
                self.visible.replace(event.get("answer") or "")
            case "text_chunk":
                self.visible.add((event.get("data") or {}).get("text") or "")
            case "message_file" if event.get("belongs_to") != "user" and event.get("url"):
                self.files.setdefault(str(event["url"]), event)
            case "message_end":
                self._take_files(event.get("files"))
                self._take_metadata(event.get("metadata") or {})
                self.ended = True
            case "workflow_finished":
                self._take_result(event.get("data") or {})
            case "workflow_paused" | "human_input_required":
                self.ended = True
                raise Rejected(
                    "the workflow waits for a person", kind="content", code="paused", provider=self._provider
                )
            case "error":
                self.ended = True
                _raise_problem(event, int(event.get("status") or 500), self._provider, None)
        if blocking:
            self._take_metadata(event.get("metadata") or {})
            self.ended = True

    def _take_metadata(self, metadata: dict[str, Any]) -> None:
        usage = metadata.get("usage") or {}
        self.usage = Usage(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
        for found in metadata.get("retriever_resources") or []:
            self.citations.append({key: found.get(key) for key in ("position", "document_name", "score")})

    def _take_files(self, value: Any, depth: int = 0) -> None:
        """Files among the outputs of a workflow, alone or in lists."""
        if isinstance(value, dict):
            url = value.get("url") or value.get("remote_url")
            if isinstance(url, str) and url and ("mime_type" in value or "transfer_method" in value):
                self.files.setdefault(url, value)
                return
            value = list(value.values())
        if isinstance(value, list) and depth < 3:
            for item in value[:100]:
                self._take_files(item, depth + 1)

    def _take_result(self, data: dict[str, Any]) -> None:
        self.ended = True
        if data.get("status") not in ("succeeded", "partial-succeeded"):
            raise Unavailable("the workflow failed", kind="server", code="workflow_failed", provider=self._provider)
        outputs = data.get("outputs")
        self._take_files(outputs)
        if isinstance(outputs, dict) and self.visible.first_ms is None:
            self.visible.add(str(outputs.get("answer") or outputs.get("text") or ""))


def chat_messages_url(endpoint: str) -> str:
    """The address of chat-messages for a base address, or for itself."""
    return f"{_base(endpoint)}/chat-messages"


def _base(endpoint: str) -> str:
    base = endpoint.rstrip("/").removesuffix("/chat-messages")
    return f"{base}{'' if urlsplit(base).path else '/v1'}"


def _is_uuid(text: str) -> bool:
    """Dify answers 400 to an id that is none."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _raise_error(response: Response) -> NoReturn:
    body = response.json_or_none()
    if isinstance(body, dict) and body.get("code"):
        _raise_problem(body, response.status, response.provider, retry_after_s(response.headers))
    refuse(response)


def _raise_problem(told: dict[str, Any], status: int, provider: str, wait_s: float | None) -> NoReturn:
    """Dify's words stay out: they may repeat the question."""
    code = str(told.get("code") or "")[:64]
    raised, kind = _CODES.get(code, (None, ""))
    if raised is None:
        if status == 429:
            raised, kind = Throttled, "rate_limit"
        else:
            raised, kind = (Unavailable, "server") if status >= 500 or status == 200 else (Rejected, "invalid_request")
    raise raised(
        f"Dify refused ({status})",
        kind=kind,
        provider=provider,
        status=status,
        code=code or None,
        retry_after_s=wait_s if raised is not Rejected else None,
    )
