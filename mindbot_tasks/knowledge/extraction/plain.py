"""Plain text in whatever encoding it comes."""

from __future__ import annotations

import re
from collections.abc import Callable

from mindbot_tasks.knowledge.extraction.base import Read, Unreadable

_LOOKED_AT = 65_536
_MARKS = frozenset("，。、；：？！“”（）《》「」『』")


def decode(content: bytes) -> str:
    """The text. UTF-8 and UTF-16 are recognised for sure, everything else by how likely it is. Raises Unreadable."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\x00" not in content[:_LOOKED_AT]:  # UTF-16 of Latin letters is valid UTF-8, too
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            pass
    unmarked = _as_utf16(content[:_LOOKED_AT])
    if unmarked:
        return content.decode(unmarked, "replace")
    if b"\x00" in content[:_LOOKED_AT]:
        raise Unreadable("this is no text")
    chinese = _as_chinese(content)
    if chinese is not None:
        return chinese
    from charset_normalizer import from_bytes

    best = from_bytes(content[:_LOOKED_AT]).best()
    return content.decode(best.encoding if best is not None else "latin-1", "replace")


def _as_utf16(content: bytes) -> str:
    """The byte order of UTF-16 without its mark; "" if it is something else."""
    content = content[: len(content) // 2 * 2]
    shares = {order: _share_of_usual(content, order) for order in ("utf-16-le", "utf-16-be")}
    best = max(shares, key=shares.__getitem__)
    return best if shares[best] > 0.9 else ""


def _share_of_usual(content: bytes, order: str) -> float:
    """Of everyday characters and line ends; Chinese alone holds no zero, so at least one such sign has to be there."""
    text = content.decode(order, "replace")
    if not any(sign in text for sign in (" ", "\n", "，", "。", "、", ",")):
        return 0.0
    usual = sum(1 for char in text if " " <= char <= "\u024f" or char in "\r\n\t" or _is_wide(char))
    return usual / max(len(text), 1) if _is_more_than_bytes(content, text) else 0.0


def _is_wide(char: str) -> bool:
    return "\u4e00" <= char <= "\u9fff" or "\u3000" <= char <= "\u30ff" or "\uff00" <= char <= "\uffef"


def _is_more_than_bytes(content: bytes, text: str) -> bool:
    """Two letters of ASCII read as one Chinese character: then there are none of the zeros that UTF-16 is full of."""
    plain = sum(1 for char in text if char < "\u0100")
    return plain > 0 and content.count(0) >= plain


def _as_chinese(content: bytes) -> str | None:
    """GB18030 and Big5 read nearly anything; meant is the one by which mostly everyday characters come out."""
    shares = {"gb18030": _share_of_everyday(content, "gb18030", _is_level_1), "big5": 0.0}
    shares["big5"] = _share_of_everyday(content, "cp950", _is_frequent_big5)
    best = max(shares, key=shares.__getitem__)  # between equals the first
    if shares[best] <= 0.85:
        return None
    return content.decode("gb18030" if best == "gb18030" else "cp950")


def _share_of_everyday(content: bytes, encoding: str, is_everyday: Callable[[bytes], bool]) -> float:
    try:
        text = content.decode(encoding)[:_LOOKED_AT]
    except UnicodeDecodeError:
        return 0.0
    beyond = [char for char in text if ord(char) > 127]
    usual = sum(1 for char in beyond if char in _MARKS or is_everyday(char.encode(encoding)))
    return usual / len(beyond) if beyond else 0.0


def _is_level_1(char: bytes) -> bool:
    """The 3,755 everyday characters of GB 2312 lie at B0 to D7 in the first byte."""
    return len(char) == 2 and 0xB0 <= char[0] <= 0xD7 and char[1] >= 0xA1


def _is_frequent_big5(char: bytes) -> bool:
    """The 5,401 of Big5 lie at A4 to C6."""
    return len(char) == 2 and 0xA4 <= char[0] <= 0xC6


def read(content: bytes, found: Read, kind: str) -> None:
    """Paragraphs between empty lines."""
    for paragraph in re.split(r"\n\s*\n", decode(content).replace("\r\n", "\n").replace("\r", "\n")):
        found.add(paragraph)
