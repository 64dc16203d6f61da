"""Markdown: headings, tables, code and paragraphs, told apart by their lines."""

from __future__ import annotations

import re

from mindbot_tasks.knowledge.extraction.base import Read, heading_path
from mindbot_tasks.knowledge.extraction.plain import decode

_HEADING = re.compile(r"^ {0,3}(#{1,6})[ \t]+(.+?)[ \t#]*$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-{2,})[ \t]*$")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})")
_LINK = re.compile(r"!?\[([^\]\n]{0,300})\]\([^)\n]{0,500}\)")


def read(content: bytes, found: Read, kind: str) -> None:
    """Blocks under their headings."""
    path: tuple[str, ...] = ()
    waiting: list[str] = []
    waiting_kind = "text"
    fence = ""

    def flush() -> None:
        nonlocal waiting
        text = "\n".join(waiting)
        found.add(text if waiting_kind == "code" else _LINK.sub(r"\1", text), path, kind=waiting_kind)
        waiting = []

    lines = decode(content).replace("\r\n", "\n").split("\n")
    if lines and lines[0].strip() == "---" and "---" in (line.strip() for line in lines[1:40]):
        lines = lines[[line.strip() for line in lines].index("---", 1) + 1 :]
    for line in lines:
        if fence:
            if line.strip().startswith(fence):
                fence = ""
                flush()
                waiting_kind = "text"
            else:
                waiting.append(line)
            continue
        if opening := _FENCE.match(line):
            flush()
            fence, waiting_kind = opening[1], "code"
            continue
        if heading := _HEADING.match(line):
            flush()
            text = _LINK.sub(r"\1", heading[2])
            path = heading_path(path, len(heading[1]), text)
            found.title = found.title or text[:300]
            waiting_kind = "text"
            continue
        if waiting_kind == "text" and len(waiting) == 1 and (rule := _UNDERLINE.match(line)):
            text = _LINK.sub(r"\1", waiting.pop().strip())
            path = heading_path(path, 1 if rule[1][0] == "=" else 2, text)
            found.title = found.title or text[:300]
            continue
        is_row = line.lstrip().startswith("|")
        if not line.strip() or is_row != (waiting_kind == "table"):
            flush()
            waiting_kind = "table" if is_row else "text"
        if line.strip():
            waiting.append(line)
    flush()
