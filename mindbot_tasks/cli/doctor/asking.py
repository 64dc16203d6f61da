"""Asking somebody else's server one cheap question, and saying in our words what was wrong with it."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from mindbot_tasks.cli.doctor.finding import Finding, fail, warn
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Throttled
from mindbot_tasks.core.http import Patience, Response, get_http, refuse

CALL_S = 8.0
PATIENCE = Patience(connect_s=3, first_byte_s=6, gap_s=4)


@dataclass(slots=True)
class Asked:
    """One check with what it found, and how far the far side's clock is from ours."""

    findings: list[Finding] = field(default_factory=list)
    clock_off_s: float | None = None

    def get(self, url: str, key: SecretStr | None, headers: dict[str, str] | None = None) -> Response:
        """GET, with a bearer key if there is one. Raises FarSideError unless it is answered with 2xx."""
        bearer = {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}
        return self._taken(self._ask("GET", url, headers={**bearer, **(headers or {})}))

    def _ask(self, method: str, url: str, **options: object) -> Response:
        deadline = Deadline(CALL_S)
        response = get_http().request(method, url, deadline=deadline, patience=PATIENCE, **options)
        self.clock_off_s = clock_off_s(response.headers, time.time())
        return response

    def _taken(self, response: Response) -> Response:
        if not response.ok:
            refuse(response)
        return response


def refused(what: str, exc: FarSideError, advice: str, *, said_no: bool) -> Finding:
    """Somebody else's no in our words; theirs might repeat what we sent."""
    if said_no and exc.kind == "auth" and exc.status is None:  # not everybody speaks HTTP
        return fail(what, "credentials_refused", advice, why=exc)
    if exc.code in ("connect", "tls") or exc.status is None:
        return fail(what, "unreachable", "check_network", why=exc)
    if isinstance(exc, Throttled):
        return warn(what, "throttled", "later", status=exc.status)
    if exc.kind in ("auth", "token") or exc.status in (401, 403):
        return fail(what, "not_let_in", advice, status=exc.status, code=exc.code or "-")
    if said_no:
        return fail(what, "refused", "check_address", status=exc.status, code=exc.code or "-")
    return fail(what, "in_trouble", "later", status=exc.status)


def clock_off_s(headers: Mapping[str, str], now_s: float) -> float | None:
    """How many seconds our clock is ahead of the Date header; None without one.

    >>> clock_off_s({"Date": "Thu, 01 Jan 1970 00:01:40 GMT"}, 130.0)
    30.0
    """
    try:
        theirs = email.utils.parsedate_to_datetime(headers.get("Date") or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return now_s - theirs
