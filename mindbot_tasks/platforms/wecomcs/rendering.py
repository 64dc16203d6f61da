"""How an answer looks in WeChat: plain text in few messages, as only five come through after each of the customer's."""

from __future__ import annotations

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part
from mindbot_tasks.platforms.payload import clean
from mindbot_tasks.platforms.text import Limit, split_text
from mindbot_tasks.platforms.weixin import words

LIMIT = Limit(chars=2048, size=2048)


def render(answer: Answer, *, max_parts: int) -> list[Part]:
    """At most `max_parts` texts, and the transfer to a person after them."""
    text = clean(_with_links(answer)).strip()
    pieces = [piece.strip() for piece in split_text(text, LIMIT) if piece.strip()]
    if len(pieces) > max_parts:
        notice = "\n" + say("person.cut", _language_of(text))
        last = split_text("".join(pieces[max_parts - 1 : max_parts + 1]), LIMIT.without(notice))[0]
        pieces = [*pieces[: max_parts - 1], last.rstrip() + notice]
    parts = [Part("text", piece) for piece in pieces]
    return parts + [part for part in answer.parts if part.kind == "transfer"]


def _with_links(answer: Answer) -> str:
    """The words, and a line for each further part that has an address."""
    lines = [words.plain(answer.text)]
    for part in answer.parts:
        url = part.data.get("url")
        if part.kind in ("text", "markdown"):
            lines.append(words.plain(part.text))
        elif isinstance(url, str) and url.startswith(("https://", "http://")):
            label = " ".join((part.text or str(part.data.get("name") or part.kind)).split())
            lines.append(f"{label}: {url}")
    return "\n\n".join(line for line in lines if line)


def _language_of(text: str) -> Lang:
    """Chinese where it has Chinese characters: platforms do not know the rooms that know more."""
    return "zh" if any("一" <= character <= "鿿" for character in text[:2000]) else "en"
