"""Files to and from a Dify app: what came with the question is uploaded, what the app made is kept.

Dify's OpenAPI 1.0.0, read 2026-11-20.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import structlog

from mindbot_tasks.core import multipart
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.download import open_url
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError, Unavailable
from mindbot_tasks.core.http import PUBLIC, get_http
from mindbot_tasks.llm.attachments import told
from mindbot_tasks.llm.base import Attachment, Question
from mindbot_tasks.llm.dify import modes
from mindbot_tasks.llm.dify.client import Client
from mindbot_tasks.llm.dify.errors import raise_error
from mindbot_tasks.llm.dify.inputs import DEFAULT_LIMITS
from mindbot_tasks.model.message import JSON, Part
from mindbot_tasks.stores import files

log = structlog.get_logger(__name__)

_KEEP_S = 20.0
_TYPES = {"image": "image", "file": "document", "voice": "audio", "video": "video"}


def may_take(attachment: Attachment) -> bool:
    """Whether an app could want it; which types and sizes it does want is known when it is asked."""
    return attachment.size <= DEFAULT_LIMITS.get(_TYPES.get(attachment.kind, ""), 0)


@dataclass(frozen=True, slots=True)
class Uploads:
    """Uploads to one app."""

    client: Client

    def upload(self, question: Question, deadline: Deadline) -> tuple[Question, list[dict[str, Any]]]:
        """The question in words that name the files which the app does not want, and the references to the others.

        Raises Rejected, Throttled or Unavailable, but not for a single file that Dify refuses.
        """
        references: list[dict[str, Any]] = []
        seen = []
        if any(attachment.content for attachment in question.attachments):
            wanted = modes.parameters(self.client, question.user_key, deadline)
            types = wanted.every_type
            for attachment in question.attachments:
                kind = _TYPES.get(attachment.kind, "")
                if not attachment.content or kind not in types or len(references) >= wanted.most_files:
                    continue
                if len(attachment.content) > wanted.limits.get(kind, 0):
                    log.info("dify_file_too_large", answerer=self.client.name, type=kind)
                    continue
                if found := self._post(attachment, question, deadline):
                    references.append({"type": kind, "transfer_method": "local_file", "upload_file_id": found})
                    seen.append(attachment)
        return replace(question, text=told(question, seen)), references

    def _post(self, attachment: Attachment, question: Question, deadline: Deadline) -> str:
        """The id of the uploaded file; "" if Dify does not take it."""
        client = self.client
        body, content_type = multipart.encode(
            {"user": question.user_key},
            field="file",
            name=attachment.name or f"file.{attachment.media_type.rpartition('/')[2]}",
            content=attachment.content or b"",
            media_type=attachment.media_type,
        )
        response = client.http.request(
            "POST",
            f"{client.base}/files/upload",
            deadline=deadline,
            provider=client.name,
            headers={**client.headers, "Content-Type": content_type},
            body=body,
        )
        if response.status in (400, 413, 415):
            log.info(
                "dify_refused_file", answerer=client.name, status=response.status, media_type=attachment.media_type
            )
            return ""
        if not response.ok:
            raise_error(response)
        found = response.json()
        if not isinstance(found, dict) or not isinstance(found.get("id"), str):
            raise Unavailable("the upload's answer has no id", kind="protocol", provider=client.name)
        return str(found["id"])


def keep(parts: Sequence[Part], base: str, message_id: int, provider: str, deadline: Deadline) -> list[Part]:
    """The files of an answer, in the file store, so that they can be sent; one that cannot be had stays a link."""
    kept = []
    ours = urlsplit(base)[:2]
    deadline = deadline.within(_KEEP_S)
    for number, part in enumerate(parts):
        url = str(part.data["url"])
        # the operator's own Dify may be on a private address; where the app points to otherwise is anybody's idea
        http = get_http() if urlsplit(url)[:2] == ours else get_http(PUBLIC)
        try:
            with open_url(http, url, deadline, provider=provider) as media:
                name = str(part.data["name"])
                stored = files.save(media.chunks, name=name, message_id=message_id, part=1000 + number)
        except (FarSideError, DatabaseUnavailable) as exc:
            log.warning("answer_file_not_kept", answerer=provider, error=str(exc))
            kept.append(part)
            continue
        about: dict[str, JSON] = {"file": stored.file_id, "media_type": stored.media_type, "size": stored.size}
        kept.append(replace(part, data={**part.data, **about}))
    return kept
