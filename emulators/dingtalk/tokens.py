"""Access tokens, the new and the legacy way; a token stays the same while it is good.

DingTalk docs, 2026-11-20. A bad token on a call is HTTP 400 with code InvalidAuthentication, not 401.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Mapping

from emulators.answers import Answer, Call, json_answer, refused
from emulators.calls import fingerprint
from emulators.front import Front


class Tokens:
    def __init__(self, app_key: str, app_secret: str, lifetime_s: float) -> None:
        self._app_key, self._app_secret = app_key, app_secret
        self._lifetime_s = lifetime_s
        self._generation = 0
        self._good_until: dict[str, float] = {}  # by token

    def reset(self) -> None:
        self._generation = 0
        self._good_until.clear()

    def expire(self) -> None:
        """Control: no token given out so far is good any more."""
        self._generation += 1
        self._good_until.clear()

    def allowed(self, key: str, secret: str) -> bool:
        if not self._app_key:
            return bool(key and secret)
        return (key, secret) == (self._app_key, self._app_secret)

    def give(self, key: str) -> tuple[str, int]:
        """The app's token and its lifetime in seconds; the same one, renewed, while it is good."""
        token = self._token(key)
        if self._good_until.get(token, float("inf")) <= time.monotonic():
            self._generation += 1
            token = self._token(key)
        self._good_until[token] = time.monotonic() + self._lifetime_s
        return token, max(1, int(self._lifetime_s))

    def good(self, token: str) -> bool:
        return self._good_until.get(token, 0.0) > time.monotonic()

    def refusal(self, call: Call) -> Answer | None:
        """What a call of the new API gets whose token is missing or bad."""
        if self.good(call.headers.get("x-acs-dingtalk-access-token", "")):
            return None
        return api_error(400, "InvalidAuthentication", "不合法的access_token")

    def _token(self, key: str) -> str:
        return hashlib.sha256(f"{key} {self._generation}".encode()).hexdigest()[:32]


def serve(front: Front, tokens: Tokens) -> None:
    def new(call: Call) -> Answer:
        if not call.headers.get("Content-Type", "").startswith("application/json") or call.json is None:
            return api_error(400, "Missingbody", "body is mandatory for this action")
        key, secret = str(call.json.get("appKey") or ""), str(call.json.get("appSecret") or "")
        facts = {"app": fingerprint(key)}
        if not tokens.allowed(key, secret):
            return api_error(400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret", facts)
        token, lifetime_s = tokens.give(key)
        return json_answer({"accessToken": token, "expireIn": lifetime_s}, facts={**facts, "token": fingerprint(token)})

    def legacy(call: Call) -> Answer:
        key, secret = call.query.get("appkey", ""), call.query.get("appsecret", "")
        facts = {"app": fingerprint(key)}
        if not tokens.allowed(key, secret):
            return refused({"errcode": 40089, "errmsg": "不合法的corpid或corpsecret"}, 200, facts=facts)
        token, lifetime_s = tokens.give(key)
        return json_answer(
            {"errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": lifetime_s},
            facts={**facts, "token": fingerprint(token)},
        )

    front.add("POST", "/v1.0/oauth2/accessToken", new)
    front.add("GET", "/gettoken", legacy)
    front.control("POST", "/tokens/expire", lambda _: tokens.expire())


def api_error(status: int, code: str, message: str, facts: Mapping[str, object] | None = None) -> Answer:
    """The error body of the new API."""
    return refused({"code": code, "message": message, "requestid": str(uuid.uuid4()).upper()}, status,
                   facts={"code": code, **(facts or {})})  # fmt: skip
