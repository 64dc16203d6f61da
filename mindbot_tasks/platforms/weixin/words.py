"""Markdown as the chats of WeCom can show it: plain words, or the small subset that apps may send; pure.

The subset: headings, bold, links, inline code, quotes; no tables, pictures, code blocks. WeCom docs, 2026-11-20.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.tree import SyntaxTreeNode

#: nobody gets to see what comes after so much
_MAX_CHARS = 40_000
_ANY_MARK = re.compile(
    r"[*_`#\[<>|~\\&]|^ {0,3}(?:[-+]|\d{1,9}[.)])[ \t]|^ {4}|^\t|^ {0,3}(?:=+|-+)[ \t]*$", re.MULTILINE
)


def plain(markdown: str) -> str:
    """The words without marks: links as "label: url", tables as lines."""
    return _as(markdown, rich=False)


def subset(markdown: str) -> str:
    """The same with the marks that WeCom knows."""
    return _as(markdown, rich=True)


def _as(markdown: str, *, rich: bool) -> str:
    text = markdown[:_MAX_CHARS]
    if not _ANY_MARK.search(text):
        return text
    from markdown_it.tree import SyntaxTreeNode  # here: the web side never renders

    tree = SyntaxTreeNode(_markdown().parse(text))
    shown = "\n".join(_blocks(tree.children, rich, loose=True))
    return shown if shown.strip() else text


@functools.cache
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def _blocks(nodes: Iterable[SyntaxTreeNode], rich: bool, *, loose: bool) -> list[str]:
    lines: list[str] = []
    for node in nodes:
        if lines and loose:
            lines.append("")
        lines += _block(node, rich)
    return lines


def _block(node: SyntaxTreeNode, rich: bool) -> list[str]:
    match node.type:
        case "paragraph":
            return [line.rstrip() for line in _inline(node, rich).split("\n")]
        case "heading":
            words = " ".join(_inline(node, rich).split("\n"))
            return [f"{'#' * int(node.tag[1:])} {words}" if rich else words]
        case "bullet_list" | "ordered_list":
            return _list(node, rich)
        case "blockquote":
            return [f"> {line}".rstrip() for line in _blocks(node.children, rich, loose=True)]
        case "fence" | "code_block":
            return node.content.rstrip("\n").split("\n")
        case "table":
            rows = (row for part in node.children for row in part.children)
            return [" | ".join(_inline(cell, rich) for cell in row.children) for row in rows]
        case "hr":
            return ["———"]
        case _:
            return _blocks(node.children, rich, loose=False) if node.children else [node.content]


def _list(node: SyntaxTreeNode, rich: bool) -> list[str]:
    lines: list[str] = []
    number = int(node.attrs.get("start", 1))
    for item in node.children:
        sign = "-" if node.type == "bullet_list" else f"{number}{item.markup or '.'}"
        number += 1
        inner = _blocks(item.children, rich, loose=False) or [""]
        lines.append(f"{sign} {inner[0]}")
        lines += [f"{' ' * (len(sign) + 1)}{line}" for line in inner[1:]]
    return lines


def _inline(node: SyntaxTreeNode, rich: bool) -> str:
    """The words inside a block or a mark."""
    return "".join(_mark(child, rich) for child in node.children)


def _mark(node: SyntaxTreeNode, rich: bool) -> str:
    match node.type:
        case "text" | "text_special":
            return node.content
        case "softbreak" | "hardbreak":
            return "\n"
        case "code_inline":
            return f"`{node.content}`" if rich and "`" not in node.content else node.content
        case "strong":
            words = _inline(node, rich)
            return f"**{words}**" if rich and words.strip() else words
        case "link":
            return _link(_inline(node, rich), str(node.attrs.get("href", "")), rich)
        case "image":
            return _link(node.content or _inline(node, rich), str(node.attrs.get("src", "")), rich)
        case _:
            return _inline(node, rich) if node.children else node.content


def _link(label: str, url: str, rich: bool) -> str:
    label = " ".join(label.split())
    if not label or label == url or url.removeprefix("mailto:") == label:
        return url.removeprefix("mailto:")
    if rich and not set("[]()") & set(label) and not set("() ") & set(url):
        return f"[{label}]({url})"
    return f"{label}: {url} "  # the blank keeps what follows out of the address
