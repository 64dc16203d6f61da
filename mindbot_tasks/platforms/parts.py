"""Pieces of an answer on platforms that cannot show them: words and links that say the same; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import JSON, Part
from mindbot_tasks.platforms.base import Capabilities
from mindbot_tasks.platforms.payload import clean
from mindbot_tasks.platforms.plain import to_plain

MEDIA = frozenset({"image", "voice", "video", "file"})
_WEB = ("https://", "http://")


def divide(answer: Answer, capabilities: Capabilities, lang: Lang = "en") -> tuple[str, list[Part]]:
    """The words of an answer, and the pieces that `send` can take as files.

    Words are markdown where the platform knows it, else plain text. Everything that cannot be sent as a file is said in
    words, in its order.
    """
    markdown = capabilities.markdown
    words, files = [clean(answer.text) if markdown else to_plain(clean(answer.text))], []
    for part in answer.parts:
        if part.kind in MEDIA and part.data.get("file") and _takes(part, capabilities):
            files.append(part)
        else:
            words.append(in_words(part, markdown=markdown, lang=lang))
    return "\n\n".join(text for text in (piece.strip() for piece in words) if text), files


def in_words(part: Part, *, markdown: bool, lang: Lang = "en") -> str:
    """One piece as text; "" if there is nothing to say about it.

    >>> in_words(Part("file", data={"url": "https://example.com/a.pdf", "name": "a.pdf"}), markdown=True)
    '[a.pdf](https://example.com/a.pdf)'
    >>> in_words(Part("location", data={"name": "West Lake", "latitude": 30.25, "longitude": 120.15}), markdown=False)
    'Location: West Lake (30.25, 120.15)'
    """
    text = clean(part.text).strip()
    match part.kind:
        case "text" | "markdown":
            return text if markdown else to_plain(text)
        case "image" | "voice" | "video" | "file":
            return _media(part, text, markdown, lang)
        case "link":
            return "\n".join(filter(None, (_link(part, text, markdown, lang), _said(part, "description"))))
        case "location":
            return _location(part, text, lang)
        case "card":
            return _card(part, text, markdown)
        case "quote":
            return "\n".join(f"> {line}" for line in text.splitlines())
        case "mention":
            return f"@{text or _said(part, 'name')}" if text or _said(part, "name") else ""
        case _:
            return text


def link(label: str, url: str, *, markdown: bool) -> str:
    """A link as this platform shows it; the label alone when the address is none of the web's."""
    label = " ".join(label.split())
    if not url.startswith(_WEB):
        return label
    if not label or label == url:
        return url
    if not markdown:
        return f"{label} ({url})"
    # brackets and blanks would end the link
    url = url.replace("(", "%28").replace(")", "%29").replace(" ", "%20")
    label = re.sub(r"([\[\]\\])", r"\\\1", label)
    return f"[{label}]({url})"


def _takes(part: Part, capabilities: Capabilities) -> bool:
    return capabilities.images if part.kind == "image" else capabilities.files


def _said(part: Part, name: str) -> str:
    value: JSON = part.data.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return clean(str(value)).strip()


def _media(part: Part, text: str, markdown: bool, lang: Lang) -> str:
    url, name = _said(part, "url"), _said(part, "name")
    if url.startswith(_WEB):
        shown = link(text or name or say(f"parts.{part.kind}", lang), url, markdown=markdown)
        return f"!{shown}" if part.kind == "image" and markdown and shown.startswith("[") else shown
    if text:  # what was spoken, or a caption
        return text
    key = "parts.not_shown" if name else "parts.not_shown_nameless"
    return say(key, lang, what=say(f"parts.{part.kind}", lang), name=name)


def _link(part: Part, text: str, markdown: bool, lang: Lang) -> str:
    return link(text or _said(part, "title") or say("parts.link", lang), _said(part, "url"), markdown=markdown)


def _location(part: Part, text: str, lang: Lang) -> str:
    place = ", ".join(filter(None, (text or _said(part, "name"), _said(part, "address"))))
    point = ", ".join(filter(None, (_said(part, "latitude"), _said(part, "longitude"))))
    told = f"{place} ({point})" if place and point else place or point
    return f"{say('parts.location', lang)}: {told}" if told else ""


def _card(part: Part, text: str, markdown: bool) -> str:
    title = link(_said(part, "title"), _said(part, "url"), markdown=markdown)
    buttons = part.data.get("buttons")
    lines = [f"**{title}**" if markdown and title else title, text if markdown else to_plain(text)]
    lines += [_button(button, markdown) for button in (buttons if isinstance(buttons, Sequence) else ())]
    return "\n\n".join(line for line in lines if line)


def _button(button: object, markdown: bool) -> str:
    if not isinstance(button, dict):
        return ""
    return link(clean(str(button.get("title") or "")), clean(str(button.get("url") or "")), markdown=markdown)
