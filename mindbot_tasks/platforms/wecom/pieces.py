"""How an answer becomes pieces that WeCom takes, and a piece the body of a send; pure.

Texts end at 2048 bytes: the platform cuts the rest off without a word. WeCom docs, 2026-11-20.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from mindbot_tasks.core.words import Lang
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part
from mindbot_tasks.platforms.parts import MEDIA, in_words
from mindbot_tasks.platforms.payload import clean
from mindbot_tasks.platforms.text import Limit, split_text
from mindbot_tasks.platforms.weixin import words

MAX_BYTES = 2048
MAX_PIECES = 5  #: of words; what does not fit is left out, and that is said
LEFT_OUT = "\n[…]"

# Characters that nobody sees; twelve of them tell equal texts apart (decision record 0006).
_UNSEEN = "\u200b\u200c\u200d\u2060"
_MARK_CHARS = 12
_ROOM = _MARK_CHARS * 3 + len(LEFT_OUT.encode())
LIMIT = Limit(chars=MAX_BYTES, size=MAX_BYTES - _ROOM)


def render(answer: Answer, *, as_markdown: bool, with_files: bool, lang: Lang = "en") -> list[Part]:
    """The pieces to send: the words first, then files, links and cards. What else there is, is said in words."""
    lines, further = [answer.text], []
    for part in answer.parts:
        if part.kind in ("text", "markdown"):
            lines.append(part.text)
        elif (part.kind in MEDIA and with_files and part.data.get("file")) or _is_sendable(part):
            further.append(part)
            if part.kind in MEDIA and part.text:
                lines.append(part.text)  # files have no captions here
        else:
            lines.append(in_words(part, markdown=True, lang=lang))
    markdown = clean("\n\n".join(filter(None, lines))).strip()
    text = (words.subset if as_markdown else words.plain)(markdown)
    pieces = [piece.strip("\n") for piece in split_text(text, LIMIT) if piece.strip()]
    if len(pieces) > MAX_PIECES:
        pieces = [*pieces[: MAX_PIECES - 1], pieces[MAX_PIECES - 1] + LEFT_OUT]
    return [Part("markdown" if as_markdown else "text", piece) for piece in pieces] + further


def body_of(part: Part) -> tuple[str, dict[str, Any]]:
    """msgtype and its object, for everything but files."""
    if part.kind == "card":
        card = part.data.get("template_card")
        return "template_card", dict(card) if isinstance(card, dict) else {}
    if part.kind == "link":
        return "news", {"articles": [_article(part)]}
    kind = "markdown" if part.kind == "markdown" else "text"
    return kind, {"content": part.text}


def marked(kind: str, content: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The same to the eye, another one to a machine; always the same for one key. Cards are told apart by their id."""
    mark = _mark_of(key)
    if kind in ("text", "markdown"):
        return {**content, "content": content["content"] + mark}
    if kind == "news":
        return {"articles": [{**article, "title": article["title"] + mark} for article in content["articles"]]}
    return dict(content)


def with_task_id(card: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A card that can be answered needs an id of its own."""
    return {**card, "task_id": str(card.get("task_id") or re.sub(r"[^A-Za-z0-9_@-]", "_", key))[:128]}


def _mark_of(key: str) -> str:
    number = int.from_bytes(hashlib.sha256(key.encode()).digest()[:3], "big")
    return "".join(_UNSEEN[number >> shift & 3] for shift in range(0, _MARK_CHARS * 2, 2))


def _article(part: Part) -> dict[str, str]:
    article = {"title": _fit(_label(part), 100), "url": _url_of(part)}
    description, picture = part.data.get("description"), part.data.get("picture_url")
    if isinstance(description, str) and description:
        article["description"] = _fit(description, 512)
    if isinstance(picture, str) and picture.startswith(("https://", "http://")):
        article["picurl"] = picture
    return article


def _is_sendable(part: Part) -> bool:
    if part.kind == "card":
        return isinstance(part.data.get("template_card"), dict)
    return part.kind == "link" and bool(_url_of(part)) and len(_url_of(part).encode()) <= MAX_BYTES


def _url_of(part: Part) -> str:
    url = part.data.get("url")
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else ""


def _label(part: Part) -> str:
    """One line, without what would end a link's label."""
    return re.sub(r"[\[\]\s]+", " ", clean(part.text or str(part.data.get("name") or part.kind))).strip() or part.kind


def _fit(text: str, max_bytes: int) -> str:
    text = clean(text)
    if len(text.encode()) <= max_bytes:
        return text
    return split_text(text, Limit(max_bytes, max_bytes - 3))[0] + "…"
