"""Files beside a question: which of them a model can look at, and what it is told about the others. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import replace

from mindbot_tasks.core.words import say
from mindbot_tasks.llm.base import Attachment, Question

#: what vision models take; bigger ones are refused by most servers
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
MOST_PICTURE_BYTES = 10_000_000

# Only a guess, for configurations that do not say `vision`; the words that names of such models have in common.
_SEES = re.compile(
    r"(?:^|[-_./:])(?:vl|vision|omni|llava|pixtral|multimodal)|\dv(?:$|[-_.:])"
    r"|^(?:[\w.-]+/)?(?:gpt-(?:4o|4\.1|[5-9])|o[3-9](?:$|-)|claude-|gemini-|gemma-?[3-9]|llama-?4|minicpm-v)",
    re.IGNORECASE,
)


def seems_to_see(model: str) -> bool:
    """Whether a model of this name probably takes pictures.

    >>> seems_to_see("qwen3-vl-plus"), seems_to_see("glm-4.6v"), seems_to_see("deepseek-chat")
    (True, True, False)
    """
    return _SEES.search(model) is not None


def is_picture(attachment: Attachment) -> bool:
    """Whether a vision model can look at it."""
    return attachment.media_type in PICTURES and attachment.size <= MOST_PICTURE_BYTES


def in_base64(attachment: Attachment) -> str:
    return base64.b64encode(attachment.content or b"").decode()


def without_contents(question: Question) -> Question:
    """The same question for somebody who gets to see none of the files; itself if there is nothing to see."""
    if not any(attachment.content for attachment in question.attachments):
        return question
    return replace(question, attachments=tuple(replace(each, content=None) for each in question.attachments))


def told(question: Question, seen: Iterable[Attachment] = ()) -> str:
    """The words of a question, and an honest line for each file that whoever answers does not get to see."""
    shown = {attachment.file_id for attachment in seen}
    lines = [question.text] if question.text else []
    for attachment in question.attachments:
        if attachment.file_id not in shown:
            # a name is the asker's, and must not end the line that speaks for us
            name = re.sub(r"[\[\]\s]+", " ", attachment.name).strip()[:100] or attachment.media_type
            lines.append(say(f"attachments.for_model_{attachment.kind}", question.language, name=name))
    return "\n\n".join(lines) or say("attachments.no_words", question.language)


def divided(question: Question, sees: bool) -> tuple[str, list[Attachment]]:
    """The words for a model, and the pictures that go along with them."""
    if not question.attachments:
        return question.prompt, []
    seen = [attachment for attachment in question.attachments if sees and attachment.content and is_picture(attachment)]
    words = told(question, seen)
    return (f"{question.knowledge}\n\n{words}" if question.knowledge else words), seen
