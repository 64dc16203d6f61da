"""Markdown as plain text, for places that show every mark as it stands: words, links and tables stay readable; pure."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})[^`\n]*$")
_HEADING = re.compile(r"^ {0,3}#{1,6}[ \t]+(.*?)[ \t]*#*$")
_RULE = re.compile(r"^ {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_QUOTE = re.compile(r"^ {0,3}>[ \t]?")
_BULLET = re.compile(r"^([ \t]*)[-*+][ \t]+")
_TABLE_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$")
_IMAGE = re.compile(r"!\[([^\]\n]{0,300})\]\(([^()\s]{1,2000}(?:\([^()\s]{0,200}\)[^()\s]{0,200})?)[^()\n]{0,200}\)")
_LINK = re.compile(r"\[([^\]\n]{1,300})\]\(([^()\s]{1,2000}(?:\([^()\s]{0,200}\)[^()\s]{0,200})?)[^()\n]{0,200}\)")
_CODE = re.compile(r"(`{1,2})(?!`)([^`\n]{1,2000}?)\1(?!`)")
_MARKS = (
    re.compile(r"\*\*(?=\S)([^\n]{1,2000}?)(?<=\S)\*\*"),
    re.compile(r"(?<![\w_])__(?=\S)([^\n]{1,2000}?)(?<=\S)__(?![\w_])"),
    re.compile(r"~~(?=\S)([^\n]{1,2000}?)(?<=\S)~~"),
    re.compile(r"(?<![\w*])\*(?=[^\s*])([^*\n]{1,2000}?)(?<=[^\s*])\*(?![\w*])"),
    re.compile(r"(?<![\w_])_(?=[^\s_])([^_\n]{1,2000}?)(?<=[^\s_])_(?![\w_])"),
)


def to_plain(markdown: str) -> str:
    """The same words without marks.

    >>> to_plain("## Hi\\n**See** [here](https://a.b): `x*y*z`")
    'Hi\\nSee here (https://a.b): x*y*z'
    """
    lines: list[str] = []
    fence = ""
    for line in markdown.split("\n"):
        marks = _FENCE.match(line)
        if marks and not fence:
            fence = marks[1]
        elif marks and marks[1].startswith(fence) and line.strip() == marks[1]:
            fence = ""
        elif fence:
            lines.append(line)
        else:
            plain = _line(line)
            if plain is not None:
                lines.append(plain)
    return "\n".join(lines)


def _line(line: str) -> str | None:
    """One line outside of code; None: it says nothing."""
    if "|" in line and _TABLE_RULE.match(line):
        return None
    if _RULE.match(line):
        return "――――"
    line = _QUOTE.sub("", line)
    if heading := _HEADING.match(line):
        line = heading[1]
    line = _BULLET.sub(r"\1• ", line)
    if line.lstrip().startswith("|") and line.rstrip().endswith("|") and len(line.strip()) > 2:
        line = " | ".join(cell.strip() for cell in line.strip().strip("|").split("|"))
    # code is taken out first, so that nothing in it is taken for marks
    pieces = _CODE.split(line)
    return "".join(
        _unmarked(piece) if number % 3 == 0 else piece if number % 3 == 2 else ""
        for number, piece in enumerate(pieces)
    )  # fmt: skip


def _unmarked(text: str) -> str:
    text = _IMAGE.sub(lambda found: f"{found[1]}: {found[2]}" if found[1] else found[2], text)
    text = _LINK.sub(lambda found: found[2] if found[1] == found[2] else f"{found[1]} ({found[2]})", text)
    # addresses keep their underscores
    words = re.split(r"(https?://\S+)", text)
    for number in range(0, len(words), 2):
        for mark in _MARKS:
            words[number] = mark.sub(r"\1", words[number])
    return "".join(words)
