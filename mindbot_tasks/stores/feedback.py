"""What people think of an answer: the last vote of each person under each answer counts."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Connection, String, bindparam, case, delete, null, select, update

from mindbot_tasks.model.news import Feedback
from mindbot_tasks.stores import learning
from mindbot_tasks.stores.cleaning import cut
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables import AnswerRow, FeedbackRow, Id, MessageRow


@dataclass(frozen=True, slots=True)
class Vote:
    """A person's last vote under an answer."""

    user_ref: str
    vote: str
    voted_at: int  #: milliseconds since 1970


def record(connection: Connection, platform: str, bot: str, given: Feedback) -> None:
    """Keep a vote in place of an earlier one of the same person; run it in a transaction.

    An answer that was liked is also an example of what its workflow is for.
    """
    message_id = _message_of(connection, platform, bot, given)
    values = {
        "message_id": message_id,
        "platform": platform,
        "bot": bot,
        "answer_ref": cut(given.answer_ref),
        "user_ref": cut(given.user_id),
        "vote": given.vote,
    }
    connection.execute(_upsert(connection.dialect.name), values)
    if message_id is not None:
        learning.note_thumb(connection, message_id, liked=given.vote == "up")


def votes_of(connection: Connection, message_id: int) -> Sequence[Vote]:
    """The votes under the answer to a message, oldest first."""
    rows = connection.execute(
        select(FeedbackRow.user_ref, FeedbackRow.vote, FeedbackRow.voted_at)
        .where(FeedbackRow.message_id == message_id)
        .order_by(FeedbackRow.voted_at, FeedbackRow.id)
    )
    return [Vote(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Untold:
    """A vote that who answered may want to know of."""

    id: int
    vote: str
    due: int  #: changes with the next vote of the same person
    tries: int
    asker: str  #: under which name who answered knows who asked
    details: Mapping[str, Any]  #: of the answer


def untold(connection: Connection, *, limit: int) -> list[Untold]:
    """Votes that are due to be told, oldest first."""
    rows = connection.execute(
        select(
            FeedbackRow.id, FeedbackRow.vote, FeedbackRow.tell_at, FeedbackRow.tell_tries,
            MessageRow.platform, MessageRow.sender_ref, AnswerRow.details,
        )
        .outerjoin(MessageRow, MessageRow.id == FeedbackRow.message_id)
        .outerjoin(AnswerRow, AnswerRow.message_id == FeedbackRow.message_id)
        .where(FeedbackRow.tell_at <= DB_NOW)
        .order_by(FeedbackRow.tell_at)
        .limit(limit)
    )  # fmt: skip
    return [
        Untold(number, vote, due, tries, f"{platform}:{sender}", details or {})
        for number, vote, due, tries, platform, sender, details in rows
    ]


def settle(connection: Connection, one: Untold, *, again_in_ms: int | None = None) -> None:
    """It was told, or is of nobody's interest; or it is to be tried again. A vote that has changed meanwhile stays."""
    at = null() if again_in_ms is None else DB_NOW + bindparam("later", again_in_ms, type_=BigInteger)
    connection.execute(
        update(FeedbackRow)
        .where(FeedbackRow.id == one.id, FeedbackRow.tell_at == one.due)
        .values(tell_at=at, tell_tries=one.tries + (again_in_ms is not None))
    )


def delete_old(connection: Connection, *, older_than_ms: int, limit: int) -> int:
    """Delete up to `limit` votes that are older; most went with their message. Returns how many."""
    old = (
        select(FeedbackRow.id)
        .where(FeedbackRow.voted_at < DB_NOW - older_than_ms)
        .order_by(FeedbackRow.id)
        .limit(limit)
    )
    return connection.execute(delete(FeedbackRow).where(FeedbackRow.id.in_(old.scalar_subquery()))).rowcount


def _message_of(connection: Connection, platform: str, bot: str, given: Feedback) -> int | None:
    """Our message, if the handle tells it and it is one of this bot; whoever presses a button may tell us anything."""
    if given.message_id is None:
        return None
    found = connection.execute(
        select(MessageRow.id).where(
            MessageRow.id == given.message_id, MessageRow.platform == platform, MessageRow.bot == bot
        )
    )
    message_id: int | None = found.scalar()
    return message_id


@functools.cache
def _upsert(dialect: str) -> Any:
    names = ("platform", "bot", "answer_ref", "user_ref", "vote")
    values: dict[str, Any] = {name: bindparam(name, type_=String) for name in names}
    message_id = bindparam("message_id", type_=Id)
    tell_at = case((message_id.is_not(None), DB_NOW), else_=None)
    values |= {"message_id": message_id, "voted_at": DB_NOW, "tell_at": tell_at, "tell_tries": 0}
    insert: Any = insert_into(FeedbackRow.__table__, dialect).values(values)
    changes = {name: insert.excluded[name] for name in ("vote", "voted_at", "tell_at", "tell_tries")}
    changes["message_id"] = insert.excluded.message_id
    return insert.on_conflict_do_update(index_elements=["platform", "bot", "answer_ref", "user_ref"], set_=changes)
