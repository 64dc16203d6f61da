"""Texts between AIM's HTML and ours: words of what comes in, and pieces of answers that clients show whole; pure."""

from __future__ import annotations

import html
import re

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part
from mindbot_tasks.platforms.base import Capabilities
from mindbot_tasks.platforms.parts import divide
from mindbot_tasks.platforms.payload import clean
from mindbot_tasks.platforms.text import Limit, language_of, split_text

#: words are all that AIM has: no marks, no files
CAPABILITIES = Capabilities(called=False)
#: bytes of encoded text in one message: real clients show about a kilobyte
MAX_BYTES = 900
#: messages of one answer: all people of an account share one in 4.3 seconds
MAX_PIECES = 8
BEGIN, END = "<HTML><BODY>", "</BODY></HTML>"

# only these make a text HTML: "a < b" and "<stdio.h>" must survive
_TAGS = "html|body|font|br|p|div|span|b|i|u|s|a|em|strong|big|small|sub|sup|hr|pre|img|binary|data|h[1-6]"
_TAG = re.compile(rf"</?(?P<name>{_TAGS})(?:\s[^<>]*+|/)?>", re.IGNORECASE)
# bounded and possessive: the text is a stranger's, and 64 kB of it must not cost more than milliseconds
_LINK = re.compile(
    r"<a\s[^<>]{0,200}?href\s{0,5}=\s{0,5}(\"[^\"<>]*+\"|'[^'<>]*+'|[^\s<>\"']++)[^<>]*+>(.{0,500}?)</a\s{0,5}>",
    re.IGNORECASE | re.DOTALL,
)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,30});")
_BREAKS = {"br", "p", "div", "hr"}


def to_text(said: str) -> str:
    """The words of a message; HTML only if it has a tag that clients write."""
    if not _TAG.search(said):
        return clean(said).strip()
    said = re.sub(r"\s+", " ", said)
    said = _LINK.sub(lambda match: _link(match[1].strip("\"'"), match[2]), said)
    said = _TAG.sub(_tag, said)
    said = _ENTITY.sub(lambda match: html.unescape(match[0]), said).replace("\xa0", " ")
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in said.split("\n")]
    return clean("\n".join(lines)).strip()


def _link(url: str, words: str) -> str:
    plain = _TAG.sub("", words).strip()
    return words if plain == url or not url else f"{words} ({url})" if plain else url


def _tag(match: re.Match[str]) -> str:
    name = match["name"].lower()
    opening = not match[0].startswith("</")
    breaks = name in _BREAKS and (opening if name in ("br", "hr") else not opening)
    return "\n" if breaks else ""


def to_html(text: str) -> str:
    """A piece as it goes out."""
    return BEGIN + "".join(map(_escaped, text)) + END


def _escaped(character: str) -> str:
    return {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\n": "<BR>"}.get(character, character)


def _narrow_size(text: str) -> int:
    return sum(len(_escaped(character)) for character in text)


def _wide_size(text: str) -> int:
    return sum(2 * len(_escaped(one)) if ord(one) < 0x10000 else 4 for one in text)


NARROW = Limit(chars=MAX_BYTES, size=MAX_BYTES, size_of=_narrow_size)
WIDE = Limit(chars=MAX_BYTES, size=MAX_BYTES, size_of=_wide_size)


def render(answer: Answer, lang: Lang = "en") -> list[Part]:
    """The pieces of an answer. They are cut before they are escaped, so no cut is inside of an entity or a tag."""
    text, _ = divide(answer, CAPABILITIES, lang)
    text = text.replace("\r", "")
    narrow = all(ord(character) < 256 for character in text)
    limit = NARROW if narrow else WIDE
    pieces = [piece.strip("\n") for piece in split_text(text, limit) if piece.strip()]
    if len(pieces) > MAX_PIECES:
        notice = "\n" + say("person.cut", language_of(text))
        last = split_text(pieces[MAX_PIECES - 1], WIDE.without(notice))[0]  # it has letters that are not of Latin-1
        pieces = [*pieces[: MAX_PIECES - 1], last.rstrip() + notice]
    return [Part("text", piece) for piece in pieces]
