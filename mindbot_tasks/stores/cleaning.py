"""Making text and JSON from outside fit for a database: no NUL, no half surrogate pair, no number beyond 64 bits."""

from __future__ import annotations

from typing import Any

_LARGEST = 2**63 - 1


def clean(text: str) -> str:
    """PostgreSQL refuses NUL, and no database takes half of a surrogate pair."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def cut(text: str, length: int = 255) -> str:
    """Clean, and not longer than its column."""
    return clean(text)[:length]


def clean_json(value: Any) -> Any:
    """The same for everything inside of a JSON value; a number that is too large for the encoder becomes text."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(str(key)): clean_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(item) for item in value]
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        return str(value)
    return value
