"""What happened in a trial, as the logs tell it: what was said, shown, asked of the model, and broken."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emulators import calls
from tests.chaos import journal

#: what the nemesis may do that ends a process at once
KILLS = frozenset({"sigkill", "redis_kill", "redis_wipe"})

_MARKER = re.compile(r"M\d{2}N\d{5}")
_SENDS = frozenset({"/robot/sendBySession", "/v1.0/robot/oToMessages/batchSend", "/v1.0/robot/groupMessages/send"})


def marker(conversation: int, number: int) -> str:
    """The word by which a message is known wherever its text turns up.

    >>> marker(7, 12)
    'M07N00012'
    """
    return f"M{conversation:02}N{number:05}"


def marker_in(text: str) -> str | None:
    """The first marker in a text."""
    found = _MARKER.search(text)
    return found.group() if found else None


@dataclass(frozen=True, slots=True)
class Said:
    """One message that somebody meant to say."""

    msg_id: str
    conversation: str
    number: int  #: 1, 2, 3 ... within its conversation
    marker: str
    ordered: bool  #: the next one of its conversation was said only after this one was acknowledged
    at_ms: int
    acknowledged_ms: int | None  #: the first 200
    posts: int  #: with retries, duplicates and replays


@dataclass(frozen=True, slots=True)
class Shown:
    """One text that became visible to people."""

    at_ms: int
    place: int  #: in the order of the platform's log
    msg_id: str | None  #: the message whose session was used; None: sent by the server API
    conversation: str | None
    marker: str | None  #: None: not an answer but an apology
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of the model."""

    at_ms: int
    ended_ms: int | None
    marker: str | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Fault:
    """One deed of the nemesis."""

    kind: str
    target: str
    at_ms: int
    done_ms: int

    @property
    def is_kill(self) -> bool:
        return self.kind in KILLS


@dataclass(frozen=True, slots=True)
class Up:
    """A process was started again."""

    target: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class History:
    said: tuple[Said, ...]
    shown: tuple[Shown, ...]
    asked: tuple[Asked, ...] = ()
    faults: tuple[Fault, ...] = ()
    ups: tuple[Up, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)


def read(*, intents: Path, nemesis: Path, dingtalk: Path, model: Path) -> History:
    """Put the four logs of a trial together."""
    deeds = journal.read(nemesis)
    return History(
        said=_said(journal.read(intents)),
        shown=tuple(_shown(line) for line in calls.read(dingtalk) if _is_send(line)),
        asked=tuple(_asked(line) for line in calls.read(model) if line["event"] == "call" and line["accepted"]),
        faults=tuple(
            Fault(line["kind"], line["target"], line["at_ms"], line["done_ms"])
            for line in deeds
            if line["event"] == "fault"
        ),
        ups=tuple(Up(line["target"], line["at_ms"]) for line in deeds if line["event"] == "up"),
        settings=next((line["settings"] for line in deeds if line["event"] == "settings"), {}),
    )


def _said(lines: list[dict[str, Any]]) -> tuple[Said, ...]:
    posts: dict[str, int] = {}
    acknowledged: dict[str, int] = {}
    for line in lines:
        if line["event"] != "post":
            continue
        msg_id = line["msg_id"]
        posts[msg_id] = posts.get(msg_id, 0) + 1
        if line["status"] == 200:
            acknowledged.setdefault(msg_id, line["at_ms"])
    return tuple(
        Said(
            msg_id=line["msg_id"],
            conversation=line["conversation"],
            number=line["number"],
            marker=line["marker"],
            ordered=line["ordered"],
            at_ms=line["at_ms"],
            acknowledged_ms=acknowledged.get(line["msg_id"]),
            posts=posts.get(line["msg_id"], 0),
        )
        for line in lines
        if line["event"] == "say"
    )


def _is_send(line: dict[str, Any]) -> bool:
    return line["event"] == "call" and line["accepted"] and line["path"] in _SENDS


def _shown(line: dict[str, Any]) -> Shown:
    return Shown(
        at_ms=line["at_ms"],
        place=line["seq"],
        msg_id=line.get("for_msg_id"),
        conversation=line.get("conversation"),
        marker=marker_in(str(line.get("text", ""))),
        outcome=line["outcome"],
    )


def _asked(line: dict[str, Any]) -> Asked:
    took_ms = line.get("ms")
    return Asked(
        at_ms=line["at_ms"],
        ended_ms=None if took_ms is None else line["at_ms"] + round(took_ms),
        marker=marker_in(str(line.get("text", ""))),
        outcome=line["outcome"],
    )
