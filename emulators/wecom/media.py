"""Files up and down. Errors of a download come as JSON where bytes were expected. WeCom docs, 2026-11-20."""

from __future__ import annotations

import base64
import itertools
import re
from dataclasses import dataclass
from typing import Any

from emulators.answers import Answer, Call
from emulators.front import Front
from emulators.wecom.api import PREFIX, Api

LIFETIME_S = 3 * 86_400
_MIN_BYTES = 5
_MOST = {"image": 10_000_000, "voice": 2_000_000, "video": 10_000_000, "file": 20_000_000}
_BOUNDARY = re.compile(r"multipart/form-data;.*boundary=\"?([^\";]+)\"?")


@dataclass(frozen=True, slots=True)
class Kept:
    content: bytes
    name: str
    media_type: str
    ends_at: float


class Files:
    def __init__(self, api: Api) -> None:
        self._api = api
        self._numbers = itertools.count(1)
        self._kept: dict[str, Kept] = {}

    def reset(self) -> None:
        self._kept.clear()

    def upload(self, call: Call) -> Answer:
        """/cgi-bin/media/upload"""
        kind = call.query.get("type", "")
        part = _part(call)
        facts: dict[str, Any] = {"kind": kind, "bytes": len(part.content) if part else 0, "name": part and part.name}
        if refusal := self._api.refusal(call):
            return refusal
        if kind not in _MOST:
            return self._api.error(40004, facts)
        if part is None or not part.name:  # without a filename it is no file
            return self._api.error(44001, facts)
        if not _MIN_BYTES < len(part.content) <= _MOST[kind]:
            return self._api.error(40006, facts)
        media_id = self._keep(part.content, part.name, part.media_type)
        created_at = str(int(self._api.now()))
        return self._api.ok({**facts, "media_id": media_id}, type=kind, media_id=media_id, created_at=created_at)

    def get(self, call: Call) -> Answer:
        """/cgi-bin/media/get"""
        media_id = call.query.get("media_id", "")
        if refusal := self._api.refusal(call):
            return refusal
        kept = self._kept.get(media_id)
        if kept is None or kept.ends_at <= self._api.now():
            return self._api.error(40007, {"media_id": media_id})
        # the name goes out as plain UTF-8, as uploads bring it
        disposition = f'attachment; filename="{kept.name}"'
        return Answer(
            body=kept.content,
            content_type=kept.media_type,
            headers={"Content-Disposition": disposition},
            facts={"media_id": media_id},
        )

    def put(self, values: dict[str, Any]) -> dict[str, str]:
        """Control: {"base64", "name", "media_type"} -> {"media_id"}, a file that a member sends."""
        try:
            content = base64.b64decode(values["base64"], validate=True)
            media_type = str(values.get("media_type", "application/octet-stream"))
            return {"media_id": self._keep(content, str(values.get("name", "file")), media_type)}
        except (KeyError, TypeError, ValueError) as exc:
            raise ValueError(f"wanted: base64, name, media_type ({exc})") from exc

    def _keep(self, content: bytes, name: str, media_type: str) -> str:
        media_id = f"media-{next(self._numbers)}"
        self._kept[media_id] = Kept(content, name, media_type, self._api.now() + LIFETIME_S)
        return media_id


def serve(front: Front, api: Api) -> None:
    files = Files(api)
    api.resets.append(files.reset)
    front.add("POST", f"{PREFIX}media/upload", files.upload)
    front.add("GET", f"{PREFIX}media/get", files.get)
    front.control("POST", "/media", files.put)


def _part(call: Call) -> Kept | None:
    """The part named "media" of a multipart body; None if there is none."""
    boundary = _BOUNDARY.match(call.headers.get("Content-Type", ""))
    if boundary is None:
        return None
    for part in call.body.split(b"--" + boundary[1].encode())[1:-1]:
        head, separator, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = head.decode(errors="replace")
        if not separator or not re.search(r'name="media"', lines):
            continue
        name = re.search(r'filename="([^"]*)"', lines)
        media_type = re.search(r"(?i)content-type:\s*([^\s;]+)", lines)
        return Kept(
            content.removesuffix(b"\r\n"),
            name[1] if name else "",
            media_type[1] if media_type else "application/octet-stream",
            0.0,
        )
    return None
