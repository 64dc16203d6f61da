"""HTML by Python's own tolerant parser: no scripts, no styles, no navigation."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from mindbot_tasks.knowledge.extraction.base import Read, heading_path
from mindbot_tasks.knowledge.extraction.plain import decode

_SKIPPED = frozenset({"script", "style", "noscript", "template", "nav", "svg", "head", "form", "button", "iframe"})
_BLOCK_NAMES = "p div section article main li ul ol dl dt dd blockquote table tr pre header footer aside figure br hr"
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CHARSET = re.compile(rb"<meta[^>]{0,200}charset=[\"']?([a-zA-Z0-9_-]{2,30})", re.I)


def text_of(content: bytes) -> str:
    """The page as text of characters, by what it says of itself, else by looking."""
    named = _CHARSET.search(content[:4096])
    if named:
        try:
            return content.decode(named[1].decode().lower().replace("gb2312", "gb18030"))
        except (LookupError, UnicodeDecodeError):
            pass
    return decode(content)


def read(content: bytes, found: Read, kind: str) -> None:
    """Blocks under their headings."""
    _Page(found).run(text_of(content))


def read_into(text: str, found: Read, path: tuple[str, ...] = ()) -> None:
    """For a page within a book."""
    _Page(found, path).run(text)


class _Page(HTMLParser):
    def __init__(self, found: Read, path: tuple[str, ...] = ()) -> None:
        super().__init__(convert_charrefs=True)
        self._found = found
        self._base = path
        self._path = path
        self._skipping: list[str] = []
        self._heading = 0
        self._words: list[str] = []
        self._rows: list[list[str]] | None = None
        self._pre = False
        self._in_title = False

    def run(self, text: str) -> None:
        self.feed(text)
        self.close()
        self._flush()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = True
        if tag in _SKIPPED:
            self._skipping.append(tag)
        elif tag in _HEADINGS:
            self._flush()
            self._heading = _HEADINGS[tag]
        elif tag == "table":
            self._flush()
            self._rows = []
        elif tag == "tr" and self._rows is not None:
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._words = []
        elif tag in _BLOCKS and self._rows is None:
            if tag == "pre":
                self._flush()
                self._pre = True
            elif tag == "br":
                self._words.append("\n")
            elif not self._pre:
                self._flush()

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        if tag in _SKIPPED:
            if tag in self._skipping:
                del self._skipping[self._skipping.index(tag) :]
        elif tag in _HEADINGS and self._heading:
            words = " ".join("".join(self._words).split())
            self._words = []
            if words:
                self._path = (*self._base, *heading_path(self._path[len(self._base) :], self._heading, words))
                self._found.title = self._found.title or words[:300]
            self._heading = 0
        elif tag in ("td", "th") and self._rows:
            self._rows[-1].append(" ".join("".join(self._words).split()))
            self._words = []
        elif tag == "table" and self._rows is not None:
            rows = [" | ".join(row) for row in self._rows if any(row)]
            self._rows = None
            self._found.add("\n".join(rows), self._path, kind="table")
        elif tag in _BLOCKS and self._rows is None and (tag == "pre" or not self._pre):
            self._flush()
            self._pre = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self._found.title = self._found.title or " ".join(data.split())[:300]
        elif not self._skipping:
            self._words.append(data)

    def _flush(self) -> None:
        text = "".join(self._words)
        self._words = []
        if not self._pre:
            text = "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())
        self._found.add(text, self._path, kind="code" if self._pre else "text")
