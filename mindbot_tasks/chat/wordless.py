"""What to answer to a message without words that anybody can answer. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mindbot_tasks.chat.attachments import losses, unseen
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.answer import Answer


def answer_to(parts: Sequence[Mapping[str, Any]], language: Lang, *, max_mb: int = 20) -> Answer:
    """Sentences that say what could not be read and why, or a question when there was nothing at all.

    >>> answer_to([{"kind": "image", "text": "", "data": {}}], "en").text
    'I cannot see pictures here. Please write your question.'
    """
    told = [text for text in (losses(parts, language, max_mb=max_mb), unseen(parts, language)) if text]
    if told:
        told[-1] += " " if language == "en" else ""
        told[-1] += say("attachments.please_write", language)
        return Answer(text="\n".join(told), provider="mindbot")
    unreadable = {str(part["kind"]) for part in parts} - {"text", "markdown", "mention", "quote"}
    return Answer(text=say("chat.cannot_read" if unreadable else "chat.nothing_said", language), provider="mindbot")
