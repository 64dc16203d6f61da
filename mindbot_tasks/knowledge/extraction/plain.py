"""Plain text in whatever encoding it comes."""

from __future__ import annotations

import re

from mindbot_tasks.knowledge.extraction.base import Read, Unreadable

_LOOKED_AT = 65_536


def decode(content: bytes) -> str:
    """The text. UTF-8 and UTF-16 are recognised for sure, everything else by how likely it is. Raises Unreadable."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if b"\x00" in content[:_LOOKED_AT]:
        raise Unreadable("this is no text")
    chinese = _as_chinese(content)
    if chinese is not None:
        return chinese
    from charset_normalizer import from_bytes

    best = from_bytes(content[:_LOOKED_AT]).best()
    return content.decode(best.encoding if best is not None else "latin-1", "replace")


def _as_chinese(content: bytes) -> str | None:
    """GB18030 reads nearly anything; it was meant when mostly everyday characters come out."""
    try:
        text = content.decode("gb18030")
    except UnicodeDecodeError:
        return None
    beyond = [char for char in text[:_LOOKED_AT] if ord(char) > 127]
    # the 3,755 everyday characters of GB 2312 lie at B0 to D7 in the first byte
    usual = sum(1 for char in beyond if 0xB0 <= char.encode("gb18030")[0] <= 0xD7 or char in "，。、；：？！“”（）《》")
    return text if beyond and usual / len(beyond) > 0.85 else None


def read(content: bytes, found: Read, kind: str) -> None:
    """Paragraphs between empty lines."""
    for paragraph in re.split(r"\n\s*\n", decode(content).replace("\r\n", "\n").replace("\r", "\n")):
        found.add(paragraph)
