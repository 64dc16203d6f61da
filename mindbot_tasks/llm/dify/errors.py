"""What Dify's error codes mean: our class and kind, whether a person has to look, and where to go on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import structlog

from mindbot_tasks.core.errors import FarSideError, Rejected, RetryableError, Throttled, Unavailable
from mindbot_tasks.core.http import Response, refuse, retry_after_s
from mindbot_tasks.core.metrics import DIFY_ERRORS

log = structlog.get_logger(__name__)

_CODES: Mapping[str, tuple[type[Rejected | RetryableError], str]] = {
    "invalid_param": (Rejected, "invalid_request"),
    "bad_request": (Rejected, "invalid_request"),
    "not_chat_app": (Rejected, "invalid_request"),
    "not_workflow_app": (Rejected, "invalid_request"),
    "not_completion_app": (Rejected, "invalid_request"),
    "app_unavailable": (Rejected, "not_found"),
    "agent_not_published": (Rejected, "not_found"),
    "provider_not_initialize": (Rejected, "auth"),
    "provider_quota_exceeded": (Rejected, "quota"),
    "model_currently_not_support": (Rejected, "not_found"),
    "completion_request_error": (Unavailable, "server"),
    "conversation_completed": (Rejected, "expired"),
    "unauthorized": (Rejected, "auth"),
    "forbidden": (Rejected, "auth"),
    "workflow_version_execution_not_allowed": (Rejected, "auth"),
    "not_found": (Rejected, "not_found"),
    "no_file_uploaded": (Rejected, "invalid_request"),
    "too_many_files": (Rejected, "invalid_request"),
    "filename_not_exists_error": (Rejected, "invalid_request"),
    "file_too_large": (Rejected, "invalid_request"),
    "unsupported_file_type": (Rejected, "invalid_request"),
    "too_many_requests": (Throttled, "rate_limit"),
    "rate_limit_error": (Rejected, "quota"),  # the plan's, not the minute's
    "internal_server_error": (Unavailable, "server"),
}

#: this address is not for this kind of app
WRONG_APP = frozenset({"not_chat_app", "not_workflow_app", "not_completion_app"})
#: the conversation cannot go on, a new one can
START_ANEW = frozenset({"not_found", "conversation_completed", "completion_request_error"})
#: no waiting helps: somebody has to correct a setting, publish an app, pay a bill
NEEDS_A_PERSON = frozenset(
    {
        "invalid_param", "bad_request", "app_unavailable", "agent_not_published", "provider_not_initialize",
        "provider_quota_exceeded", "model_currently_not_support", "unauthorized", "forbidden",
        "workflow_version_execution_not_allowed", "rate_limit_error", *WRONG_APP,
    }
)  # fmt: skip


def raise_error(response: Response) -> NoReturn:
    """Raise what an answer that is not 2xx means; a gateway's page goes by its status."""
    body = response.json_or_none()
    if isinstance(body, dict) and body.get("code"):
        raise_problem(body, response.status, response.provider, retry_after_s(response.headers))
    refuse(response)


def raise_problem(told: Mapping[str, Any], status: int, provider: str, wait_s: float | None) -> NoReturn:
    """Raise what Dify's envelope or error event means. Its words stay out: they may repeat the question."""
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


def note(exc: FarSideError) -> None:
    """Count a failure; say loudly what waits for a person."""
    code = exc.code or exc.kind
    known = code in _CODES or code in ("workflow_failed", "workflow_stopped", "cut", "connect", "tls", "gap")
    DIFY_ERRORS.labels(exc.provider, code if known else exc.kind).inc()
    if exc.code in NEEDS_A_PERSON:
        log.error("dify_needs_a_person", answerer=exc.provider, code=exc.code, status=exc.status)
