"""How an answer looks on DingTalk: markdown with a title, or plain text; in pieces that each way of sending takes.

DingTalk knows headings, quotes, bold, italics, links, pictures and lists; a line break needs two blanks before it.
"""

from __future__ import annotations

import re

import grapheme

from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part
from mindbot_tasks.platforms.parts import in_words
from mindbot_tasks.platforms.payload import clean
from mindbot_tasks.platforms.text import Limit, json_size, split_markdown, split_text

MAX_TITLE_CHARS = 40
#: about 5 000 characters are advised; `msgParam` takes 15 000 bytes, of which title, keys and @mention want a part
LIMIT = Limit(chars=4800, size=13_500, size_of=json_size)
_FENCE_LINE = re.compile(r" {0,3}(```|~~~)")
_TITLE_MARKS = re.compile(r"^[\s#>*+\-`~|]+|[*_`~#]+|!?\[([^\]]*)\]\([^)]*\)")


def render(answer: Answer, *, as_markdown: bool, name: str) -> list[Part]:
    """The pieces to send. `name` is the title of an answer that has no words to make one of."""
    text = clean(_with_links(answer, as_markdown)).strip()
    if not text:
        return []
    if not as_markdown:
        return [Part("text", piece) for piece in split_text(text, LIMIT) if piece.strip()]
    title = title_of(text, name)
    pieces = split_markdown(hard_breaks(text), LIMIT)
    return [Part("markdown", piece.text, {"title": title}) for piece in pieces if piece.body.strip()]


def title_of(text: str, name: str) -> str:
    """The first line with words in it, without marks; the chat list and notifications show it."""
    for line in text.splitlines():
        if _FENCE_LINE.match(line):
            continue
        if words := _TITLE_MARKS.sub(r"\1", line).strip():
            if len(words) <= MAX_TITLE_CHARS:
                return words
            cut = int(grapheme.safe_split_index(words[: MAX_TITLE_CHARS + 1], MAX_TITLE_CHARS - 1))
            return words[: cut or MAX_TITLE_CHARS - 1].rstrip() + "…"
    return name[:MAX_TITLE_CHARS] or "MindBot"


def hard_breaks(text: str) -> str:
    """Two blanks at the end of each line that another one follows, but for code and tables."""
    lines = text.split("\n")
    in_code = False
    for number, line in enumerate(lines[:-1]):
        if _FENCE_LINE.match(line):
            in_code = not in_code
        elif not in_code and line.strip() and lines[number + 1].strip() and not line.lstrip().startswith("|"):
            lines[number] = line.rstrip() + "  "
    return "\n".join(lines)


def _with_links(answer: Answer, as_markdown: bool) -> str:
    """The words, and what there is to say about each further part that is no message of its own."""
    words = [answer.text, *(in_words(part, markdown=as_markdown) for part in answer.parts)]
    return "\n\n".join(text for text in words if text)
