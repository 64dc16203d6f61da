"""What happened in a trial, as the logs tell it: what was said, shown, asked of the model, and broken."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from emulators import calls
from emulators.dingtalk.cards import ENDED
from tests.chaos import journal

Platform = Literal["dingtalk", "wecom", "wecomcs", "cards", "stream", "aim"]
PLATFORMS: tuple[Platform, ...] = get_args(Platform)

#: what the nemesis may do that ends a process at once
KILLS = frozenset({"sigkill", "redis_kill", "redis_wipe"})

_MARKER = re.compile(r"M\d{2}N\d{5}")
_TEXTS = frozenset({"/robot/sendBySession", "/v1.0/robot/oToMessages/batchSend", "/v1.0/robot/groupMessages/send"})
_CARD_BEGINS = "/v1.0/card/instances/createAndDeliver"
_CARD_GROWS = "/v1.0/card/streaming"
_WECOM = "/cgi-bin/message/send"
_WECOMCS = "/cgi-bin/kf/send_msg"
_AIM = "/oscar/04/06"
_SENDS = _TEXTS | {_CARD_GROWS, _WECOM, _WECOMCS, _AIM}


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
    acknowledged_ms: int | None  #: the first 200; the first frame taken; in the feed; in our session
    posts: int  #: with retries, duplicates and replays
    platform: Platform = "dingtalk"


@dataclass(frozen=True, slots=True)
class Shown:
    """One text that became visible to people."""

    at_ms: int
    place: int  #: in the order of the platform's log
    msg_id: str | None  #: the message whose session was used; None: sent by the server API
    conversation: str | None
    marker: str | None  #: None: not an answer but an apology
    outcome: str | None
    card: str = ""  #: on which it stands


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
    cards: tuple[str, ...] = ()  #: that people saw, finished or not
    refused_repeats: int = 0  #: sends that a platform knew for a repeat, and showed nobody


def read(
    *, intents: Path, nemesis: Path, dingtalk: Path, model: Path, wecom: Path | None = None, oscar: Path | None = None
) -> History:
    """Put the logs of a trial together; a platform that took no part has none."""
    deeds = journal.read(nemesis)
    # each emulator counts for itself, and a conversation is in one of them only
    vendors = [calls.read(path) for path in (dingtalk, wecom, oscar) if path is not None and path.exists()]
    lines = [line for vendor in vendors for line in vendor]
    return History(
        said=_said(journal.read(intents), lines),
        shown=tuple(_shown(line) for line in lines if _is_send(line)),
        asked=tuple(_asked(line) for line in calls.read(model) if line["event"] == "call" and line["accepted"]),
        faults=tuple(
            Fault(line["kind"], line["target"], line["at_ms"], line["done_ms"])
            for line in deeds
            if line["event"] == "fault"
        ),
        ups=tuple(Up(line["target"], line["at_ms"]) for line in deeds if line["event"] == "up"),
        settings=next((line["settings"] for line in deeds if line["event"] == "settings"), {}),
        cards=tuple(line["card"] for line in lines if line.get("path") == _CARD_BEGINS and line.get("accepted")),
        refused_repeats=sum(_is_refused_repeat(line) for line in lines),
    )


def open_calls(model: Path) -> int:
    """How many calls of the model wait for their answer just now."""
    return sum(line["event"] == "call" and line["outcome"] is None for line in calls.read(model))


def _said(lines: list[dict[str, Any]], vendors: list[dict[str, Any]]) -> tuple[Said, ...]:
    posts: dict[str, int] = {}
    acknowledged: dict[str, int] = {}
    for line in lines:
        if line["event"] == "post":
            msg_id = line["msg_id"]
            posts[msg_id] = posts.get(msg_id, 0) + 1
            if line["status"] == 200:
                acknowledged.setdefault(msg_id, line["at_ms"])
    for msg_id, at_ms, taken in _deliveries(vendors):
        if taken:
            acknowledged.setdefault(msg_id, at_ms)
        else:
            posts[msg_id] = posts.get(msg_id, 0) + 1
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
            platform=line.get("platform", "dingtalk"),
        )
        for line in lines
        if line["event"] == "say"
    )


def _deliveries(lines: Iterable[dict[str, Any]]) -> Iterator[tuple[str, int, bool]]:
    """What an emulator handed over by itself, message by message: when, and whether that was the end of its duty."""
    for line in lines:
        match line["event"]:
            case "frame" if line.get("connection") and line.get("msg_id"):
                yield line["msg_id"], line["at_ms"], False
            case "ack" if line.get("accepted") and line.get("msg_id"):
                yield line["msg_id"], line["at_ms"], True
            case "message" if line["delivered"]:
                yield line["cookie"], line["at_ms"], False
                yield line["cookie"], line["at_ms"], True
            case "message_kept":  # and now handed over
                yield line["cookie"], line["at_ms"], False
                yield line["cookie"], line["at_ms"], True


def _is_send(line: dict[str, Any]) -> bool:
    if line["event"] != "call" or not line["accepted"] or line["path"] not in _SENDS:
        return False
    # while a card grows, nothing is said for good
    return line["path"] != _CARD_GROWS or bool(line["finalize"] or line["error"])


def _is_refused_repeat(line: dict[str, Any]) -> bool:
    return line["event"] == "call" and (
        bool(line.get("duplicate"))
        or (line.get("path") == _WECOMCS and line.get("errcode") == 95033)
        or (line.get("path") == _CARD_GROWS and bool(line.get("repeat") or line.get("code") == ENDED))
    )


def _shown(line: dict[str, Any]) -> Shown:
    return Shown(
        at_ms=line["at_ms"],
        place=line["seq"],
        msg_id=line.get("for_msg_id"),
        conversation=_conversation(line),
        marker=marker_in(str(line.get("text", ""))),
        outcome=line["outcome"],
        card=line["card"] if line["path"] == _CARD_GROWS else "",
    )


def _conversation(line: dict[str, Any]) -> str | None:
    """As the generator names it; None: the platform does not say."""
    match line["path"]:
        case path if path == _WECOM:
            return "|".join(line["reached"])
        case path if path == _WECOMCS:
            return f"{line['open_kfid']}:{line['user']}"
        case path if path == _AIM:
            return str(line["to"])
        case _:
            found = line.get("conversation")
            return None if found is None else str(found)


def _asked(line: dict[str, Any]) -> Asked:
    took_ms = line.get("ms")
    return Asked(
        at_ms=line["at_ms"],
        ended_ms=None if took_ms is None else line["at_ms"] + round(took_ms),
        marker=marker_in(str(line.get("text", ""))),
        outcome=line["outcome"],
    )
