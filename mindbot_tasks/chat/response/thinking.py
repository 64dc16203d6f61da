"""What a model thinks aloud between tags is not for the reader. Pure."""

from __future__ import annotations

import re

_NAMES = ("think", "thinking", "thought")
_TAG = re.compile(r"<(?P<close>/?)(?:think|thinking|thought)\s*>|◁(?P<close2>/?)think▷", re.IGNORECASE)
_TAGS = (
    *(f"<{name}>" for name in _NAMES),
    *(f"</{name}>" for name in _NAMES),
    "◁think▷",
    "◁/think▷",
)
_LONGEST = max(map(len, _TAGS))
_MOST_IN_CODE = 100  # tags that anybody writes about
_FENCE = re.compile(r"^ {0,3}(```+|~~~+)", re.MULTILINE)


def without_thinking(text: str, *, growing: bool = False) -> str:
    """The text without what stands between think tags; a block that is not closed reaches to the end.

    A closing tag alone ends a block that began before the answer did: some servers swallow the first tag. Tags in code
    are code. growing: the text is a beginning, so what may become a tag is held back.
    """
    if "<" not in text and "◁" not in text:
        return text if not growing or not text.isspace() else ""
    kept: list[str] = []
    at = 0  # what is before it is settled
    thinking = opened = at_start = False
    for number, tag in enumerate(_TAG.finditer(text)):
        if not thinking and number < _MOST_IN_CODE and _in_code(text, tag.start(), tag.end()):
            continue
        closes = bool(tag["close"] or tag["close2"])
        if closes and thinking:
            thinking = False
        elif closes:
            if not opened:  # the block began before the answer
                kept.clear()
                at_start = True
            else:
                kept.append(text[at : tag.start()])
        elif not thinking:
            kept.append(text[at : tag.start()])
            at_start = at_start or not "".join(kept).strip()
            thinking = True
        opened = True
        at = tag.end()
    if not opened and not growing:
        return text
    if not thinking:
        kept.append(text[at : _undecided(text, at) if growing else len(text)])
    shown = "".join(kept)
    if at_start:
        return shown.lstrip()
    return "" if growing and shown.isspace() else shown


def _undecided(text: str, start: int) -> int:
    """Where something begins that may become a tag."""
    for at in range(max(start, len(text) - _LONGEST - 1), len(text)):
        if text[at] in "<◁":
            tail = text[at:].lower().rstrip()
            if any(tag.startswith(tail) or (tag[:-1] == tail and tag[-1] == ">") for tag in _TAGS):
                return at
    return len(text)


def _in_code(text: str, begin: int, end: int) -> bool:
    """Whether a tag stands in a fenced block, or in code within its line."""
    line_start = text.rfind("\n", 0, begin) + 1
    before = text[line_start:begin]
    if before.count("`") % 2:
        line_end = text.find("\n", end)
        return "`" in text[end : len(text) if line_end < 0 else line_end]
    opened = ""
    for fence in _FENCE.finditer(text, 0, line_start):
        if not opened:
            opened = fence[1]
        elif fence[1].startswith(opened):
            opened = ""
    return bool(opened)
