"""Silences: alerts that match tell nobody for a while."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping

from sqlalchemy import Connection, insert, select, update

from mindbot_tasks.stores.records import Record, many, one
from mindbot_tasks.stores.tables_alerts import SilenceRow


def add(
    connection: Connection,
    matchers: Mapping[str, str],
    *,
    starts_at: int,
    ends_at: int,
    author: str,
    comment: str,
    now: int,
    maintenance: bool = False,
) -> int:
    """Returns its id. `maintenance`: people are told when it is over."""
    return connection.execute(
        insert(SilenceRow)
        .values(
            matchers=dict(matchers),
            starts_at=starts_at,
            ends_at=ends_at,
            author=author[:160],
            comment=comment[:500],
            created_at=now,
            maintenance=maintenance,
        )
        .returning(SilenceRow.id)
    ).scalar_one()


def end(connection: Connection, silence_id: int, *, now: int) -> bool:
    """End it now; False when there is none that goes on."""
    done = connection.execute(
        update(SilenceRow)
        .where(SilenceRow.id == silence_id, SilenceRow.ends_at > now)
        .values(ends_at=now)
        .returning(SilenceRow.id)
    ).first()
    return done is not None


def by_id(connection: Connection, silence_id: int) -> Record | None:
    """The row of one silence, over or not, columns by name. None: there is none."""
    return one(connection.execute(select(SilenceRow.__table__).where(SilenceRow.id == silence_id)))


def current(connection: Connection, *, now: int) -> list[Record]:
    """Those that hold now or later."""
    return many(
        connection.execute(select(SilenceRow.__table__).where(SilenceRow.ends_at > now).order_by(SilenceRow.id))
    )


def ended_between(connection: Connection, *, after: int, until: int) -> list[Record]:
    """Those that came to their end in that time."""
    return many(
        connection.execute(select(SilenceRow.__table__).where(SilenceRow.ends_at > after, SilenceRow.ends_at <= until))
    )


def matches(matchers: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether every matcher fits the label of its name; `*` and `?` are patterns. Pure.

    >>> matches({"rule": "dify_*"}, {"rule": "dify_api_down", "severity": "high"})
    True
    """
    return all(fnmatch.fnmatchcase(labels.get(name, ""), pattern) for name, pattern in matchers.items())
