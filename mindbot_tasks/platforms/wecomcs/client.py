"""Calls of the customer service API, and what its refusals mean for a conversation."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.platforms.weixin import Client

#: messages of one page; each page is one commit, and nobody else writes meanwhile
PAGE = 100
BAD_TOKEN, USED_MSGID, CODE_GONE, WRONG_TRANSITION = "95007", "95033", "41050", "95016"


class ServiceState(IntEnum):
    """Who has a session."""

    NEW = 0
    BOT = 1
    WAITING = 2
    AGENT = 3
    ENDED = 4

    @property
    def with_person(self) -> bool:
        return self in (ServiceState.WAITING, ServiceState.AGENT)


class KfClient:
    """Customer service of one app. Raises Rejected, Throttled or Unavailable."""

    def __init__(self, client: Client) -> None:
        self.client = client

    def sync(self, open_kfid: str, cursor: str, token: str, deadline: Deadline) -> tuple[list[Any], str, bool]:
        """A page after `cursor`: its items, where the next one begins, and whether there is one."""
        body: dict[str, Any] = {"open_kfid": open_kfid, "cursor": cursor, "limit": PAGE, "voice_format": 0}
        path = "kf/sync_msg"
        answer: Mapping[str, Any] = {"errcode": int(BAD_TOKEN)}
        if token:
            answer = self.client.post(path, {**body, "token": token}, deadline, fine=frozenset({BAD_TOKEN}))
        if _code(answer) == BAD_TOKEN:
            # it lives for ten minutes; without it there is a strict limit for calls, but they work
            answer = self.client.post(path, body, deadline)
        items, next_cursor = answer.get("msg_list"), answer.get("next_cursor")
        if not isinstance(items, list | None) or not isinstance(next_cursor, str | None):
            raise Unavailable("the page cannot be read", kind="protocol", provider=self.client.provider)
        return items or [], next_cursor or cursor, answer.get("has_more") in (1, True, "1")

    def nickname(self, external_userid: str, deadline: Deadline) -> str:
        """The customer's name in WeChat, "" for one who was not active in the last 48 hours."""
        body = {"external_userid_list": [external_userid], "need_enter_session_context": 0}
        found = self.client.post("kf/customer/batchget", body, deadline).get("customer_list")
        first = found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}
        return str(first.get("nickname") or "")

    def send(
        self, open_kfid: str, external_userid: str, msgid: str, content: Mapping[str, Any], deadline: Deadline
    ) -> str:
        """Send a message under an id of our own: a second time is no second message. Returns the id."""
        body = {"touser": external_userid, "open_kfid": open_kfid, "msgid": msgid, **content}
        answer = self.client.post("kf/send_msg", body, deadline, fine=frozenset({USED_MSGID}))
        return str(answer.get("msgid") or msgid)

    def send_on_event(self, code: str, msgid: str, text: str, deadline: Deadline) -> bool:
        """Say something with the code of an event; False: it is too late for that, or was done before."""
        body = {"code": code, "msgid": msgid, "msgtype": "text", "text": {"content": text}}
        answer = self.client.post("kf/send_msg_on_event", body, deadline, fine=frozenset({CODE_GONE, USED_MSGID}))
        return _code(answer) == "0"

    def state(self, open_kfid: str, external_userid: str, deadline: Deadline) -> ServiceState:
        """Who has this session now."""
        body = {"open_kfid": open_kfid, "external_userid": external_userid}
        answer = self.client.post("kf/service_state/get", body, deadline)
        try:
            return ServiceState(answer.get("service_state"))  # type: ignore[arg-type]  # whatever it is
        except ValueError:
            raise Unavailable(
                "the session's state cannot be read", kind="protocol", provider=self.client.provider
            ) from None

    def change_state(
        self, open_kfid: str, external_userid: str, state: ServiceState, deadline: Deadline, *, servicer: str = ""
    ) -> bool:
        """Give the session to somebody else; False: from where it is, it cannot go there."""
        body: dict[str, Any] = {
            "open_kfid": open_kfid,
            "external_userid": external_userid,
            "service_state": int(state),
        }
        if servicer:
            body["servicer_userid"] = servicer
        answer = self.client.post("kf/service_state/trans", body, deadline, fine=frozenset({WRONG_TRANSITION}))
        return _code(answer) == "0"

    def accounts(self, deadline: Deadline) -> int:
        """How many accounts the app may see; the cheapest call that needs all rights."""
        found = self.client.post("kf/account/list", {"offset": 0, "limit": 100}, deadline).get("account_list")
        return len(found) if isinstance(found, list) else 0


def _code(answer: Mapping[str, Any]) -> str:
    return str(answer.get("errcode") or 0)
