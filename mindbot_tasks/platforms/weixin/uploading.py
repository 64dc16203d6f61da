"""Which files the API takes, and as what; pure. WeCom docs, 2026-11-20."""

from __future__ import annotations

from collections.abc import Mapping

_MIN_BYTES = 5
_MAX_FILE_BYTES = 20_000_000
#: kind -> media types and the most bytes
_KINDS: Mapping[str, tuple[frozenset[str], int]] = {
    "image": (frozenset({"image/jpeg", "image/png"}), 10_000_000),
    "voice": (frozenset({"audio/amr", "audio/amr-nb"}), 2_000_000),
    "video": (frozenset({"video/mp4"}), 10_000_000),
}


def upload_kind(kind: str, size: int, media_type: str) -> str | None:
    """The kind to upload a file as: its own if it fits, else "file"; None if it is not taken at all."""
    if not _MIN_BYTES < size <= _MAX_FILE_BYTES:
        return None
    types, most = _KINDS.get(kind, (frozenset[str](), 0))
    return kind if media_type.lower() in types and size <= most else "file"
