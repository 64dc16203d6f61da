"""Gets the bytes of the files that somebody who may answer can look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from mindbot_tasks.core.errors import Rejected
from mindbot_tasks.llm.base import Answerer, Attachment, Question, TakesAttachments
from mindbot_tasks.stores import files

log = structlog.get_logger(__name__)

#: of all files of one question together; they are held in memory while it is answered
MOST_BYTES = 25_000_000


def with_contents(question: Question, answerers: Sequence[Answerer]) -> Question:
    """The question with the bytes of all files that at least one of these takes.

    A file that is gone stays without. Raises Unavailable when the file store is away, and DatabaseUnavailable.
    """
    lookers = [answerer for answerer in answerers if isinstance(answerer, TakesAttachments)]
    left = MOST_BYTES
    loaded = []
    for attachment in question.attachments:
        if attachment.size <= left and any(looker.takes(attachment) for looker in lookers):
            attachment = _loaded(attachment)
            left -= attachment.size if attachment.content else 0
        loaded.append(attachment)
    return replace(question, attachments=tuple(loaded))


def _loaded(attachment: Attachment) -> Attachment:
    try:
        return replace(attachment, content=files.find(attachment.file_id).read())
    except Rejected as exc:
        log.warning("file_gone", file_id=attachment.file_id, reason=str(exc))
        return attachment
