"""What DingTalk's error codes mean to us: one table for both APIs, and a rule for codes nobody has heard of.

DingTalk docs and field reports, 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import Response, retry_after_s

log = structlog.get_logger(__name__)

PROVIDER = "dingtalk"
Meaning = Literal["rejected", "throttled", "unavailable"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table."""

    meaning: Meaning
    kind: str
    wait_s: float | None = None


_TOKEN = Entry("rejected", "token")
_QPS = Entry("throttled", "rate_limit", 1.0)  # such a call was not executed
_QUOTA = Entry("rejected", "quota")
_CONTENT = Entry("rejected", "content")
_NOT_ALLOWED = Entry("rejected", "auth")
_SESSION = Entry("rejected", "session")
_BUSY = Entry("unavailable", "server")

TABLE: Mapping[str, Entry] = {
    # the token is stale: the client fetches another one, once
    "InvalidAuthentication": _TOKEN,
    "40014": _TOKEN,
    "42001": _TOKEN,
    "88": _TOKEN,
    # too fast
    "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi": _QPS,
    "Forbidden.AccessDenied.QpsLimitForApi": _QPS,
    "90018": _QPS,
    "90002": _QPS,
    "410100": Entry("throttled", "rate_limit", 60.0),
    # the organisation's month is used up
    "Forbidden.AccessDenied.ApiCountLimitForOrg": _QUOTA,
    "90020": _QUOTA,
    # a permission or an identity is missing
    "Forbidden.AccessDenied.AccessTokenPermissionDenied": _NOT_ALLOWED,
    "invalidClientIdOrSecret": _NOT_ALLOWED,
    "invalidParameter.robotCode.auth": _NOT_ALLOWED,
    "40089": _NOT_ALLOWED,
    "310000": _NOT_ALLOWED,
    # the session webhook is dead: the client goes on with the API
    "300001": _SESSION,
    # what was said is not wanted
    "430101": _CONTENT,
    "430102": _CONTENT,
    "430103": _CONTENT,
    "430104": _CONTENT,
    # cards
    "param.cardAlreadyExist": Entry("rejected", "exists"),
    "param.cardNotExist": Entry("rejected", "not_found"),
    "param.stream.outTrackId": Entry("rejected", "not_found"),
    "param.contentUnsafe": _CONTENT,
    "param.stream.content": _CONTENT,
    "param.stream.contentEmpty": _CONTENT,
    "param.stream.isFull": _CONTENT,
    # nobody there
    "invalid.openConversationId": Entry("rejected", "not_found"),
    "group.disbanded": Entry("rejected", "not_found"),
    "resource.unavailable": Entry("rejected", "not_found"),
    # a bad moment
    "system.busy": _BUSY,
    "-1": _BUSY,
}

_BY_STATUS: Mapping[int, Entry] = {
    401: _TOKEN,
    403: _NOT_ALLOWED,
    404: Entry("rejected", "not_found"),
    408: Entry("unavailable", "timeout"),
    429: _QPS,
    # a gateway lost sight of the request, not the request itself
    502: Entry("unavailable", "ambiguous"),
    504: Entry("unavailable", "ambiguous"),
}
_PUNISH_WAIT = re.compile(r'"wait"\s*:\s*(\d{1,4})')
_CODE = re.compile(r"[\w.\-]{1,100}")


def read_answer(response: Response) -> dict[str, Any]:
    """The answer as an object if it says that all is well; else raises Rejected, Throttled or Unavailable.

    kind "token" asks for a fresh access token, kind "session" for another way of sending.
    """
    body = response.json_or_none()
    if not isinstance(body, dict):
        raise _not_json(response)
    code = _code_in(body)
    if response.ok and code in ("", "0"):
        return body
    raise _error(response, body, code)


def _code_in(body: Mapping[str, Any]) -> str:
    """errcode was seen as a number and as a string; `code` is the new API's."""
    for name in ("errcode", "code"):
        value = body.get(name)
        if isinstance(value, int | str) and not isinstance(value, bool):
            text = str(value).strip()
            return text if _CODE.fullmatch(text) else "unreadable"
    return ""


def _error(response: Response, body: Mapping[str, Any], code: str) -> FarSideError:
    entry = TABLE.get(code) or _BY_STATUS.get(response.status) or _unknown(response.status)
    scopes = _scopes(body)
    if scopes:
        log.error("dingtalk_permission_missing", code=code, scopes=scopes)
    words = f"DingTalk refused: {code or response.status}" + (
        f", permissions missing: {', '.join(scopes)}" if scopes else ""
    )
    return _make(entry, words, response, code)


def _unknown(status: int) -> Entry:
    """5xx may pass; whatever else we have never heard of would be said again."""
    return _BUSY if status >= 500 else Entry("rejected", "invalid_request")


def _not_json(response: Response) -> FarSideError:
    page = response.body[:20_000].decode("utf-8", "replace")
    if '"punish"' in page:
        minutes = _PUNISH_WAIT.search(page)
        wait_s = 60.0 * int(minutes[1]) if minutes else 300.0
        punished = Entry("throttled", "rate_limit", wait_s)
        return _make(punished, "DingTalk has locked our network address out for a while", response, "punish")
    if response.ok:
        # somebody took the request, and we cannot read what became of it
        return _make(Entry("unavailable", "ambiguous"), "DingTalk's answer is not JSON", response, "")
    entry = _BY_STATUS.get(response.status) or _unknown(response.status)
    return _make(entry, f"DingTalk answered {response.status}", response, "")


def _make(entry: Entry, words: str, response: Response, code: str) -> FarSideError:
    status = response.status
    match entry.meaning:
        case "throttled":
            wait_s = retry_after_s(response.headers) or entry.wait_s
            return Throttled(
                words, kind=entry.kind, provider=PROVIDER, status=status, code=code or None, retry_after_s=wait_s
            )
        case "unavailable":
            return Unavailable(words, kind=entry.kind, provider=PROVIDER, status=status, code=code or None)
        case "rejected":
            return Rejected(words, kind=entry.kind, provider=PROVIDER, status=status, code=code or None)


def _scopes(body: Mapping[str, Any]) -> list[str]:
    detail = body.get("accessdenieddetail")
    scopes = detail.get("requiredScopes") if isinstance(detail, dict) else None
    return [str(scope)[:100] for scope in scopes[:10]] if isinstance(scopes, list) else []
