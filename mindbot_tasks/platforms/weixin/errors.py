"""What the API's errcodes mean to us: one table, and a rule for codes nobody has heard of. WeCom docs, 2026-11-20."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import structlog

from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import Response, refuse, retry_after_s

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table."""

    meaning: Literal["rejected", "throttled", "unavailable"]
    kind: str
    wait_s: float | None = None


#: the access token is stale: the client fetches another one, once; never leaves this package
TOKEN = "token"  # noqa: S105 - a kind of error

_TOKEN = Entry("rejected", TOKEN)
_NOT_ALLOWED = Entry("rejected", "auth")
_WRONG = Entry("rejected", "invalid_request")
_NOBODY = Entry("rejected", "not_found")
_TOO_LATE = Entry("rejected", "expired")

TABLE: Mapping[str, Entry] = {
    "-1": Entry("unavailable", "server"),
    "40001": _TOKEN,
    "40014": _TOKEN,
    "42001": _TOKEN,
    # wrong settings: somebody has to do something about them
    "40013": _NOT_ALLOWED,
    "40056": _NOT_ALLOWED,
    "48002": _NOT_ALLOWED,
    "50003": _NOT_ALLOWED,
    "60011": _NOT_ALLOWED,
    "60020": _NOT_ALLOWED,
    "301002": _NOT_ALLOWED,
    "95000": _NOT_ALLOWED,
    "95003": _NOT_ALLOWED,
    "95004": _NOT_ALLOWED,
    "95011": _NOT_ALLOWED,
    "95012": _NOT_ALLOWED,
    "95017": _NOT_ALLOWED,
    # too fast
    "45009": Entry("throttled", "rate_limit", 60.0),
    "45033": Entry("throttled", "rate_limit", 5.0),
    # nobody there
    "40003": _NOBODY,
    "60030": _NOBODY,
    "60111": _NOBODY,
    "81013": _NOBODY,
    "95014": _NOBODY,
    "95019": _NOBODY,
    # files
    "40007": _NOBODY,
    # too late, or too often
    "41050": _TOO_LATE,
    "93000": _TOO_LATE,
    "95001": Entry("rejected", "quota"),
    "95002": _TOO_LATE,
    "95007": _TOO_LATE,
    "95013": _TOO_LATE,
    "95018": _TOO_LATE,
    "95031": _TOO_LATE,
    "95030": Entry("rejected", "content"),
}

#: what to do about a code, for the log; people search for it when nothing works
_ADVICE: Mapping[str, str] = {
    "40013": "check corpid",
    "40056": "check agent_id",
    "48002": "allow this API for the app in the admin console",
    "50003": "the app is switched off in the admin console",
    "60011": "the person is outside what the app may see",
    "60020": "put the address of this server on the app's list of trusted IPs; it takes about a minute",
    "301002": "agent_id does not belong to corpid and secret",
}


def read_answer(response: Response, *, fine: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The answer as an object if it says that all is well, or has a code of `fine`.

    Raises Rejected, Throttled or Unavailable; `kind` TOKEN asks for a fresh access token.
    """
    body = response.json_or_none()
    code = _code_in(body) if isinstance(body, dict) else ""
    if isinstance(body, dict) and response.ok and (code in ("", "0") or code in fine):
        return body
    if code in ("", "0"):
        if response.ok:
            raise Unavailable(
                "the answer is not JSON", kind="protocol", provider=response.provider, status=response.status
            )
        refuse(response)
    raise _error(response, code)


def _code_in(body: Mapping[str, Any]) -> str:
    value = body.get("errcode")
    if isinstance(value, int | str) and not isinstance(value, bool):
        text = str(value).strip()
        return text if text.removeprefix("-").isdecimal() and len(text) <= 12 else "unreadable"
    return "" if value is None else "unreadable"


def _error(response: Response, code: str) -> FarSideError:
    entry = TABLE.get(code) or _WRONG
    if code in _ADVICE:
        log.error("weixin_refused", provider=response.provider, code=code, advice=_ADVICE[code])
    raised = {"rejected": Rejected, "throttled": Throttled, "unavailable": Unavailable}[entry.meaning]
    return raised(
        f"the API of WeCom refused: {code}",
        kind=entry.kind,
        provider=response.provider,
        status=response.status,
        code=code,
        retry_after_s=(retry_after_s(response.headers) or entry.wait_s) if entry.meaning == "throttled" else None,
    )
