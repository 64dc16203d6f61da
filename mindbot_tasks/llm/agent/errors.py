"""What the errors of LangChain's models mean in our words; their own may repeat the question, so they stay out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from langchain_core import exceptions as langchain

from mindbot_tasks.core.errors import FarSideError, Rejected, RetryableError, Throttled, Unavailable
from mindbot_tasks.core.http import retry_after_s
from mindbot_tasks.llm import gemini_chat

_Raised = tuple[type[Rejected | RetryableError], str]

_CLASSES: tuple[tuple[type[BaseException], _Raised], ...] = (
    (langchain.ContextOverflowError, (Rejected, "invalid_request")),
    (langchain.ModelAuthenticationError, (Rejected, "auth")),
    (langchain.ModelPermissionDeniedError, (Rejected, "auth")),
    (langchain.ModelNotFoundError, (Rejected, "not_found")),
    (langchain.ModelInvalidRequestError, (Rejected, "invalid_request")),
    (langchain.ModelRateLimitError, (Throttled, "rate_limit")),
    (langchain.ModelTimeoutError, (Unavailable, "timeout")),
    (langchain.ModelConnectionError, (Unavailable, "connection")),
    (langchain.ModelAPIError, (Unavailable, "server")),
)
#: told as a rate limit, but waiting does not help
_QUOTA = frozenset(
    {
        "insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached", "billing_not_active",
        "spend_limit_reached", "1113",
    }
)  # fmt: skip
_CONTENT = frozenset({"content_filter", "content_policy_violation"})
_STATUS: dict[int, _Raised] = {
    401: (Rejected, "auth"), 402: (Rejected, "quota"), 403: (Rejected, "auth"), 404: (Rejected, "not_found"),
    408: (Unavailable, "timeout"), 409: (Unavailable, "server"), 425: (Unavailable, "server"),
    429: (Throttled, "rate_limit"),
}  # fmt: skip


def meant(exc: Exception, provider: str) -> FarSideError:
    """The error of ours; never raises."""
    if isinstance(exc, FarSideError):
        exc.provider = exc.provider or provider
        return exc
    status, code = _status(exc), "unsupported_parameter" if _refused_here(exc) else _code(exc)
    known, wait_s = _told_by_google(exc)
    raised, kind = known or _kind(exc, status, code)
    if wait_s is None and raised is not Rejected:
        wait_s = _asked_to_wait_s(exc)
    return raised(
        f"the model server refused ({status or type(exc).__name__})",
        kind=kind, provider=provider, status=status, code=code or None, retry_after_s=wait_s,
    )  # fmt: skip


def _behind(exc: BaseException) -> Iterator[BaseException]:
    """It, and those that it was made of: some libraries keep the vendor's answer only there."""
    behind: BaseException | None = exc
    for _ in range(5):
        if behind is None:
            return
        yield behind
        behind = behind.__cause__ or behind.__context__


def _asked_to_wait_s(exc: Exception) -> float | None:
    for each in _behind(exc):
        headers = getattr(getattr(each, "response", None), "headers", None)
        if headers is not None:
            return retry_after_s(headers)
    return None


def _told_by_google(exc: Exception) -> tuple[_Raised | None, float | None]:
    """Its details say what the status does not: a wrong key, a day's quota, how long to wait."""
    for each in _behind(exc):
        body = getattr(each, "details", None)
        if isinstance(body, dict):
            return gemini_chat.judged(body)
    return None, None


def _kind(exc: Exception, status: int | None, code: str) -> _Raised:
    if code in _QUOTA:
        return Rejected, "quota"
    if code in _CONTENT:
        return Rejected, "content"
    for known, told in _CLASSES:
        if isinstance(exc, known):
            return told
    if status is not None:
        return _STATUS.get(status) or (
            (Rejected, "invalid_request") if 400 <= status < 500 else (Unavailable, "server")
        )
    names = {base.__name__ for base in type(exc).__mro__}
    if any("Timeout" in name for name in names):
        return Unavailable, "timeout"
    if _refused_here(exc):
        return Rejected, "invalid_request"
    if isinstance(exc, OSError) or names & {"TransportError", "HTTPError", "APIConnectionError"}:
        return Unavailable, "connection"
    if names & {"APIError", "ClientError", "ServerError"}:
        return Unavailable, "server"  # an error in mid-stream has no status
    return Unavailable, "protocol"


def _refused_here(exc: Exception) -> bool:
    """LangChain knows of some models what they take, and refuses the rest by itself, without a call."""
    return type(exc) is ValueError and "is not supported for" in str(exc)


def _status(exc: Exception) -> int | None:
    for holder in (exc, getattr(exc, "response", None), exc.__cause__):
        for name in ("status_code", "code", "status"):
            found = getattr(holder, name, None)
            if isinstance(found, int) and 100 <= found < 600:
                return found
    return None


def _code(exc: Exception) -> str:
    """The vendor's own word for it, from where the libraries keep it."""
    body: Any = getattr(exc, "body", None)
    told = body.get("error", body) if isinstance(body, dict) else {}
    told = told if isinstance(told, dict) else {}
    codes = [getattr(exc, "code", None), told.get("code"), told.get("type")]
    said = [str(code) for code in codes if isinstance(code, str) and code]
    return next((code for code in said if code in _QUOTA | _CONTENT), said[0] if said else "")[:64]
