"""Messages of an app: what is shown, what is cut, and what is dropped without a word. WeCom docs, 2026-11-20."""

from __future__ import annotations

import itertools
from collections import defaultdict, deque
from typing import Any

import orjson

from emulators.answers import Answer, Call
from emulators.front import Front
from emulators.wecom.api import PREFIX, Api

MAX_BYTES = 2048
MAX_CHECK_S = 14_400
#: how many messages one member gets from one app in so many seconds
_LIMITS = ((60, 30), (3600, 1000))
_MEDIA = ("image", "voice", "video", "file")
_INTERACTIVE = ("button_interaction", "vote_interaction", "multiple_interaction")


class Messages:
    def __init__(self, api: Api) -> None:
        self._api = api
        self._numbers = itertools.count(1)
        self.reset()

    def reset(self) -> None:
        self._invalid: frozenset[str] = frozenset()
        self._limited = True
        self._shown_at: dict[bytes, float] = {}
        self._sent_at: defaultdict[tuple[int, str], deque[float]] = defaultdict(deque)

    def send(self, call: Call) -> Answer:
        """/cgi-bin/message/send"""
        body = call.json or {}
        kind, agent_id, users = body.get("msgtype"), body.get("agentid"), body.get("touser")
        facts: dict[str, Any] = {"msgtype": kind, "agentid": agent_id, "users": users}
        content = body.get(kind) if isinstance(kind, str) else None
        shown = content if isinstance(content, dict) else {}
        facts |= _seen(shown)
        if refusal := self._api.refusal(call):
            refusal.facts |= facts
            return refusal
        if isinstance(agent_id, bool) or not isinstance(agent_id, int):
            return self._api.error(40058, facts)
        if not isinstance(users, str) or not users:
            return self._api.error(82001, facts)
        if errcode := _wrong(kind, content):
            return self._api.error(errcode, facts)
        wanted = users.split("|")
        invalid = [user for user in wanted if user.lower() in self._invalid]
        if len(invalid) == len(wanted):
            return self._api.error(81013, facts)
        reached = [user for user in wanted if user not in invalid]
        facts["msgid"] = msgid = f"msg-{next(self._numbers)}"
        duplicate = self._is_duplicate(body, content)
        dropped = [user for user in reached if not duplicate and not self._may_get(agent_id, user)]
        facts |= {"reached": [] if duplicate else [user for user in reached if user not in dropped]}
        if duplicate:
            facts["duplicate"] = True
        if dropped:
            facts["dropped"] = dropped
        more = {"response_code": f"code-{msgid}"} if shown.get("card_type") in _INTERACTIVE else {}
        # ids come back in small letters; the member limits and the duplicate check say nothing at all
        return self._api.ok(
            facts, accepted=bool(facts["reached"]), invaliduser="|".join(invalid).lower(), invalidparty="",
            invalidtag="", msgid=msgid, **more,
        )  # fmt: skip

    def set_people(self, values: dict[str, Any]) -> None:
        """Control: {"invalid": [...]}, members whom no message reaches; {"limited": false} lifts the member limits."""
        self._invalid = frozenset(str(user).lower() for user in values.get("invalid", ()))
        self._limited = bool(values.get("limited", True))

    def _is_duplicate(self, body: dict[str, Any], content: object) -> bool:
        """Whether the same was shown a while ago, and the sender asked to look."""
        key = orjson.dumps([body.get("agentid"), body.get("touser"), body.get("msgtype"), content])
        now, before = self._api.now(), self._shown_at.get(key)
        interval_s = min(int(body.get("duplicate_check_interval", 1800)), MAX_CHECK_S)
        if body.get("enable_duplicate_check") == 1 and before is not None and now - before < interval_s:
            return True
        self._shown_at[key] = now
        return False

    def _may_get(self, agent_id: int, user: str) -> bool:
        if not self._limited:
            return True
        now, sent_at = self._api.now(), self._sent_at[agent_id, user.lower()]
        while sent_at and now - sent_at[0] >= _LIMITS[-1][0]:
            sent_at.popleft()
        if any(sum(1 for at in sent_at if now - at < window_s) >= most for window_s, most in _LIMITS):
            return False
        sent_at.append(now)
        return True


def serve(front: Front, api: Api) -> None:
    messages = Messages(api)
    api.resets.append(messages.reset)
    front.add("POST", f"{PREFIX}message/send", messages.send)
    front.control("POST", "/people", messages.set_people)


def _wrong(kind: object, content: object) -> int:
    """The errcode of a message that cannot be; 0: it can."""
    if not isinstance(content, dict):
        return 40008
    text = content.get("content")
    if kind in ("text", "markdown"):
        return 0 if isinstance(text, str) and text.strip() else 44004
    if kind in _MEDIA:
        return 0 if isinstance(content.get("media_id"), str) and content["media_id"] else 40007
    if kind == "news":
        articles = content.get("articles")
        fine = isinstance(articles, list) and 1 <= len(articles) <= 8 and all(a.get("title") for a in articles)
        return 0 if fine else 40058
    if kind == "textcard":
        return 0 if all(content.get(name) for name in ("title", "description", "url")) else 40058
    if kind == "template_card":
        needs_id = content.get("card_type") in _INTERACTIVE
        known = isinstance(content.get("card_type"), str)
        return 0 if known and (content.get("task_id") or not needs_id) else 40058
    return 40008


def _seen(content: dict[str, Any]) -> dict[str, Any]:
    """What a member would see, for the log; and how much was cut off without a word."""
    text = content.get("content")
    if isinstance(text, str):
        raw = text.encode()
        seen: dict[str, Any] = {"text": raw[:MAX_BYTES].decode(errors="ignore")}
        return seen | ({"cut_bytes": len(raw) - MAX_BYTES} if len(raw) > MAX_BYTES else {})
    names = ("media_id", "articles", "card_type", "task_id")
    return {name: content[name] for name in names if name in content}
