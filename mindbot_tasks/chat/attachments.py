"""The files of a message: what goes along with the question, and what the asker is told about the rest. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm.base import Attachment
from mindbot_tasks.platforms.parts import MEDIA

_CANNOT = {"image": "cannot_see", "voice": "cannot_hear", "video": "cannot_watch", "file": "cannot_read"}
_REASONS = frozenset(
    {"too_big", "type", "empty", "gone", "refused", "unreachable", "too_many", "not_recognised", "no_codec", "silent"}
)


def attachments_of(parts: Iterable[Mapping[str, Any]]) -> tuple[Attachment, ...]:
    """The files that are in the store; not the speech that has become words, nor what stayed silent."""
    return tuple(
        Attachment(
            kind="image" if str(part["data"].get("media_type", "")).startswith("image/") else part["kind"],
            name=str(part["data"].get("name") or ""),
            media_type=str(part["data"].get("media_type") or ""),
            size=int(part["data"].get("size") or 0),
            file_id=int(part["data"]["file"]),
        )
        for part in parts
        if part["kind"] in MEDIA
        and "file" in part["data"]
        and "unavailable" not in part["data"]
        and not (part["kind"] == "voice" and part["text"])
    )


def losses(parts: Iterable[Mapping[str, Any]], language: Lang, *, max_mb: int) -> str:
    """A sentence for each file that could not be had; "" if all is well."""
    sentences = []
    for part in parts:
        why = part["data"].get("unavailable")
        if part["kind"] in MEDIA and why:
            name = str(part["data"].get("name") or "") or say(f"attachments.nameless_{part['kind']}", language)
            reason = say(f"attachments.why_{why if why in _REASONS else 'refused'}", language, max_mb=max_mb)
            sentences.append(say("attachments.lost", language, name=name, why=reason))
    return "\n".join(dict.fromkeys(sentences))


def unseen(parts: Sequence[Mapping[str, Any]], language: Lang) -> str:
    """What kinds of things nobody here can look at; "" if there are none."""
    kinds = {part["kind"] for part in parts if part["kind"] in MEDIA and not part["data"].get("unavailable")}
    return " ".join(say(f"attachments.{words}", language) for kind, words in _CANNOT.items() if kind in kinds)
