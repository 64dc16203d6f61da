"""Files to and from a Dify app: what came with the question is uploaded, what the app made is kept.

Dify's OpenAPI 1.0.0, read 2026-11-20.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urljoin, urlsplit

import structlog
from pydantic import SecretStr

from mindbot_tasks.core import multipart
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.download import open_url
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError, Unavailable
from mindbot_tasks.core.http import PUBLIC, Http, get_http, refuse
from mindbot_tasks.llm.attachments import told
from mindbot_tasks.llm.base import Attachment, Question
from mindbot_tasks.model.message import JSON, Part, PartKind
from mindbot_tasks.stores import files

log = structlog.get_logger(__name__)

#: Dify's own limit for documents; the one for pictures is lower, and then it says so
MOST_UPLOAD_BYTES = 15_000_000
_KEEP_S = 20.0
_REMEMBERED_S = 600.0
_TYPES = {"image": "image", "file": "document", "voice": "audio", "video": "video"}
_KINDS: dict[str, PartKind] = {"image": "image", "audio": "voice", "video": "video"}

_wanted: dict[tuple[str, str], tuple[float, frozenset[str]]] = {}
"""(address, digest of the key) -> until when, and what kinds of files the app wants."""


@dataclass(frozen=True, slots=True)
class Uploads:
    """Uploads to one app."""

    name: str
    base: str  #: ".../v1"
    api_key: SecretStr
    http: Http

    def upload(self, question: Question, deadline: Deadline) -> tuple[Question, list[dict[str, Any]]]:
        """The question in words that name the files which the app does not want, and the references to the others.

        Raises Rejected, Throttled or Unavailable, but not for a single file that Dify refuses.
        """
        references, seen = [], []
        if any(attachment.content for attachment in question.attachments):
            wanted = self._wants(question.user_key, deadline)
            for attachment in question.attachments:
                kind = _TYPES.get(attachment.kind, "")
                if attachment.content and kind in wanted and (found := self._post(attachment, question, deadline)):
                    references.append({"type": kind, "transfer_method": "local_file", "upload_file_id": found})
                    seen.append(attachment)
        return replace(question, text=told(question, seen)), references

    def _wants(self, user: str, deadline: Deadline) -> frozenset[str]:
        key = (self.base, hashlib.sha256(self.api_key.get_secret_value().encode()).hexdigest())
        until, wanted = _wanted.get(key, (0.0, frozenset()))
        if until > time.monotonic():
            return wanted
        response = self.http.request(
            "GET",
            f"{self.base}/parameters",
            params={"user": user},
            deadline=deadline,
            provider=self.name,
            headers=self._headers(),
        )
        if not response.ok:
            refuse(response)
        wanted = wanted_types(response.json())
        if len(_wanted) > 1000:
            _wanted.clear()
        _wanted[key] = (time.monotonic() + _REMEMBERED_S, wanted)
        return wanted

    def _post(self, attachment: Attachment, question: Question, deadline: Deadline) -> str:
        """The id of the uploaded file; "" if Dify does not take it."""
        body, content_type = multipart.encode(
            {"user": question.user_key},
            field="file",
            name=attachment.name or f"file.{attachment.media_type.rpartition('/')[2]}",
            content=attachment.content or b"",
            media_type=attachment.media_type,
        )
        response = self.http.request(
            "POST",
            f"{self.base}/files/upload",
            deadline=deadline,
            provider=self.name,
            headers={**self._headers(), "Content-Type": content_type},
            body=body,
        )
        if response.status in (400, 413, 415):
            log.info("dify_refused_file", answerer=self.name, status=response.status, media_type=attachment.media_type)
            return ""
        if not response.ok:
            refuse(response)
        found = response.json()
        if not isinstance(found, dict) or not isinstance(found.get("id"), str):
            raise Unavailable("the upload's answer has no id", kind="protocol", provider=self.name)
        return str(found["id"])

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.api_key.get_secret_value()}"}


def wanted_types(parameters: Any) -> frozenset[str]:
    """The kinds of files that an app wants, from its /parameters; older versions only know pictures."""
    upload = parameters.get("file_upload") if isinstance(parameters, dict) else None
    if not isinstance(upload, dict):
        return frozenset()
    kinds: set[str] = set()
    if upload.get("enabled"):
        listed = upload.get("allowed_file_types")
        kinds |= {str(kind) for kind in listed} if isinstance(listed, list) and listed else {"image"}
    pictures = upload.get("image")
    if isinstance(pictures, dict) and pictures.get("enabled"):
        kinds.add("image")
    return frozenset(kinds)


def made_file(found: Mapping[str, Any], base: str) -> Part:
    """A file that the app made, as a part of the answer; a self-hosted Dify gives addresses without its own."""
    url = urljoin(f"{base}/", str(found.get("url") or found.get("remote_url") or ""))
    name = found.get("filename") or found.get("name") or urlsplit(url).path.rpartition("/")[2]
    return Part(_KINDS.get(str(found.get("type")), "file"), data={"url": url, "name": str(name)[:255]})


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
