"""What all calls of the API share: access tokens, answers with an errcode, and a clock that can be moved.

WeCom docs, 2026-11-20. HTTP says 200 whatever happens.
"""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from emulators.answers import Answer, Call, json_answer, refused
from emulators.calls import fingerprint
from emulators.front import Front, Pace

PREFIX = "/cgi-bin/"
_WORDS = {
    -1: "system busy",
    40001: "invalid credential",
    40007: "invalid media_id",
    40013: "invalid corpid",
    40014: "invalid access_token",
    40058: "invalid request parameter",
    41001: "access_token missing",
    42001: "access_token expired",
    44004: "empty content",
    45009: "api freq out of limit",
    81013: "user & party & tag all invalid",
}


class Api:
    pace: Pace

    def __init__(self, corpid: str, secret: str, lifetime_s: float) -> None:
        self._corpid, self._secret = corpid, secret
        self._lifetime_s = lifetime_s
        self.resets: list[Callable[[], None]] = []
        self.reset()

    def reset(self) -> None:
        self._generation = 0
        self._ends_at: dict[str, float] = {}  # by token
        self._fetches = 0
        self._advanced_s = 0.0
        self._ordered: defaultdict[str, deque[int]] = defaultdict(deque)
        for forget in self.resets:
            forget()

    def now(self) -> float:
        """Seconds since 1970, plus what the control API added."""
        return time.time() + self._advanced_s

    @property
    def delay_s(self) -> float:
        return self.pace.delay_ms / 1000

    def refusal(self, call: Call) -> Answer | None:
        """What a call gets whose token is bad, or for which an errcode was ordered; None: go on."""
        if ordered := self._ordered[call.path.removeprefix(PREFIX)]:
            return self.error(ordered.popleft())
        token = call.query.get("access_token", "")
        if not token:
            return self.error(41001)
        ends_at = self._ends_at.get(token)
        if ends_at is None:
            return self.error(40014)
        return None if ends_at > self.now() else self.error(42001)

    def ok(self, facts: dict[str, Any], *, accepted: bool = True, **fields: Any) -> Answer:
        body = {"errcode": 0, "errmsg": "ok", **fields}
        return json_answer(body, facts={**facts, "errcode": 0}, accepted=accepted, delay_s=self.delay_s)

    def error(self, errcode: int, facts: dict[str, Any] | None = None) -> Answer:
        words = f"{_WORDS.get(errcode, 'refused')}, hint: [1700000000123456789], from ip: 127.0.0.1"
        return refused({"errcode": errcode, "errmsg": words}, 200, facts={**(facts or {}), "errcode": errcode})

    def serve(self, front: Front) -> None:
        self.pace = front.pace
        front.add("GET", f"{PREFIX}gettoken", self._gettoken)
        front.add("GET", f"{PREFIX}getcallbackip", self._callback_ips)
        front.control("POST", "/tokens/expire", self._expire)
        front.control("GET", "/tokens", lambda _: {"fetches": self._fetches})
        front.control("POST", "/errcodes", self._order)
        front.control("POST", "/clock", self._advance)

    def _gettoken(self, call: Call) -> Answer:
        self._fetches += 1
        corpid, secret = call.query.get("corpid", ""), call.query.get("corpsecret", "")
        facts = {"corpid": corpid, "secret": fingerprint(secret)}
        if ordered := self._ordered["gettoken"]:
            return self.error(ordered.popleft(), facts)
        if not corpid or (self._corpid and corpid != self._corpid):
            return self.error(40013, facts)
        if not secret or (self._corpid and secret != self._secret):
            return self.error(40001, facts)
        token = self._token(corpid, secret)
        if self._ends_at.get(token, self.now() + 1) <= self.now():
            self._generation += 1
            token = self._token(corpid, secret)
        ends_at = self._ends_at.setdefault(token, self.now() + self._lifetime_s)
        lifetime_s = max(1, int(ends_at - self.now()))
        return self.ok({**facts, "token": fingerprint(token)}, access_token=token, expires_in=lifetime_s)

    def _callback_ips(self, call: Call) -> Answer:
        return self.refusal(call) or self.ok({}, ip_list=["127.0.0.1"])

    def _token(self, corpid: str, secret: str) -> str:
        return hashlib.sha256(f"{corpid} {secret} {self._generation}".encode()).hexdigest() + "-" * 64

    def _expire(self, _: dict[str, Any]) -> None:
        """Control: no token given out so far is good any more."""
        self._generation += 1
        self._ends_at = dict.fromkeys(self._ends_at, 0.0)

    def _order(self, values: dict[str, Any]) -> None:
        """Control: {"path": "message/send", "errcode": 45009, "times": 1}, the answer of the next calls."""
        path, errcode, times = values.get("path"), values.get("errcode"), values.get("times", 1)
        if not isinstance(path, str) or not isinstance(errcode, int) or not isinstance(times, int):
            raise ValueError('wanted: {"path": "message/send", "errcode": 45009, "times": 1}')
        self._ordered[path.removeprefix(PREFIX)].extend([errcode] * times)

    def _advance(self, values: dict[str, Any]) -> dict[str, float]:
        """Control: {"advance_s": 60}."""
        seconds = values.get("advance_s")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ValueError("advance_s must be a number")
        self._advanced_s += seconds
        return {"now_s": self.now()}


def unknown(call: Call) -> Answer:
    """A path that is not there."""
    return refused({"errcode": -1, "errmsg": f"{call.method} {call.path} is not known here"}, 404)
