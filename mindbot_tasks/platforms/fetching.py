"""Bringing the files of a message into the file store; what cannot be had is noted in its part, with the reason."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, RetryableError
from mindbot_tasks.model.message import JSON, Part
from mindbot_tasks.platforms.base import HoldsMedia, Platform
from mindbot_tasks.platforms.parts import MEDIA
from mindbot_tasks.stores import files
from mindbot_tasks.stores.files import FileRefused, Stored

log = structlog.get_logger(__name__)

#: more files of one message than this are not fetched
MOST_FILES = 20

Parts = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Fetched:
    """The parts of a message as far as they could be brought in."""

    parts: list[dict[str, Any]]
    failure: RetryableError | None  #: the first that may go away


def brings_files(parts: Parts) -> bool:
    """Whether there is anything to fetch; speech that the platform has recognised is not."""
    return any(_is_wanted(part) for part in parts)


def fetch(
    platform: Platform,
    parts: Parts,
    address: Mapping[str, JSON],
    deadline: Deadline,
    *,
    message_id: int,
    known: Callable[[], Mapping[int, Stored]],
    last_try: bool,
) -> Fetched:
    """Store every file of a message. Raises only a Stopped or DatabaseUnavailable: failures are in the result.

    `known` tells what an earlier try has stored. On the last try a failure that may go away counts like any other.
    """
    stored = known()
    failure: RetryableError | None = None
    brought: list[dict[str, Any]] = []
    count = 0
    for number, raw in enumerate(parts):
        part = dict(raw)
        brought.append(part)
        if not _is_wanted(part) or not isinstance(platform, HoldsMedia):
            continue
        count += 1
        if count > MOST_FILES:
            part["data"] = _without_content(part) | {"unavailable": "too_many"}
            continue
        try:
            file = stored.get(number) or _store(platform, part, address, deadline, message_id, number)
        except Rejected as exc:
            part["data"] = _without_content(part) | {"unavailable": _reason(exc)}
            log.info("file_not_taken", part=number, reason=_reason(exc), kind=exc.kind, code=exc.code)
        except RetryableError as exc:
            log.warning("file_not_fetched", part=number, error=str(exc), kind=exc.kind, last_try=last_try)
            if exc.code == "too_big":
                part["data"] = _without_content(part) | {"unavailable": "too_big"}
            elif last_try:
                part["data"] = _without_content(part) | {"unavailable": "unreachable"}
            else:
                failure = failure or exc
        else:
            part["data"] = _without_content(part) | {
                "file": file.file_id,
                "media_type": file.media_type,
                "size": file.size,
                "name": file.name,
            }
    return Fetched(brought, failure)


def _is_wanted(part: Mapping[str, Any]) -> bool:
    if part["kind"] not in MEDIA or (part["kind"] == "voice" and part["text"]):
        return False
    return not part["data"].keys() & {"file", "unavailable"}


def _store(
    platform: HoldsMedia,
    part: Mapping[str, Any],
    address: Mapping[str, JSON],
    deadline: Deadline,
    message_id: int,
    number: int,
) -> Stored:
    with platform.open_media(Part(part["kind"], part["text"], part["data"]), address, deadline) as media:
        name = str(part["data"].get("name") or media.name)
        return files.save(media.chunks, name=name, message_id=message_id, part=number)


def _without_content(part: Mapping[str, Any]) -> dict[str, Any]:
    """Bytes that came along in the call itself need no second place."""
    return {name: value for name, value in part["data"].items() if name != "content"}


def _reason(exc: Rejected) -> str:
    """A key of `core/words_attachments.py`."""
    if isinstance(exc, FileRefused):
        return exc.code or "refused"
    return "gone" if exc.kind in ("not_found", "expired") else "refused"
