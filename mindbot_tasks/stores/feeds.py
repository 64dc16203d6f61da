"""Feeds: what a platform only announces and we have to fetch. One puller at a time, and a cursor that never lies.

A bell raises `rung`; whoever has read the feed to its end writes down which bell it had heard when it took or renewed
the feed. The two differ: there is something to fetch, and whoever comes next, a task or the sweeper, fetches it.
"""

from __future__ import annotations

import functools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, Connection, String, bindparam, cast, or_, select, update

from mindbot_tasks.core.errors import Stopped
from mindbot_tasks.stores.cleaning import clean, cut
from mindbot_tasks.stores.clock import DB_NOW, this_moment
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables import FeedRow, WorkerRow

#: a page must be fetched and recorded within this time; each page renews it
HOLD_MS = 30_000
#: a bell starts a pull by itself; the sweeper leaves it alone for so long
PICKUP_MS = 3_000


class LostFeed(Stopped):
    """Somebody else pulls this feed now; the page at hand no longer counts."""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed in the hands of one puller."""

    feed_id: int
    platform: str
    bot: str
    feed: str
    cursor: str
    token: str
    rung: int  #: the last bell that this puller has heard
    first: bool  #: it was never read to its end before
    failures: int
    holder: str


def ring(connection: Connection, platform: str, bot: str, feed: str, token: str = "") -> int:
    """The platform says that there is something new; returns the id of the feed, which is new with its first bell."""
    values = {"platform": platform, "bot": bot, "feed": cut(feed), "token": clean(token)[:512]}
    return int(connection.execute(_ring_statement(connection.dialect.name), values).scalar_one())


@functools.cache
def _ring_statement(dialect: str) -> Any:
    insert: Any = insert_into(FeedRow, dialect).values(
        platform=bindparam("platform"),
        bot=bindparam("bot"),
        feed=bindparam("feed"),
        cursor="",
        token=bindparam("token", type_=String),
        rung=1,
        served=0,
        rung_at=DB_NOW,
        failures=0,
    )
    return insert.on_conflict_do_update(
        index_elements=["platform", "bot", "feed"],
        set_={"rung": FeedRow.rung + 1, "rung_at": insert.excluded.rung_at, "token": insert.excluded.token},
    ).returning(FeedRow.id)


def know(connection: Connection, platform: str, bot: str, feed: str) -> None:
    """A feed that is known without a bell, from the configuration; the net will read it."""
    insert: Any = insert_into(FeedRow, connection.dialect.name)
    connection.execute(
        insert.values(
            platform=platform, bot=bot, feed=cut(feed), cursor="", token="", rung=0, served=0, failures=0
        ).on_conflict_do_nothing()
    )


def take(connection: Connection, feed_id: int, worker_id: int, *, now: int | None = None) -> Feed | None:
    """Take a feed that nobody holds; None when somebody does, or it has to wait, or it is gone."""
    at = this_moment(now)
    holder = f"{worker_id}/{secrets.token_hex(8)}"
    row = connection.execute(
        update(FeedRow)
        .where(
            FeedRow.id == feed_id,
            or_(FeedRow.holder.is_(None), FeedRow.held_until < at),
            or_(FeedRow.not_before.is_(None), FeedRow.not_before <= at),
        )
        .values(holder=holder, held_until=at + HOLD_MS)
        .returning(
            FeedRow.platform,
            FeedRow.bot,
            FeedRow.feed,
            FeedRow.cursor,
            FeedRow.token,
            FeedRow.rung,
            FeedRow.failures,
            FeedRow.pulled_at,  # not IS NULL: SQLite 3.40 finds that false in RETURNING for a column that is null
        )
    ).first()
    if row is None:
        return None
    return Feed(
        feed_id=feed_id,
        platform=row.platform,
        bot=row.bot,
        feed=row.feed,
        cursor=row.cursor,
        token=row.token,
        rung=row.rung,
        first=row.pulled_at is None,
        failures=row.failures,
        holder=holder,
    )


def advance(connection: Connection, held: Feed, cursor: str, *, now: int | None = None) -> Feed:
    """Move the cursor, in the transaction that records what lies before it. Raises LostFeed."""
    at = this_moment(now)
    row = connection.execute(
        _held(held)
        .where(FeedRow.cursor == held.cursor)
        .values(cursor=cut(cursor), held_until=at + HOLD_MS, failures=0, last_error=None)
        .returning(FeedRow.id)
    ).first()
    if row is None:
        raise LostFeed(f"feed {held.feed_id} is in other hands")
    return replace(held, cursor=cut(cursor), failures=0)


def served(connection: Connection, held: Feed, *, now: int | None = None) -> Feed | None:
    """The feed was read to its end: give it back. If the bell rang meanwhile it stays with us, for one more round.

    Returns None when there is nothing more to do. Raises LostFeed.
    """
    at = this_moment(now)
    done = connection.execute(
        _held(held)
        .where(FeedRow.rung == held.rung)
        .values(served=held.rung, pulled_at=at, holder=None, held_until=None, not_before=None)
    )
    if done.rowcount == 1:
        return None
    row = connection.execute(
        _held(held).values(held_until=at + HOLD_MS, pulled_at=at).returning(FeedRow.rung, FeedRow.token)
    ).first()
    if row is None:
        raise LostFeed(f"feed {held.feed_id} is in other hands")
    return replace(held, rung=row.rung, token=row.token, first=False)


def give_back(connection: Connection, held: Feed, *, delay_ms: int, error: str, failed: bool) -> None:
    """A pull that did not come to its end: somebody may go on after `delay_ms`. Nothing when we lost it already."""
    at = this_moment(None)
    connection.execute(
        _held(held).values(
            holder=None,
            held_until=None,
            not_before=at + delay_ms,
            failures=FeedRow.failures + int(failed),
            last_error=cut(error, 500),
        )
    )


def _held(held: Feed) -> Any:
    return update(FeedRow).where(FeedRow.id == held.feed_id, FeedRow.holder == held.holder)


def free_lost(connection: Connection) -> int:
    """Free the feeds whose worker is gone; returns how many."""
    alive = (
        select(WorkerRow.id)
        .where(WorkerRow.gone_at.is_(None), FeedRow.holder.like(cast(WorkerRow.id, String) + "/%"))
        .exists()
    )
    freed = connection.execute(
        update(FeedRow).where(FeedRow.holder.is_not(None), ~alive).values(holder=None, held_until=None)
    )
    return int(freed.rowcount)


def due(connection: Connection, *, poll_ms: int, now: int | None = None) -> Sequence[int]:
    """Feeds that nobody holds and that have something to fetch: a bell unheard, or not looked at for `poll_ms`."""
    at = this_moment(now)
    return list(
        connection.execute(
            select(FeedRow.id)
            .where(
                or_(FeedRow.holder.is_(None), FeedRow.held_until < at),
                or_(FeedRow.not_before.is_(None), FeedRow.not_before <= at),
                or_(
                    (FeedRow.rung != FeedRow.served) & or_(FeedRow.rung_at.is_(None), FeedRow.rung_at < at - PICKUP_MS),
                    FeedRow.pulled_at.is_(None),
                    FeedRow.pulled_at < at - bindparam("poll_ms", type_=BigInteger),
                ),
            )
            .order_by(FeedRow.id),
            {"poll_ms": poll_ms},
        ).scalars()
    )
