"""After a cut stream: find the answer that is being made, so that nobody has to ask, and pay, a second time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import quote

import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, RetryableError, Unavailable
from mindbot_tasks.llm.dify.client import Client
from mindbot_tasks.llm.dify.events import UNREADABLE, Told

log = structlog.get_logger(__name__)

_CALL_S = 5.0
_LOOK_S = 30.0  # for a message that is not finished: a Dify that was restarted never finishes it
_PAUSES_S = (0.3, 0.7, 1.0, 2.0, 3.0)
_CLOCKS_DIFFER_S = 15.0
_MOST_ATTACHES = 3
_EARLIER_S = 300.0  # as long ago the worker may have begun that is gone now


def is_cut(exc: Unavailable) -> bool:
    """The connection ended, or fell silent, after Dify may have begun."""
    return exc.code in ("cut", "gap", "first_byte")


def go_on(client: Client, told: Told, user: str, text: str, asked_at: float, deadline: Deadline) -> bool:
    """Read the rest of an answer whose stream was cut; False when it cannot be found: it was never begun, perhaps.

    Raises what the run ended with, or a Stopped. `asked_at` is on our clock, seconds since 1970.
    """
    told.hole = True
    ways = [partial(_attach, client, told, user, deadline)] if told.run_id else []
    if told.family == "chat":
        ways.append(partial(_look, client, told, user, text, asked_at, deadline))
    for way in ways:
        try:
            if way():
                return True
        except FarSideError as exc:
            if told.ended:
                raise
            log.warning("dify_answer_not_found", answerer=client.name, kind=exc.kind, code=exc.code)
    return False


def earlier(client: Client, told: Told, user: str, text: str, deadline: Deadline) -> bool:
    """Find the answer of a try that another worker began and did not end, in a chat app or an agent."""
    try:
        return _look(client, told, user, text, time.time() - _EARLIER_S, deadline)
    except FarSideError as exc:
        log.info("dify_no_earlier_answer", answerer=client.name, kind=exc.kind, code=exc.code)
        return False


def follow(client: Client, told: Told, user: str, deadline: Deadline) -> None:
    """The events of a run that was resumed. Raises what it ended with, or Unavailable when it cannot be followed."""
    if not _attach(client, told, user, deadline):
        raise Unavailable("the run cannot be followed", kind="connection", code="cut", provider=client.name)


def _attach(client: Client, told: Told, user: str, deadline: Deadline) -> bool:
    told.attached_again = True
    for number in range(_MOST_ATTACHES):
        try:
            run = quote(told.run_id, safe="")
            # (the path really is in the singular)
            with client.stream("GET", f"/workflow/{run}/events", deadline, params={"user": user}) as stream:
                if stream.status == 200:
                    log.info("dify_attached_again", answerer=client.name)
                    told.take_events(stream.events())
                    return True
        except Unavailable as exc:
            if told.ended or not (is_cut(exc) or exc.code == "connect"):
                raise
            _nap(deadline, _PAUSES_S[number])
            continue
        break  # it cannot be attached to, but perhaps it can be asked for
    return _poll(client, told, deadline, lambda: _finished_run(client, told, deadline))


def _finished_run(client: Client, told: Told, deadline: Deadline) -> bool:
    found = client.get(f"/workflows/run/{quote(told.run_id, safe='')}", deadline.within(_CALL_S))
    if not isinstance(found, dict) or found.get("status") in ("running", "scheduled", None):
        return False
    told.take_result(found)
    return told.ended


def _look(client: Client, told: Told, user: str, text: str, asked_at: float, deadline: Deadline) -> bool:
    """A chat app or an agent: its message is in the conversation, at first without an answer."""
    since = asked_at - _CLOCKS_DIFFER_S
    if not told.conversation_id:
        told.conversation_id = _newest_conversation(client, user, since, deadline)
    if not told.conversation_id:
        return False
    state = {"known": False}

    def finished() -> bool:
        listed = client.get(
            "/messages", deadline.within(_CALL_S), conversation_id=told.conversation_id, user=user, limit="3"
        )
        message = _ours(listed, told.message_id, text, since)
        if message is None:
            if not state["known"]:
                raise Unavailable("no such message", kind="not_found", provider=client.name)
            return False
        state["known"] = True
        told.message_id = str(message.get("id") or told.message_id)
        if not message.get("answer") and message.get("status") != "error":
            return False
        told.take_message(message)
        log.info("dify_answer_found", answerer=client.name)
        return True

    return _poll(client, told, deadline.within(_LOOK_S), finished)


def _ours(listed: Any, message_id: str, text: str, since: float) -> dict[str, Any] | None:
    for message in listed.get("data") or []:
        if message_id:
            if message.get("id") == message_id:
                return dict(message)
        elif message.get("query") == text and float(message.get("created_at") or 0) >= since:
            return dict(message)
    return None


def _newest_conversation(client: Client, user: str, since: float, deadline: Deadline) -> str:
    listed = client.get("/conversations", deadline.within(_CALL_S), user=user, limit="1", sort_by="-created_at")
    try:
        newest = listed["data"][0]
        return str(newest["id"]) if float(newest["created_at"]) >= since else ""
    except (KeyError, IndexError, TypeError, ValueError):
        return ""


def _poll(client: Client, told: Told, deadline: Deadline, finished: Callable[[], bool]) -> bool:
    """Ask until it is finished, or there is no time; three failures in a row are enough."""
    failures = number = 0
    while deadline.remaining_s() > 0:
        try:
            if finished():
                return True
            failures = 0
        except UNREADABLE as exc:
            raise Unavailable("the answer cannot be read", kind="protocol", provider=client.name) from exc
        except RetryableError as exc:
            failures += 1
            if told.ended or exc.kind == "not_found" or failures == 3:
                raise
        _nap(deadline, _PAUSES_S[min(number, len(_PAUSES_S) - 1)])
        number += 1
    return False


def _nap(deadline: Deadline, seconds: float) -> None:
    """Wait a little. Raises a Stopped as soon as somebody wants us to stop; the end of the time ends the wait."""
    until = time.monotonic() + min(seconds, deadline.remaining_s())
    while (left := until - time.monotonic()) > 0:
        deadline.check()
        time.sleep(min(left, 0.1))
