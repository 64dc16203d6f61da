"""Bodies of file uploads (multipart/form-data)."""

from __future__ import annotations

from collections.abc import Mapping

from urllib3.filepost import encode_multipart_formdata


def encode(fields: Mapping[str, str], *, field: str, name: str, content: bytes, media_type: str) -> tuple[bytes, str]:
    """A body with plain fields and one file, and its Content-Type."""
    # a name from outside must not end its header
    name = "".join(letter for letter in name if letter.isprintable() and letter not in '"\\') or "file"
    body, content_type = encode_multipart_formdata({**fields, field: (name, content, media_type)})
    return body, content_type
