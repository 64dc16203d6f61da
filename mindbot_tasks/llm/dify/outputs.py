"""What a workflow's outputs are as an answer: its text, its files, its sources. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.message import JSON, Part, PartKind

#: names that a workflow's author gives to "the answer"
_LIKELY = ("answer", "text", "output", "result", "content", "response", "markdown", "body")
_KINDS: dict[str, PartKind] = {"image": "image", "audio": "voice", "video": "video"}
_MOST_FILES = 50
_MOST_DEPTH = 4
_MOST_CITATIONS = 20
# tools write pictures into the text under addresses that only Dify's own pages can resolve
_OWN_LINK = re.compile(r"(!?)\[([^\]\n]*)\]\((/files/[^\s)]+)\)")


def is_file(value: Any) -> bool:
    """Whether a value among the outputs is a file."""
    if not isinstance(value, dict) or not ("mime_type" in value or "transfer_method" in value):
        return False
    return bool(isinstance(value.get("url"), str) and value["url"]) or bool(
        isinstance(value.get("remote_url"), str) and value["remote_url"]
    )


def files_in(value: Any, depth: int = 0) -> list[dict[str, Any]]:
    """Files among the outputs, alone or in lists."""
    if is_file(value):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list) or depth >= _MOST_DEPTH:
        return []
    found: list[dict[str, Any]] = []
    for item in value[:100]:
        found += files_in(item, depth + 1)
    return found[:_MOST_FILES]


def text_of(outputs: Any, key: str = "") -> str:
    """The answer among the outputs: the one of this name, else one with a likely name, else all that is there.

    >>> text_of({"usage": {}, "Result": "yes"}), text_of({"a": "one", "b": [1]}), text_of({"a": "one"}, "b")
    ('yes', 'a: one\\nb: [1]', 'one')
    """
    if not isinstance(outputs, dict):
        return outputs if isinstance(outputs, str) else ""
    if key and (text := _said(outputs.get(key))):
        return text
    by_name = {str(name).casefold(): value for name, value in outputs.items()}
    for name in _LIKELY:
        if isinstance(by_name.get(name), str) and by_name[name].strip():
            return str(by_name[name])
    told = {str(name): said for name, value in outputs.items() if (said := _said(value))}
    if len(told) == 1:
        return next(iter(told.values()))
    return "\n".join(f"{name}: {said}" for name, said in told.items())


def _said(value: Any) -> str:
    """A value in words; files are none."""
    if value is None or is_file(value) or value in ("", [], {}):
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(is_file(each) for each in value):
        return ""
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, UnicodeDecodeError):
        return ""


def made_file(found: Mapping[str, Any], base: str) -> Part:
    """A file that the app made, as a part of the answer; a self-hosted Dify gives addresses without its own."""
    url = urljoin(f"{base}/", str(found.get("url") or found.get("remote_url") or ""))
    name = found.get("filename") or found.get("name") or urlsplit(url).path.rpartition("/")[2]
    return Part(_KINDS.get(str(found.get("type")), "file"), data={"url": url, "name": str(name)[:255]})


def without_own_links(text: str) -> tuple[str, list[dict[str, Any]]]:
    """The text without links that lead nowhere outside Dify, and the files they stood for.

    >>> without_own_links("see ![cat](/files/tools/1.png?sign=x)")
    ('see cat', [{'url': '/files/tools/1.png?sign=x', 'type': 'image'}])
    """
    if "](/files/" not in text:
        return text, []
    found: list[dict[str, Any]] = []

    def taken(link: re.Match[str]) -> str:
        if len(found) >= _MOST_FILES:
            return link[0]
        found.append({"url": link[3], "type": "image" if link[1] else "document"})
        return link[2]

    return _OWN_LINK.sub(taken, text), found


def citation(found: Mapping[str, Any]) -> dict[str, JSON]:
    """What is kept of one source; its content stays with Dify."""
    kept: dict[str, JSON] = {}
    for key in ("position", "document_name", "score", "dataset_name", "document_id", "segment_id"):
        value = found.get(key)
        if isinstance(value, str | int | float):
            kept[key] = value[:300] if isinstance(value, str) else value
    return kept


def sources(citations: Sequence[Mapping[str, Any]], lang: Lang) -> str:
    """The documents behind an answer, each once, as lines under it; "" without any."""
    names = dict.fromkeys(
        " ".join(str(part) for part in (each.get("document_name"), _of(each.get("dataset_name"))) if part)
        for each in citations[:_MOST_CITATIONS]
    )
    lines = [f"{number}. {name}" for number, name in enumerate((name for name in names if name), 1)]
    return "\n".join([say("dify.sources", lang), *lines]) if lines else ""


def _of(dataset: Any) -> str:
    return f"({dataset})" if dataset else ""
