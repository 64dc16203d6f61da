"""HTML by Python's own tolerant parser: no scripts, no styles, no navigation."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from mindbot_tasks.knowledge.extraction.base import Read, heading_path
from mindbot_tasks.knowledge.extraction.plain import decode

_SKIPPED = frozenset({"script", "style", "noscript", "template", "nav", "svg", "head", "form", "button", "iframe"})
#: what is meant for people and only looks like menus may be left open by mistake; then it is text after all
_MAY_BE_OPEN = frozenset({"nav", "form", "button", "noscript", "svg", "head", "template", "iframe"})
_EMPTY = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"})
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d])", re.I)
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
    read_into(text_of(content), found)


def read_into(text: str, found: Read, path: tuple[str, ...] = ()) -> None:
    """A page, or one within a book. What a browser would not show is not read: it is a place to hide orders in."""
    shown: frozenset[str] = frozenset()
    while True:
        page = Read([], found.title, chars=found.chars)
        left_open = _Page(page, path, shown).run(text)
        if not left_open or left_open in shown:
            break
        shown |= {left_open}
    found.blocks += page.blocks
    found.title, found.chars = page.title, page.chars


def _is_hidden(attrs: list[tuple[str, str | None]]) -> bool:
    given = dict(attrs)
    return "hidden" in given or bool(_HIDDEN.search(given.get("style") or ""))


class _Page(HTMLParser):
    def __init__(self, found: Read, path: tuple[str, ...] = (), shown: frozenset[str] = frozenset()) -> None:
        super().__init__(convert_charrefs=True)
        self._found = found
        self._base = path
        self._path = path
        self._shown = shown
        self._skipped = ""  #: the element that is passed over, and how many of its name are open
        self._depth = 0
        self._heading = 0
        self._words: list[str] = []
        self._rows: list[list[str]] | None = None
        self._pre = False
        self._in_title = False

    def run(self, text: str) -> str:
        """Returns the element that was never closed, and behind which everything was passed over."""
        self.feed(text)
        self.close()
        self._flush()
        return self._skipped if self._skipped in _MAY_BE_OPEN else ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "title":
            self._in_title = self._skipped in ("", "head")
        if self._skipped:
            self._depth += tag == self._skipped
            return
        if (tag in _SKIPPED and tag not in self._shown) or (tag not in _EMPTY and _is_hidden(attrs)):
            self._skipped, self._depth = tag, 1
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
        if self._skipped:
            self._depth -= tag == self._skipped
            if not self._depth:
                self._skipped = ""
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
        elif not self._skipped:
            self._words.append(data)

    def _flush(self) -> None:
        text = "".join(self._words)
        self._words = []
        if not self._pre:
            text = "\n".join(" ".join(line.split()) for line in text.split("\n") if line.strip())
        self._found.add(text, self._path, kind="code" if self._pre else "text")
