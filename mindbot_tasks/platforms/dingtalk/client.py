"""Calls to DingTalk: one answer out, by session webhook or by the server API, with a token that all workers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import orjson
import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import Http, Patience, Response
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.platforms.dingtalk.errors import PROVIDER, read_answer

log = structlog.get_logger(__name__)

CONNECT_S = 3.0
#: calls of the server API that all workers together may make; DingTalk allows 20 a second for each app
CALLS = "15/s"
#: of these, the calls that only show an answer while it grows: sends and finished answers always have the rest
SHOWS = "10/s"
FetchToken = Callable[[], tuple[str, float]]
Take = Callable[[str, str], float]  #: name and rate -> seconds to wait, 0 for "go"


class TokenStore(Protocol):
    """Where access tokens are shared; `stores.tokens`, or a stand-in."""

    def get(self, name: str, fetch: FetchToken) -> str:
        """The token of this name; `fetch` answers a new one and its lifetime in seconds."""

    def drop(self, name: str, used: str) -> None:
        """Forget the token, if it is still this one."""


class Client:
    """One app on DingTalk."""

    def __init__(self, settings: DingTalkSettings, http: Http, tokens: TokenStore, take: Take | None = None) -> None:
        self._settings = settings
        self._take = take
        self._http = http
        self._tokens = tokens
        self._token_name = f"dingtalk:{settings.client_id}"
        self._api_base = settings.api_base.rstrip("/")

    @property
    def token_name(self) -> str:
        """Under which name the access token is kept."""
        return self._token_name

    def ask_for_token(self, deadline: Deadline) -> None:
        """Prove the credentials by getting a token anew. Raises Rejected, Throttled or Unavailable."""
        self._fetch_token(deadline)

    def send_by_session(self, webhook: str, body: Mapping[str, Any], deadline: Deadline) -> None:
        """Post to a session webhook, which must be a trusted one. Rejected with kind "session": it works no more."""
        try:
            read_answer(self._send(webhook, body, {}, deadline))
        except Rejected as exc:
            if exc.kind != "token":
                raise
            # no token belongs to this call: it is the session itself that is refused
            raise Rejected(str(exc), kind="session", provider=PROVIDER, status=exc.status, code=exc.code) from exc

    def send_to_person(
        self, robot_code: str, staff_id: str, msg_key: str, param: Mapping[str, str], deadline: Deadline
    ) -> str:
        """Send to one person; return the key of the delivery."""
        answer = self.call(
            "/v1.0/robot/oToMessages/batchSend",
            {"robotCode": robot_code, "userIds": [staff_id], "msgKey": msg_key, "msgParam": _as_text(param)},
            deadline,
        )
        # 200 is acceptance only; who was left out stands in these lists
        if answer.get("flowControlledStaffIdList"):
            raise Throttled(
                "DingTalk slows messages to this person", kind="rate_limit", provider=PROVIDER, retry_after_s=1.0
            )
        if answer.get("invalidStaffIdList"):
            raise Rejected("DingTalk does not know this person", kind="not_found", provider=PROVIDER)
        if answer.get("filteredStaffIdList"):
            raise Rejected("this person does not take messages of the robot", kind="not_found", provider=PROVIDER)
        return _delivery_key(answer)

    def send_to_group(
        self, robot_code: str, conversation_id: str, msg_key: str, param: Mapping[str, str], deadline: Deadline
    ) -> str:
        """Send to a group; return the key of the delivery."""
        body = {
            "robotCode": robot_code,
            "openConversationId": conversation_id,
            "msgKey": msg_key,
            "msgParam": _as_text(param),
        }
        return _delivery_key(self.call("/v1.0/robot/groupMessages/send", body, deadline))

    def may_show(self) -> bool:
        """Whether there is room for a call that only shows something a little earlier; if so, it is counted."""
        return self._take is None or self._take(f"{self._token_name}:shows", SHOWS) <= 0

    def call(
        self,
        path: str,
        body: Mapping[str, Any],
        deadline: Deadline,
        *,
        method: str = "POST",
        repeatable: bool = False,
    ) -> dict[str, Any]:
        """One call of the new API; a stale token is replaced once. Throttled when the fleet makes too many calls.

        repeatable: the same call twice has the effect of one, so that nothing about its outcome is "ambiguous".
        """
        wait_s = self._take(f"{self._token_name}:calls", CALLS) if self._take is not None else 0.0
        if wait_s > 0:
            raise Throttled(
                "our own limit for calls to DingTalk",
                kind="rate_limit",
                provider=PROVIDER,
                code="our_limit",
                retry_after_s=wait_s,
            )
        for last_try in (False, True):
            token = self._tokens.get(self._token_name, lambda: self._fetch_token(deadline))
            headers = {"x-acs-dingtalk-access-token": token}
            try:
                return read_answer(self._send(self._api_base + path, body, headers, deadline, method))
            except Unavailable as exc:
                if not repeatable or exc.kind != "ambiguous":
                    raise
                words = "DingTalk did not say whether it took the call"
                raise Unavailable(words, kind="timeout", provider=PROVIDER, status=exc.status, code=exc.code) from exc
            except Rejected as exc:
                if exc.kind != "token":
                    raise
                self._tokens.drop(self._token_name, token)
                if last_try:
                    raise Rejected(
                        "DingTalk does not take the access token it has just given",
                        kind="auth",
                        provider=PROVIDER,
                        status=exc.status,
                        code=exc.code,
                    ) from exc
                log.info("dingtalk_token_dropped", code=exc.code, status=exc.status)
        raise AssertionError("the second try returns or raises")

    def _fetch_token(self, deadline: Deadline) -> tuple[str, float]:
        """A new token and its lifetime in seconds."""
        body = {
            "appKey": self._settings.client_id,
            "appSecret": self._settings.client_secret.get_secret_value(),
        }
        url = f"{self._api_base}/v1.0/oauth2/accessToken"
        try:
            answer = read_answer(self._http.request("POST", url, deadline=deadline, provider=PROVIDER, json=body))
        except Rejected as exc:
            raise Rejected(
                "DingTalk refuses client_id and client_secret",
                kind="auth",
                provider=PROVIDER,
                status=exc.status,
                code=exc.code,
            ) from exc
        except Unavailable as exc:
            # fetching a token twice does no harm, so nothing about it is ambiguous
            raise Unavailable(str(exc), kind="connection", provider=PROVIDER, status=exc.status, code=exc.code) from exc
        token, lifetime_s = answer.get("accessToken"), answer.get("expireIn")
        if not isinstance(token, str) or not token or not isinstance(lifetime_s, int | float):
            raise Unavailable("DingTalk's token answer has no token", kind="protocol", provider=PROVIDER)
        return token, float(lifetime_s)

    def _send(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str], deadline: Deadline, method: str = "POST"
    ) -> Response:
        """Send once. Unavailable has the kind "connection" if nothing was sent, "ambiguous" if all may have been."""
        deadline.check()  # here it is certain that nothing was sent
        # connecting gives up before the deadline does, so that running out of time means: while waiting for an answer
        patience = Patience(connect_s=min(CONNECT_S, deadline.remaining_s() / 2))
        try:
            return self._http.request(
                method, url, deadline=deadline, provider=PROVIDER, headers=headers, json=body, patience=patience
            )
        except Unavailable as exc:
            if exc.code in ("connect", "tls"):
                raise Unavailable(str(exc), kind="connection", provider=PROVIDER, code=exc.code) from exc
            raise Unavailable(
                "DingTalk took the message and did not say what became of it",
                kind="ambiguous",
                provider=PROVIDER,
                code=exc.code,
            ) from exc


def _as_text(param: Mapping[str, str]) -> str:
    """msgParam is JSON inside a JSON string."""
    return orjson.dumps(param).decode()


def _delivery_key(answer: Mapping[str, Any]) -> str:
    key = answer.get("processQueryKey")
    return key[:255] if isinstance(key, str) else ""
