"""What people think of an answer: the last vote of each person under each answer counts."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, String, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite

from mindbot_tasks.model.news import Feedback
from mindbot_tasks.stores import learning
from mindbot_tasks.stores.cleaning import cut
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import FeedbackRow, Id, MessageRow


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
    values |= {"message_id": bindparam("message_id", type_=Id), "voted_at": DB_NOW}
    insert: Any = (postgresql if dialect == "postgresql" else sqlite).insert(FeedbackRow.__table__).values(values)
    changes = {name: insert.excluded[name] for name in ("vote", "voted_at")}
    changes["message_id"] = insert.excluded.message_id
    return insert.on_conflict_do_update(index_elements=["platform", "bot", "answer_ref", "user_ref"], set_=changes)
