"""Cutting long texts into sendable pieces: between paragraphs if possible, else sentences, else words; never inside a
character as people see it; pure.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import grapheme
import orjson

from mindbot_tasks.core.words import Lang


def utf8_size(text: str) -> int:
    """Bytes of a text on the wire."""
    return len(text.encode("utf-8", "replace"))


def json_size(text: str) -> int:
    """Bytes of a text inside a JSON string, its quotes not counted. The text must be `clean`."""
    return len(orjson.dumps(text)) - 2


def language_of(text: str) -> Lang:
    """Chinese where it has Chinese characters: platforms do not know the rooms that know more."""
    return "zh" if any("一" <= character <= "鿿" for character in text[:2000]) else "en"


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that one piece may hold, at least a few hundred. `size_of` must be additive over characters."""

    chars: int
    size: int
    size_of: Callable[[str], int] = utf8_size

    def holds(self, text: str) -> bool:
        return len(text) <= self.chars and self.size_of(text) <= self.size

    def without(self, text: str) -> Limit:
        """What is left beside `text`."""
        return Limit(self.chars - len(text), self.size - self.size_of(text), self.size_of)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text; all bodies joined are the text. `before` and `after` keep code blocks whole."""

    body: str
    before: str = ""
    after: str = ""

    @property
    def text(self) -> str:
        return self.before + self.body + self.after


# a quarter of a piece may stay empty for the sake of a better place to cut
_PARAGRAPH = re.compile(r"\n[ \t]*+\n\s*+")
_SENTENCE = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s)\s*+"  # latin: needs the blank, else 3.14 and example.com are ends
    r"|[。！？；…]++[”’」』）》]*+\s*+"
    r"|\n++"
)
_WORD = re.compile(r"\s++|(?<=[，、：])")
_FENCE = re.compile(r"^ {0,3}(?P<marks>`{3,16}(?!`)|~{3,16}(?!~))(?P<info>[^\n`]*)$", re.MULTILINE)
_FENCE_MARKS = re.compile(r" {0,3}(?:```|~~~)")
_MAX_INFO_CHARS = 40
_CLOSING_ROOM = 17


def split_text(text: str, limit: Limit) -> list[str]:
    """The text in pieces that the limit holds; joined they are the text. An empty text has no pieces."""
    return [piece.body for piece in _pieces(text, limit, fences=False)]


def split_markdown(text: str, limit: Limit) -> list[Piece]:
    """As `split_text`, and a code block that is cut ends at the cut and begins again after it."""
    return list(_pieces(text, limit, fences=True))


def _pieces(text: str, limit: Limit, *, fences: bool) -> Iterator[Piece]:
    fences = fences and _FENCE.search(text) is not None
    start, before = 0, ""
    while start < len(text):
        body_limit = limit.without(before)
        end = _reach(text, start, body_limit)
        if end < len(text) or (fences and not limit.holds(before + text[start:] + _closing(before + text[start:]))):
            if fences:
                body_limit = body_limit.without("\n" + "`" * (_CLOSING_ROOM - 1))
            end = _cut(text, start, _reach(text, start, body_limit))
        if fences and end < len(text):
            end = _beside_fences(text, start, end, before)
        body = text[start:end]
        opened = _open_fence(before + body) if fences else ""
        yield Piece(body, before, _closing(before + body) if fences else "")
        start, before = end, opened


def _reach(text: str, start: int, limit: Limit) -> int:
    """The furthest end of a piece that begins at `start`; at least one character further."""
    end = min(len(text), start + max(1, limit.chars))
    if limit.size_of(text[start:end]) <= limit.size:
        return end
    sizes = itertools.accumulate(map(limit.size_of, text[start:end]))
    fitting = sum(1 for _ in itertools.takewhile(lambda size: size <= limit.size, sizes))
    return start + max(1, fitting)


def _cut(text: str, start: int, end: int) -> int:
    """The best place to cut in (start, end]."""
    least = start + (end - start) // 4
    for kind, earliest in ((_PARAGRAPH, start + (end - start) // 2), (_SENTENCE, least), (_WORD, least)):
        # one character beyond the end may be seen, to know that a sentence stops there
        matches = kind.finditer(text, start, min(len(text), end + 1))
        places = [_trim(text, match.start(), match.end(), end) for match in matches]
        for place in reversed(places):
            if earliest < place <= end and _is_boundary(text, place):
                return place
    place = end
    while (inside := int(grapheme.safe_split_index(text[start : place + 1], place - start))) > 0:
        if not _makes_a_fence(text, start + inside):
            return start + inside
        place = start + inside - 1
    return end  # one "character" of thousands of code points is cut, after all


def _trim(text: str, begin: int, place: int, end: int) -> int:
    """The place, moved back over trailing blanks that do not fit any more."""
    while place > end and place > begin and text[place - 1].isspace():
        place -= 1
    return place


def _is_boundary(text: str, place: int) -> bool:
    """Whether a cut here parts two characters, and makes no code block out of backticks inside a line."""
    if place >= len(text):
        return True
    if _makes_a_fence(text, place):
        return False
    return int(grapheme.length(text[place - 1 : place + 1])) == 2


def _makes_a_fence(text: str, place: int) -> bool:
    """Whether backticks inside a line would stand at the beginning of one after a cut here."""
    return text[place - 1] != "\n" and _FENCE_MARKS.match(text, place) is not None


def _beside_fences(text: str, start: int, end: int, before: str) -> int:
    """The cut, moved so that it neither parts a fence line nor leaves only an end of a code block on one side."""
    line = text.rfind("\n", start, end) + 1
    if start < line < end and _FENCE.match(text, line):
        end = line
    opened, marks = _scan(before + text[start:end])
    if opened is None:
        return end
    closing = _FENCE.match(text, end)
    if closing and text[end - 1] == "\n" and closing["marks"].startswith(marks) and not closing["info"].strip():
        after = closing.end() + 1  # the room that was kept for closing the block is enough for this line
        return min(after, len(text)) if after - end <= _CLOSING_ROOM else end
    opened_at = opened.start() - len(before)
    return start + opened_at if opened_at > (end - start) // 2 else end


def _scan(text: str) -> tuple[re.Match[str] | None, str]:
    """The fence that is open at the end of the text, as a reader sees it, and its marks."""
    opened: re.Match[str] | None = None
    marks = ""
    for match in _FENCE.finditer(text):
        if opened is None:
            opened, marks = match, match["marks"]
        elif match["marks"].startswith(marks) and not match["info"].strip():
            opened, marks = None, ""
    return opened, marks


def _open_fence(text: str) -> str:
    """The line that goes on with the code block which is open at the end of the text; "" if none is."""
    opened, marks = _scan(text)
    if opened is None:
        return ""
    info = opened["info"].strip()
    return f"{marks}{info if len(info) <= _MAX_INFO_CHARS else ''}\n"


def _closing(text: str) -> str:
    opened, marks = _scan(text)
    if opened is None:
        return ""
    return marks if text.endswith("\n") else f"\n{marks}"
