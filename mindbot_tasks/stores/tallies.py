"""Sums of how answerers did, and of which workflow came after which; filled from the ledger by `mindbot.tally`.

The ledger is read in the order of its ids. What a batch of messages adds, and the id up to which it went, are written
in one transaction that moves the watermark by compare-and-set: killed anywhere, or run twice, each message counts once.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import BigInteger, Connection, Row, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import aliased

from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables import AnswerRow, ConversationRow, FeedbackRow, MessageRow
from mindbot_tasks.stores.tables_routing import TallyRow, TransitionRow, WatermarkRow

DAY_MS = 86_400_000
MARK = "tally"
#: an id that is handed out may take this long to become visible; PostgreSQL counts up before it commits
SETTLED_MS = 20_000
#: a message that has not ended after so long will not hold up the others
STUCK_MS = 3_600_000
#: votes for answers that are older than this many days change nothing any more
VOTE_DAYS = 7

SUMS = ("asked", "answered", "skipped", "recovered", "unanswered", "took_ms", "reasked")


@dataclass(slots=True)
class Tally:
    """Sums of one answerer; as `TallyRow` without its key."""

    asked: int = 0
    answered: int = 0
    skipped: int = 0
    recovered: int = 0
    unanswered: int = 0
    took_ms: int = 0
    up: int = 0
    down: int = 0
    reasked: int = 0
    took: dict[int, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)

    def add(self, other: Tally) -> None:
        for name in (*SUMS, "up", "down"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for key, count in other.took.items():
            self.took[key] = self.took.get(key, 0) + count
        for kind, count in other.errors.items():
            self.errors[kind] = self.errors.get(kind, 0) + count


Key = tuple[int, str, str]  #: day, answerer, variant
Step = tuple[int, str, str, str, str]  #: day, platform, bot, came from, went to


@dataclass(slots=True)
class Batch:
    """What some messages add."""

    tallies: dict[Key, Tally] = field(default_factory=dict)
    steps: dict[Step, int] = field(default_factory=dict)

    def tally(self, day: int, answerer: str, variant: str) -> Tally:
        return self.tallies.setdefault((day, answerer[:120], variant[:160]), Tally())


def reached(connection: Connection) -> int:
    """The id up to which messages have been counted."""
    found = connection.execute(select(WatermarkRow.reached).where(WatermarkRow.name == MARK)).scalar()
    return int(found or 0)


def ended_after(connection: Connection, message_id: int, *, limit: int) -> list[Row[Any]]:
    """The next messages in the order of their ids, each with its answer and the one before it in its conversation.

    Stops before one that is still on its way: it is counted when it has ended, and those behind it after it.
    """
    rows = connection.execute(_ended(), {"after": message_id, "most": limit}).all()
    for number, row in enumerate(rows):
        if row.age_ms < SETTLED_MS or (row.finished_at is None and row.age_ms < STUCK_MS):
            return list(rows[:number])
    return list(rows)


@functools.cache
def _ended() -> Any:
    m, a = MessageRow, AnswerRow
    before, earlier_answer, earlier = aliased(MessageRow), aliased(AnswerRow), aliased(MessageRow)
    last = (
        select(func.max(earlier.id))
        .where(earlier.conversation_id == m.conversation_id, earlier.id < m.id, earlier.state == "replied")
        .scalar_subquery()
    )
    return (
        select(
            m.id,
            m.platform,
            m.bot,
            m.sender_ref,
            m.label,
            m.text,
            m.verdict,
            m.merged_into,
            m.received_at,
            m.classified_at,
            m.answered_at,
            m.finished_at,
            (DB_NOW - m.received_at).label("age_ms"),
            a.provider,
            a.workflow,
            a.latency_ms,
            a.details,
            a.created_at,
            before.sender_ref.label("before_sender_ref"),
            before.label.label("before_label"),
            before.text.label("before_text"),
            before.finished_at.label("before_finished_at"),
            earlier_answer.provider.label("before_provider"),
            earlier_answer.workflow.label("before_workflow"),
            earlier_answer.details.label("before_details"),
            earlier_answer.created_at.label("before_created_at"),
        )
        .select_from(m)
        .outerjoin(a, a.message_id == m.id)
        .outerjoin(before, before.id == last)
        .outerjoin(earlier_answer, earlier_answer.message_id == before.id)
        .where(m.id > bindparam("after", type_=BigInteger))
        .order_by(m.id)
        .limit(bindparam("most"))
    )


def add(connection: Connection, batch: Batch, *, since: int, up_to: int) -> bool:
    """Write down what a batch adds; run it in a transaction. False: somebody else has counted these meanwhile."""
    if not _move(connection, since, up_to):
        return False
    for (day, answerer, variant), more in batch.tallies.items():
        _add_tally(connection, day, answerer, variant, more)
    for (day, platform, bot, came_from, went_to), times in batch.steps.items():
        row = insert_into(TransitionRow, connection.dialect.name).values(
            day=day, platform=platform, bot=bot, came_from=came_from, went_to=went_to, times=times
        )
        connection.execute(
            row.on_conflict_do_update(
                index_elements=["day", "platform", "bot", "came_from", "went_to"],
                set_={"times": TransitionRow.times + row.excluded.times},
            )
        )
    return True


def _move(connection: Connection, since: int, up_to: int) -> bool:
    connection.execute(
        insert_into(WatermarkRow, connection.dialect.name).values(name=MARK, reached=0).on_conflict_do_nothing()
    )
    moved = connection.execute(
        update(WatermarkRow)
        .where(WatermarkRow.name == MARK, WatermarkRow.reached == since)
        .values(reached=up_to)
    )  # fmt: skip
    return moved.rowcount == 1


def _add_tally(connection: Connection, day: int, answerer: str, variant: str, more: Tally) -> None:
    """Read, add, write: nobody else does meanwhile, because the watermark is ours until the commit."""
    key = and_(TallyRow.day == day, TallyRow.answerer == answerer, TallyRow.variant == variant)
    row = connection.execute(select(TallyRow).where(key)).first()
    total = Tally() if row is None else _tally_of(row)
    total.add(more)
    values: dict[str, Any] = {name: getattr(total, name) for name in SUMS}
    values |= {"took": {str(key): count for key, count in total.took.items()}, "errors": total.errors}
    if row is None:
        connection.execute(insert(TallyRow).values(day=day, answerer=answerer, variant=variant, up=0, down=0, **values))
    else:
        connection.execute(update(TallyRow).where(key).values(**values))


def _tally_of(row: Row[Any]) -> Tally:
    return Tally(
        **{name: int(getattr(row, name)) for name in (*SUMS, "up", "down")},
        took={int(bucket): int(count) for bucket, count in row.took.items()},
        errors={str(kind): int(count) for kind, count in row.errors.items()},
    )


def voted(connection: Connection) -> Iterable[Row[Any]]:
    """The votes for answers of the last days: day, provider, workflow and details of the answer, and the vote."""
    day: Any = AnswerRow.created_at
    return connection.execute(
        select(day, AnswerRow.provider, AnswerRow.workflow, AnswerRow.details, FeedbackRow.vote)
        .join(AnswerRow, AnswerRow.message_id == FeedbackRow.message_id)
        .where(AnswerRow.created_at >= _first_day(connection) * DAY_MS)
    ).all()


def set_votes(connection: Connection, votes: Mapping[Key, tuple[int, int]]) -> None:
    """Put the counts of the last days in place of what stood there; the same votes twice change nothing."""
    rows = connection.execute(
        select(TallyRow.day, TallyRow.answerer, TallyRow.variant, TallyRow.up, TallyRow.down).where(
            TallyRow.day >= _first_day(connection)
        )
    ).all()
    for row in rows:
        up, down = votes.get((row.day, row.answerer, row.variant), (0, 0))
        if (up, down) != (row.up, row.down):
            connection.execute(
                update(TallyRow)
                .where(TallyRow.day == row.day, TallyRow.answerer == row.answerer, TallyRow.variant == row.variant)
                .values(up=up, down=down)
            )


def _first_day(connection: Connection) -> int:
    now: int = connection.execute(select(DB_NOW)).scalar_one()
    return now // DAY_MS - VOTE_DAYS


def of_days(connection: Connection, days: int, *, answerers: str = "") -> dict[tuple[str, str], Tally]:
    """Answerer and variant -> the sums of the last `days` days, today included. answerers: how their names begin."""
    today: int = connection.execute(select(DB_NOW)).scalar_one() // DAY_MS
    found: dict[tuple[str, str], Tally] = {}
    wanted = select(TallyRow).where(TallyRow.day > today - days)
    if answerers:
        wanted = wanted.where(TallyRow.answerer.startswith(answerers, autoescape=True))
    for row in connection.execute(wanted.order_by(TallyRow.answerer, TallyRow.variant, TallyRow.day)):
        found.setdefault((row.answerer, row.variant), Tally()).add(_tally_of(row))
    return found


def steps(connection: Connection, days: int, came_from: str) -> list[tuple[str, str, str, int]]:
    """Platform, bot, workflow people went on to, and how often, in the last days."""
    today: int = connection.execute(select(DB_NOW)).scalar_one() // DAY_MS
    rows = connection.execute(
        select(TransitionRow.platform, TransitionRow.bot, TransitionRow.went_to, func.sum(TransitionRow.times))
        .where(TransitionRow.day > today - days, TransitionRow.came_from == came_from)
        .group_by(TransitionRow.platform, TransitionRow.bot, TransitionRow.went_to)
        .order_by(TransitionRow.went_to)
    )
    return [(platform, bot, went_to, int(times)) for platform, bot, went_to, times in rows]


def last_label(connection: Connection, platform: str, bot: str, conversation: str) -> tuple[str, str, str] | None:
    """Platform, bot and label of the latest answered message of a conversation; an empty platform or bot is any."""
    there = [ConversationRow.external_id == conversation]
    there += [ConversationRow.platform == platform] if platform else []
    there += [ConversationRow.bot == bot] if bot else []
    row = connection.execute(
        select(MessageRow.platform, MessageRow.bot, MessageRow.label)
        .join(ConversationRow, ConversationRow.id == MessageRow.conversation_id)
        .where(*there, MessageRow.state == "replied", MessageRow.label.is_not(None))
        .order_by(MessageRow.id.desc())
        .limit(1)
    ).first()
    return None if row is None else (row.platform, row.bot, row.label)


def forget(connection: Connection, *, older_than_days: int) -> None:
    """Drop sums that are older."""
    today: int = connection.execute(select(DB_NOW)).scalar_one() // DAY_MS
    for table in (TallyRow, TransitionRow):
        connection.execute(delete(table).where(table.day <= today - older_than_days))
