"""Chat commands: which one a message is, if any. Pure.

A command is a slash and a word: `/help`, `／HELP`, `/帮助`, in a group also after a mention. A slash word that holds
another slash is a path, and one with other signs in it is code or arithmetic: those are questions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Name(StrEnum):
    """What can be asked for."""

    HELP = "help"
    NEW = "new"
    RESET = "reset"
    STOP = "stop"
    STATUS = "status"
    HISTORY = "history"
    REMEMBER = "remember"
    FACTS = "facts"
    FORGET = "forget"
    MODEL = "model"
    USAGE = "usage"
    ACK = "ack"
    LEARN = "learn"
    UNKNOWN = "unknown"


ADMIN_ONLY = frozenset({Name.MODEL, Name.ACK, Name.LEARN})

_CALLED = {
    **{name.value: name for name in Name if name is not Name.UNKNOWN},
    "帮助": Name.HELP,
    "新对话": Name.NEW,
    "重置": Name.RESET,
    "停止": Name.STOP,
    "状态": Name.STATUS,
    "历史": Name.HISTORY,
    "memory": Name.FACTS,
    "memories": Name.FACTS,
    "记住": Name.REMEMBER,
    "记忆": Name.FACTS,
    "忘记": Name.FORGET,
    "模型": Name.MODEL,
    "用量": Name.USAGE,
    "确认": Name.ACK,
    "学习": Name.LEARN,
}

#: a command stands at the very beginning; whoever sends a megabyte did not mean one
_MOST_CHARS = 700
_MENTIONS = re.compile(r"(?:@[^\s@/]{1,80}\s+)+(?=/)")
_COMMAND = re.compile(r"/(?P<word>[^\W\d_][\w-]{0,39})(?:@\S{1,80})?[?!.。:,、]*(?:\s+(?P<argument>.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A command as somebody wrote it."""

    name: Name
    word: str  #: as written, without the slash
    argument: str = ""


def said(parts: Iterable[tuple[str, str]]) -> str:
    """The words of a message's parts (kind, text) that are its sender's own: not those of a quoted message."""
    return "\n".join(text for kind, text in parts if text and kind not in ("quote", "mention")).strip()


def parse(text: str) -> Command | None:
    """The command in a text; None for everything else.

    >>> parse("@MindBot ／Help")
    Command(name=<Name.HELP: 'help'>, word='help', argument='')
    >>> parse("/etc/passwd is world readable, is that bad?") is None
    True
    """
    start = text[:_MOST_CHARS].lstrip()
    if not start or start[0] not in "/／@":
        return None
    # full-width letters and slashes are what a Chinese keyboard makes of them
    start = unicodedata.normalize("NFKC", start)
    if mentions := _MENTIONS.match(start):
        start = start[mentions.end() :]
    found = _COMMAND.match(start)
    if found is None:
        return None
    word = found["word"].casefold()
    return Command(_CALLED.get(word, Name.UNKNOWN), word, (found["argument"] or "").strip())
