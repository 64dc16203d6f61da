"""The database's clock as SQL: leases and due times of many machines must be judged by one clock."""

from __future__ import annotations

from typing import Any, TypeAlias

from sqlalchemy import BigInteger, ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

Now: TypeAlias = "ColumnElement[int] | int"
"""Where a query takes the time from: the database (default), or a number in tests that play with time."""


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


DB_NOW: ColumnElement[int] = db_now()


def as_sql(now: Now) -> ColumnElement[int]:
    """The time as something to put into a statement."""
    return literal(now, BigInteger) if isinstance(now, int) else now
