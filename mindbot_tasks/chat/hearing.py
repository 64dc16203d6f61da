"""What becomes of the parts of a message once its files are there: speech turns into words. Pure but for `listen`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from mindbot_tasks.core.errors import Rejected, RetryableError
from mindbot_tasks.llm.recording import PROVIDER as CONVERTER
from mindbot_tasks.model import message

log = structlog.get_logger(__name__)

Part = dict[str, Any]


def words_of(parts: Sequence[Mapping[str, Any]]) -> str:
    """All words of a message, in order; as `Message.text`."""
    return message.words_of((part["kind"], part["text"], part["data"]) for part in parts)


def to_hear(parts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether somebody has said something that nobody has understood yet."""
    return any(_is_unheard(part) for part in parts)


def hear(parts: Sequence[Part], listen: Callable[[int, str], str], *, last_try: bool) -> list[Part]:
    """The parts, with the words of what was spoken; `listen` takes the id and the media type of a file.

    Raises RetryableError, but not on the last try: then the part says why it has no words.
    """
    heard = []
    for part in parts:
        if not _is_unheard(part):
            heard.append(part)
            continue
        try:
            text = listen(int(part["data"]["file"]), str(part["data"].get("media_type", "")))
        except Rejected as exc:
            log.warning("speech_not_recognised", code=exc.code, kind=exc.kind, provider=exc.provider)
            heard.append(_mute(part, "no_codec" if exc.provider == CONVERTER else "not_recognised"))
        except RetryableError as exc:
            if not last_try:
                raise
            log.warning("speech_not_recognised", code=exc.code, kind=exc.kind, provider=exc.provider)
            heard.append(_mute(part, "not_recognised"))
        else:
            heard.append({**part, "text": text, "data": {**part["data"], "recognised": True}} if text else
                         _mute(part, "silent"))  # fmt: skip
    return heard


def _is_unheard(part: Mapping[str, Any]) -> bool:
    return part["kind"] == "voice" and not part["text"] and "file" in part["data"] and "unavailable" not in part["data"]


def _mute(part: Part, reason: str) -> Part:
    return {**part, "data": {**part["data"], "unavailable": reason}}
