"""What WeChat customer service remembers: feeds with cursors, sessions with their states, what was sent; no network.

WeCom docs, 2026-11-20. Errors are errcodes, raised as `Refused`. Time is a clock that a test may move.
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

DAY_S = 86_400
FEED_S = 3 * DAY_S
SESSION_S = 2 * DAY_S
MOST_SENDS = 5
TOKEN_S = 600
WELCOME_S = 20
MSG_CODE_S = {"take": SESSION_S, "end": WELCOME_S}
MAX_TEXT_BYTES = 2048
_MSGID = re.compile(r"[0-9a-zA-Z_-]{1,32}")

Customer = tuple[str, str]  #: open_kfid, external_userid


class Refused(Exception):
    """An errcode."""

    def __init__(self, errcode: int, errmsg: str) -> None:
        super().__init__(errmsg)
        self.errcode = errcode
        self.errmsg = errmsg


class State(IntEnum):
    NEW, BOT, WAITING, AGENT, ENDED = range(5)


#: what may be asked for by API, from where
_TRANSITIONS = {
    State.NEW: {State.BOT, State.WAITING, State.AGENT},
    State.BOT: {State.WAITING, State.AGENT},
    State.WAITING: {State.AGENT},
    State.AGENT: {State.AGENT, State.ENDED},
    State.ENDED: set[State](),
}
_CHANGES = {"take": 1, "transfer": 2, "end": 3, "retake": 4}


@dataclass
class Session:
    state: State = State.ENDED
    servicer: str = ""
    asked_at: float | None = None  #: the customer's last message
    opened_at: float = 0.0
    sent: int = 0  #: since then


@dataclass
class Code:
    customer: Customer
    ends_at: float
    used: bool = False


@dataclass
class Kf:
    """All accounts of one enterprise."""

    clock: Callable[[], float] = time.time
    page_size: int = 2
    empty_pages: bool = False  #: before every page with something in it comes one without, and has_more 1
    unbelled_calls: int = 1000  #: sync_msg without a token, until 45009
    feeds: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    sessions: dict[Customer, Session] = field(default_factory=lambda: defaultdict(Session))
    bells: dict[str, tuple[str, float]] = field(default_factory=dict)  #: token -> account, end
    codes: dict[str, Code] = field(default_factory=dict)
    sent_ids: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    shown: list[dict[str, Any]] = field(default_factory=list)  #: what customers saw, in order
    servicers: dict[str, bool] = field(default_factory=dict)  #: userid -> on duty
    failing: dict[str, int] = field(default_factory=dict)  #: external_userid -> fail_type of what is sent next
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _unbelled: int = 0

    # what people do

    def say(self, kf: str, user: str, msgtype: str, content: object, *, ago_s: float = 0, **more: Any) -> str:
        """A customer writes; the session begins if there is none."""
        now = self.clock() - ago_s
        session = self.sessions[kf, user]
        if session.state is State.ENDED:
            session.state, session.opened_at = State.NEW, now
        session.asked_at, session.sent = now, 0
        item = {"open_kfid": kf, "external_userid": user, "origin": 3, "msgtype": msgtype, msgtype: content, **more}
        return self._push(kf, item, ago_s)

    def enter(self, kf: str, user: str, *, ago_s: float = 0) -> tuple[str, str]:
        """A customer opens the chat; returns the event's id and the welcome_code."""
        code = self._code((kf, user), WELCOME_S - ago_s)
        event = {"event_type": "enter_session", "scene": "123", "scene_param": "", "welcome_code": code}
        return self.happen(kf, user, event, ago_s=ago_s), code

    def act(self, kf: str, user: str, action: str, servicer: str = "agent1") -> str:
        """An agent takes, transfers, ends or retakes a session in the client; returns the event's id."""
        session = self.sessions[kf, user]
        old, session.servicer = session.servicer, "" if action == "end" else servicer
        session.state = State.ENDED if action == "end" else State.AGENT
        event: dict[str, Any] = {"event_type": "session_status_change", "change_type": _CHANGES[action]}
        if action != "end":
            event["new_servicer_userid"] = servicer
        if action != "take":
            event["old_servicer_userid"] = old
        if action in MSG_CODE_S:
            event["msg_code"] = self._code((kf, user), MSG_CODE_S[action])
        return self.happen(kf, user, event)

    def agent_says(self, kf: str, user: str, text: str, servicer: str = "agent1") -> str:
        item = {"open_kfid": kf, "external_userid": user, "origin": 5, "servicer_userid": servicer,
                "msgtype": "text", "text": {"content": text}}  # fmt: skip
        return self._push(kf, item)

    def happen(self, kf: str, user: str, event: dict[str, Any], *, ago_s: float = 0) -> str:
        """An event; where it belongs stands inside of it."""
        item = {"origin": 4, "msgtype": "event", "event": {**event, "open_kfid": kf, "external_userid": user}}
        return self._push(kf, item, ago_s)

    def bell(self, kf: str) -> str:
        """The token of a new bell."""
        token = f"ENC{secrets.token_hex(12)}"
        self.bells[token] = (kf, self.clock() + TOKEN_S)
        return token

    # what programs ask for

    def sync(self, kf: str, cursor: str, token: str, limit: int) -> dict[str, Any]:
        if not kf.startswith("wk"):
            raise Refused(95000, "invalid open_kfid")
        if token and (self.bells.get(token, ("", 0.0))[0] != kf or self.bells[token][1] < self.clock()):
            raise Refused(95007, "invalid msg token")
        if not token:
            self._unbelled += 1
            if self._unbelled > self.unbelled_calls:
                raise Refused(45009, "api freq out of limit")
        feed = self.feeds[kf]
        start, was_empty = self._read_cursor(kf, cursor)
        ends = start + min(limit, self.page_size)
        if self.empty_pages and start < len(feed) and not was_empty:
            return {"next_cursor": _cursor(kf, start, True), "has_more": 1, "msg_list": []}
        page = feed[start:ends]
        more = int(len(feed) > ends)
        return {"next_cursor": _cursor(kf, start + len(page), False), "has_more": more, "msg_list": page}

    def send(self, kf: str, user: str, msgid: str, msgtype: str, content: object) -> str:
        session = self.sessions.get((kf, user), Session())
        text = _check_content(msgtype, content)
        if msgid and not _MSGID.fullmatch(msgid):
            raise Refused(40058, "invalid msgid")
        if msgid in self.sent_ids[kf]:
            raise Refused(95033, "msgid has been used")
        now = self.clock()
        if session.state in (State.WAITING, State.AGENT):
            raise Refused(95018, "send msg session status invalid")
        if session.asked_at is None or now - session.asked_at > SESSION_S:
            raise Refused(95002, "out of 48 hours")
        if session.state is State.ENDED:
            raise Refused(95013, "conversation end")
        if session.sent >= MOST_SENDS:
            raise Refused(95001, "msg send count limit")
        session.sent += 1
        msgid = msgid or f"api{next(self._numbers)}"
        self.sent_ids[kf].add(msgid)
        fail_type = self.failing.pop(user, None)
        if fail_type is None:
            self._show(kf, user, msgid, msgtype, text)
        else:
            event = {"event_type": "msg_send_fail", "fail_msgid": msgid, "fail_type": fail_type}
            self.happen(kf, user, event)
        return msgid

    def send_on_event(self, code: str, msgid: str, msgtype: str, content: object) -> tuple[str, Customer]:
        text = _check_content(msgtype, content)
        known = self.codes.get(code)
        if known is None or known.used or known.ends_at < self.clock():
            raise Refused(41050, "welcome_code invalid")
        known.used = True
        msgid = msgid or f"api{next(self._numbers)}"
        self._show(*known.customer, msgid, msgtype, text)
        return msgid, known.customer

    def state(self, kf: str, user: str) -> Session:
        session = self.sessions[kf, user]
        if session.state is not State.ENDED and self.clock() - session.opened_at > SESSION_S:
            session.state, session.servicer = State.ENDED, ""
        return session

    def change(self, kf: str, user: str, wanted: int, servicer: str) -> str:
        session = self.state(kf, user)
        if wanted not in set(State) or State(wanted) not in _TRANSITIONS[session.state]:
            raise Refused(95016, "service state not allowed")
        if wanted == State.AGENT:
            if servicer not in self.servicers:
                raise Refused(95014, "not servicer")
            if not self.servicers[servicer]:
                raise Refused(95019, "servicer stopped")
        session.state = State(wanted)
        session.servicer = servicer if wanted == State.AGENT else ""
        return self._code((kf, user), SESSION_S) if wanted in (State.WAITING, State.AGENT) else ""

    def _show(self, kf: str, user: str, msgid: str, msgtype: str, text: str) -> None:
        self.shown.append({"open_kfid": kf, "external_userid": user, "msgid": msgid, "msgtype": msgtype, "text": text})

    def _push(self, kf: str, item: dict[str, Any], ago_s: float = 0) -> str:
        msgid = f"kf{next(self._numbers):08d}{secrets.token_hex(4)}"
        self.feeds[kf].append({"msgid": msgid, "send_time": int(self.clock() - ago_s), **item})
        return msgid

    def _code(self, customer: Customer, life_s: float) -> str:
        code = f"CODE{secrets.token_hex(8)}"
        self.codes[code] = Code(customer, self.clock() + life_s)
        return code

    def _read_cursor(self, kf: str, cursor: str) -> tuple[int, bool]:
        if not cursor:
            oldest = self.clock() - FEED_S
            old = itertools.takewhile(lambda item: item["send_time"] < oldest, self.feeds[kf])
            return sum(1 for _ in old), False
        try:
            owner, start, was_empty = bytes.fromhex(cursor).decode().split("|")
        except ValueError:
            raise Refused(40058, "invalid cursor") from None
        if owner != kf:
            raise Refused(40058, "invalid cursor")
        return int(start), was_empty == "e"


def _cursor(kf: str, start: int, was_empty: bool) -> str:
    return f"{kf}|{start}|{'e' if was_empty else ''}".encode().hex()


def _check_content(msgtype: str, content: object) -> str:
    if not isinstance(content, dict):
        raise Refused(40058, f"missing {msgtype or 'msgtype'}")
    if msgtype != "text":
        return str(content.get("head_content") or content.get("media_id") or content.get("title") or "")
    text = content.get("content")
    if not isinstance(text, str) or not text:
        raise Refused(44004, "empty content")
    if len(text.encode()) > MAX_TEXT_BYTES:
        raise Refused(45002, "content size out of limit")
    return text
