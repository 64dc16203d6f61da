"""One piece of an answer as DingTalk wants it: a body for session webhooks, msgKey and msgParam for the API; pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from mindbot_tasks.core.words import say
from mindbot_tasks.model.message import Outgoing, Part
from mindbot_tasks.platforms.dingtalk import markdown
from mindbot_tasks.platforms.dingtalk.addresses import Address
from mindbot_tasks.platforms.payload import clean

MEDIA = frozenset({"image", "voice", "video", "file"})
MAX_BUTTONS = 5
_MAX_PARAM_BYTES = 13_500
_WEB = ("https://", "http://")


def special(part: Part, *, files: bool) -> Part | None:
    """The part as a message of its own: a file of ours, a card with buttons, a link with a picture; else None."""
    if part.kind in MEDIA:
        return part if files and isinstance(part.data.get("file"), int) else None
    if part.kind == "card":
        shown = _card(part)
        fits = shown is not None and len(orjson.dumps(shown)) <= _MAX_PARAM_BYTES
        return part if fits else None
    if part.kind == "link":
        has_all = _url(part, "url") and _url(part, "picture") and (part.data.get("title") or part.text)
        return part if has_all else None
    return None


def for_session(outgoing: Outgoing, address: Address) -> Mapping[str, Any]:
    """The body for a session webhook; the first piece in a group names the asker, which highlights it for them."""
    part = outgoing.part
    if part.kind == "card" and (card := _card(part)):
        title, text, buttons = card
        if len(buttons) == 1:
            action = {"singleTitle": buttons[0][0], "singleURL": buttons[0][1]}
            return {"msgtype": "actionCard", "actionCard": {"title": title, "text": text, **action}}
        btns = [{"title": name, "actionURL": url} for name, url in buttons]
        return {
            "msgtype": "actionCard",
            "actionCard": {"title": title, "text": text, "btnOrientation": "0", "btns": btns},
        }
    if part.kind == "link":
        return {"msgtype": "link", "link": _link(part)}
    text = part.text
    body: dict[str, Any] = {}
    if address.is_group and address.staff_id and outgoing.number == 0:
        text = f"@{address.staff_id} {text}" if part.kind == "text" else f"@{address.staff_id}\n\n{text}"
        body["at"] = {"atUserIds": [address.staff_id], "isAtAll": False}
    if part.kind == "text":
        return {"msgtype": "text", "text": {"content": text}, **body}
    return {"msgtype": "markdown", "markdown": {"title": _title(part), "text": text}, **body}


def for_api(part: Part) -> tuple[str, Mapping[str, str]]:
    """msgKey and msgParam of a piece that is no file."""
    if part.kind == "card" and (card := _card(part)):
        title, text, buttons = card
        if len(buttons) == 1:
            param = {"singleTitle": buttons[0][0], "singleURL": buttons[0][1]}
            return "sampleActionCard", {"title": title, "text": text, **param}
        param = {}
        for number, (name, url) in enumerate(buttons, 1):
            param |= {f"actionTitle{number}": name, f"actionURL{number}": url}
        return f"sampleActionCard{len(buttons)}", {"title": title, "text": text, **param}
    if part.kind == "link":
        return "sampleLink", _link(part)
    if part.kind == "text":
        return "sampleText", {"content": part.text}
    return "sampleMarkdown", {"title": _title(part), "text": part.text}


def for_file(part: Part, kind: str, ending: str, name: str, media_id: str, cover: str) -> tuple[str, Mapping[str, str]]:
    """msgKey and msgParam of an uploaded file; `cover`: the media id of a picture for a video."""
    if kind == "image":
        return "sampleImageMsg", {"photoURL": media_id}
    if kind == "voice":
        return "sampleAudio", {"mediaId": media_id, "duration": str(_duration_ms(part))}
    if kind == "video":
        seconds = str(max(1, _duration_ms(part) // 1000))
        return "sampleVideo", {
            "videoMediaId": media_id,
            "videoType": "mp4",
            "duration": seconds,
            "picMediaId": cover,
        }
    return "sampleFile", {"mediaId": media_id, "fileName": clean(name)[:200], "fileType": ending}


def in_words(part: Part) -> Part:
    """What is said when a file cannot be sent: its address, or that there is one."""
    name = clean(str(part.data.get("name") or part.kind))
    url = _url(part, "url")
    text = f"[{name}]({url})" if url else clean(part.text) or say("dingtalk.not_sent", "zh", name=name)
    return Part("markdown", text, {"title": markdown.title_of(text, name)})


def _card(part: Part) -> tuple[str, str, list[tuple[str, str]]] | None:
    """Title, text and one to five buttons, if it has them."""
    listed = part.data.get("buttons")
    buttons = []
    for one in listed if isinstance(listed, list) else []:
        name, url = (one.get("title"), one.get("url")) if isinstance(one, dict) else ("", "")
        if isinstance(name, str) and name.strip() and isinstance(url, str) and url.startswith(_WEB):
            buttons.append((clean(name), clean(url)))
    if not 0 < len(buttons) <= MAX_BUTTONS or len(buttons) != len(listed if isinstance(listed, list) else []):
        return None
    title = clean(str(part.data.get("title") or "")).strip() or markdown.title_of(part.text, "")
    text = clean(part.text).strip() or title
    return title, text, buttons


def _link(part: Part) -> dict[str, str]:
    title = clean(str(part.data.get("title") or part.text))
    about = clean(part.text or str(part.data.get("description") or "")) or title
    return {"title": title, "text": about, "picUrl": _url(part, "picture"), "messageUrl": _url(part, "url")}


def _url(part: Part, name: str) -> str:
    value = part.data.get(name)
    return clean(value) if isinstance(value, str) and value.startswith(_WEB) else ""


def _duration_ms(part: Part) -> int:
    value = part.data.get("duration_ms")
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 1000


def _title(part: Part) -> str:
    return str(part.data.get("title") or markdown.title_of(part.text, ""))
