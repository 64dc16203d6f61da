"""What readers of documents share: blocks, limits and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from mindbot_tasks.core.errors import MindBotError

MAX_PAGES = 2000
MAX_CHARS = 10_000_000

#: kind -> (endings, media types)
KINDS = MappingProxyType(
    {
        "pdf": (("pdf",), ("application/pdf",)),
        "docx": (("docx",), ("application/vnd.openxmlformats-officedocument.wordprocessingml.document",)),
        "pptx": (("pptx",), ("application/vnd.openxmlformats-officedocument.presentationml.presentation",)),
        "xlsx": (("xlsx",), ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",)),
        "epub": (("epub",), ("application/epub+zip",)),
        "html": (("html", "htm", "xhtml"), ("text/html", "application/xhtml+xml")),
        "md": (("md", "markdown"), ("text/markdown",)),
        "csv": (("csv", "tsv"), ("text/csv",)),
        "txt": (("txt", "text", "log", "rst"), ("text/plain",)),
    }
)


class Unreadable(MindBotError):
    """A document that cannot be read, now or later; the words are for people."""


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, a table or a piece of code, and where it stands."""

    text: str
    headings: tuple[str, ...] = ()
    place: str = ""
    kind: Literal["text", "table", "code"] = "text"


@dataclass(slots=True)
class Read:
    """What a reader has found so far."""

    blocks: list[Block]
    title: str = ""
    note: str = ""
    chars: int = 0

    def add(self, text: str, headings: tuple[str, ...] = (), place: str = "", kind: str = "text") -> None:
        """Keep a block. Raises Unreadable when the document is too long."""
        text = text.replace("\x00", "").strip("\n")
        if not text.strip():
            return
        self.chars += len(text)
        if self.chars > MAX_CHARS:
            raise Unreadable(f"more than {MAX_CHARS:,} characters of text")
        chosen: Literal["text", "table", "code"] = "table" if kind == "table" else "code" if kind == "code" else "text"
        self.blocks.append(Block(text, headings, place, chosen))


def heading_path(path: tuple[str, ...], level: int, text: str) -> tuple[str, ...]:
    """The headings above what follows a heading of this level, counted from 1.

    >>> heading_path(("A", "B", "C"), 2, "D")
    ('A', 'D')
    """
    return (*path[: max(level - 1, 0)], " ".join(text.split())[:120])
