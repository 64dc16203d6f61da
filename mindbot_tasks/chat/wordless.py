"""What to answer to a message without words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.answer import Answer


def answer_to(parts: Iterable[Mapping[str, object]], language: Lang) -> Answer:
    """A sentence that names what could not be read, or asks what is wanted when there was nothing at all.

    >>> answer_to([{"kind": "image"}], "en").text
    'I can only read text so far, and there was none in your message (image). Please write your question.'
    """
    kinds = sorted({str(part["kind"]) for part in parts} - {"text", "markdown", "mention", "quote"})
    text = say("chat.cannot_read", language, kinds=", ".join(kinds)) if kinds else say("chat.nothing_said", language)
    return Answer(text=text, provider="mindbot")
