"""Rows as plain dictionaries, for rules that know nothing of databases."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import CursorResult, Result

Record: TypeAlias = dict[str, Any]


def one(result: Result[Any] | CursorResult[Any]) -> Record | None:
    """The first row, None if there is none."""
    row = result.mappings().first()
    return None if row is None else dict(row)


def many(result: Result[Any] | CursorResult[Any]) -> list[Record]:
    """All rows."""
    return [dict(row) for row in result.mappings()]
