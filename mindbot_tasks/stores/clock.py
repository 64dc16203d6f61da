"""The database's clock as SQL: leases and due times of many machines must be judged by one clock."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, literal, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement


class db_now(FunctionElement[int]):  # noqa: N801 - reads as an SQL function
    """Milliseconds since 1970 by the database's clock."""

    type = BigInteger()
    inherit_cache = True
    name = "db_now"


@compiles(db_now, "sqlite")
def _sqlite_now(*_: Any, **__: Any) -> str:
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


@compiles(db_now, "postgresql")
def _postgresql_now(*_: Any, **__: Any) -> str:
    # clock_timestamp, not now(): the latter stands still for a whole transaction
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


class earlier(FunctionElement[int]):  # noqa: N801 - reads as an SQL function
    """The smaller of two numbers."""

    type = BigInteger()
    inherit_cache = True
    name = "earlier"


@compiles(earlier, "sqlite")
def _sqlite_earlier(element: earlier, compiler: Any, **kw: Any) -> str:
    return f"min({compiler.process(element.clauses, **kw)})"


@compiles(earlier, "postgresql")
def _postgresql_earlier(element: earlier, compiler: Any, **kw: Any) -> str:
    return f"least({compiler.process(element.clauses, **kw)})"


class later(FunctionElement[int]):  # noqa: N801 - reads as an SQL function
    """The larger of two numbers."""

    type = BigInteger()
    inherit_cache = True
    name = "later"


@compiles(later, "sqlite")
def _sqlite_later(element: later, compiler: Any, **kw: Any) -> str:
    return f"max({compiler.process(element.clauses, **kw)})"


@compiles(later, "postgresql")
def _postgresql_later(element: later, compiler: Any, **kw: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **kw)})"


DB_NOW: ColumnElement[int] = db_now()


def this_moment(now: int | None) -> ColumnElement[int]:
    """The time for one statement; `now` is for tests that play with time.

    In a subquery, so that PostgreSQL reads its clock once and can look the result up in an index; a bare
    clock_timestamp() is a new value for each row, for which every row has to be visited.
    """
    return literal(now, BigInteger) if now is not None else select(DB_NOW).scalar_subquery()
