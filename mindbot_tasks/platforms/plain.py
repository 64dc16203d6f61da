"""Markdown as plain text, for places that do not know it, or not all of it; pure."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

# nothing of markdown does without at least one of these
_MARKED = re.compile(r"[*_`#\[\]|<>~&\\=]|^\s*(?:[-+]|\d+[.)])\s|^ {4}|^\s*-{3}", re.MULTILINE)
_BREAK = re.compile(r"[ \t]*<br[ \t]*/?>[ \t]*\n?", re.IGNORECASE)
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_HEADED_FROM = 3  #: columns; with fewer a row is one line
_BULLET = "- "


@functools.cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt  # here, because only who sends needs it, which the doors do not

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def _tree(markdown: str) -> SyntaxTreeNode:
    from markdown_it.tree import SyntaxTreeNode

    return SyntaxTreeNode(_parser().parse(markdown))


def to_plain(markdown: str) -> str:
    """The same words without marks: links become `text (url)`, tables lines, lists keep their numbers, code its form.

    >>> to_plain("**See** [the docs](https://example.com):\\n\\n1. `pip`")
    'See the docs (https://example.com):\\n\\n1. pip'
    """
    return Plain().shown(markdown)


class Plain:
    """Markdown in words. A subclass for a place that knows some of the marks says how they are written there."""

    def shown(self, markdown: str) -> str:
        """Never empty for words that are none in markdown, such as a reference that nothing refers to."""
        if not _MARKED.search(markdown):
            return markdown.strip()
        shown = self._blocks(_tree(markdown).children).strip("\n")
        return shown if shown.strip() else markdown.strip()

    def heading(self, level: int, words: str) -> str:
        return words

    def strong(self, words: str) -> str:
        return words

    def code(self, words: str) -> str:
        return words

    def link(self, words: str, url: str) -> str:
        """A link whose words are not its address."""
        return f"{words} ({url})"

    def _blocks(self, nodes: Sequence[SyntaxTreeNode], *, tight: bool = False) -> str:
        texts = [text for node in nodes if (text := self._block(node)).strip("\n")]
        return ("\n" if tight else "\n\n").join(texts)

    def _block(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "paragraph":
                return self._inside(node)
            case "heading":
                return self.heading(int(node.tag[1:]), self._inside(node))
            case "bullet_list" | "ordered_list":
                return self._list(node)
            case "blockquote":
                return _indented(self._blocks(node.children), "> ", "> ")
            case "fence" | "code_block":
                return node.content.rstrip("\n")
            case "table":
                return "\n".join(_table_lines([[self._inline(cell.children) for cell in row] for row in _rows(node)]))
            case "hr":
                return "----------"
            case _:
                return self._blocks(node.children) if node.children else node.content

    def _list(self, node: SyntaxTreeNode) -> str:
        number = int(node.attrs.get("start", 1)) if node.type == "ordered_list" else None
        # in a tight list the paragraphs are hidden
        tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
        items = []
        for item in node.children:
            mark = _BULLET if number is None else f"{number}. "
            items.append(_indented(self._blocks(item.children, tight=tight), mark, " " * len(mark)) or mark.rstrip())
            number = None if number is None else number + 1
        return ("\n" if tight else "\n\n").join(items)

    def _inside(self, node: SyntaxTreeNode) -> str:
        words = self._inline(node.children[0].children) if node.children else ""
        return "\n".join(line.rstrip() for line in words.split("\n"))

    def _inline(self, nodes: Iterable[SyntaxTreeNode]) -> str:
        return "".join(map(self._span, nodes))

    def _span(self, node: SyntaxTreeNode) -> str:
        match node.type:
            case "text":
                return _BREAK.sub("\n", node.content)
            case "code_inline":
                return self.code(node.content)
            case "softbreak" | "hardbreak":
                return "\n"
            case "strong":
                words = self._inline(node.children)
                if node.markup == "__" and _NAME.fullmatch(words):
                    return f"__{words}__"  # of Python, and not meant to be bold
                return self.strong(words) if words.strip() else words
            case "link":
                return self._linked(self._inline(node.children), str(node.attrs.get("href", "")))
            case "image":
                return self._linked(node.content, str(node.attrs.get("src", "")))
            case _:
                return self._inline(node.children) if node.children else node.content

    def _linked(self, words: str, url: str) -> str:
        words = words.strip()
        bare = url.removeprefix("mailto:")
        if not url or words in (url, bare):
            return words or bare
        return self.link(words, bare) if words else bare


def _indented(text: str, first: str, later: str) -> str:
    lines = text.split("\n")
    return "\n".join(((later if number else first) + line).rstrip() for number, line in enumerate(lines))


def _rows(table: SyntaxTreeNode) -> list[list[SyntaxTreeNode]]:
    """The cells, the heads first."""
    return [[cell.children[0] if cell.children else cell for cell in row.children] for part in table.children
            for row in part.children]  # fmt: skip


def _table_lines(rows: list[list[str]]) -> list[str]:
    """A narrow table gives a line for each row; a wide one a line for each cell, named by its head.

    Columns are not aligned: chats show text in letters of different widths, and phones break the lines.
    """
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    heads, *body = rows
    if len(heads) < _HEADED_FROM or not body:
        return [_BULLET + ": ".join(cell for cell in row if cell) for row in rows if any(row)]
    lines = []
    for row in body:
        if not any(row):
            continue
        title, *rest = row
        lines.append(f"{_BULLET}{title}" if title else f"{_BULLET}{heads[0]}".rstrip())
        for head, cell in zip(heads[1:], rest, strict=False):
            if cell:
                lines.append(f"  {_BULLET}{head}: {cell}" if head else f"  {_BULLET}{cell}")
    return lines or [_BULLET + ": ".join(cell for cell in heads if cell)]
