"""Comma- and tab-separated values: rows that keep the names of their columns."""

from __future__ import annotations

import csv
import io

from mindbot_tasks.knowledge.extraction.base import Read
from mindbot_tasks.knowledge.extraction.plain import decode

ROWS_TOGETHER = 20
_LONGEST_FIELD = 100_000


def read(content: bytes, found: Read, kind: str) -> None:
    """Twenty rows at a time, each time below the header."""
    text = decode(content)
    csv.field_size_limit(_LONGEST_FIELD)
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:8192], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel
    rows = [row for row in csv.reader(io.StringIO(text, newline=""), dialect) if any(cell.strip() for cell in row)]
    add_rows(rows, found)


def add_rows(rows: list[list[str]], found: Read, headings: tuple[str, ...] = (), where: str = "") -> None:
    """A table whose first row names the columns."""
    if not rows:
        return
    header = " | ".join(cell.strip() for cell in rows[0])
    if len(rows) == 1:
        found.add(header, headings, where, "table")
    for start in range(1, len(rows), ROWS_TOGETHER):
        part = rows[start : start + ROWS_TOGETHER]
        place = f"{where + ', ' if where else ''}rows {start + 1}-{start + len(part)}"
        lines = [header, *(" | ".join(" ".join(cell.split()) for cell in row) for row in part)]
        found.add("\n".join(lines), headings, place, "table")
