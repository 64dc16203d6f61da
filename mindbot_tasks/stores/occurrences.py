"""What happens on a platform and is no message, each recorded once; some of it moves a conversation to a person."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, select

from mindbot_tasks.model.news import Occurrence
from mindbot_tasks.stores.cleaning import clean_json, cut
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables import ConversationRow, OccurrenceRow

#: a person who took over and of whom nothing was heard for this long has gone home: no platform's session lasts longer
PERSON_HOLDS_MS = 48 * 3_600_000


def record_once(connection: Connection, platform: str, bot: str, occurrence: Occurrence) -> bool:
    """Remember it, and what it means for its conversation; False: it was here already."""
    fresh = connection.execute(
        insert_into(OccurrenceRow, connection.dialect.name)
        .values(
            platform=platform,
            bot=bot,
            external_id=cut(occurrence.external_id),
            kind=cut(occurrence.kind, 80),
            conversation_ref=cut(occurrence.conversation_id),
            data=clean_json(dict(occurrence.data)),
            happened_at=occurrence.happened_at_ms,
            recorded_at=DB_NOW,
        )
        .on_conflict_do_nothing(index_elements=["platform", "bot", "external_id"])
        .returning(OccurrenceRow.id)
    ).first()
    if fresh is None:
        return False
    if occurrence.with_human is not None and occurrence.conversation_id:
        set_with_human(connection, platform, bot, occurrence.conversation_id, occurrence.with_human)
    return True


def set_with_human(connection: Connection, platform: str, bot: str, conversation: str, with_human: bool) -> None:
    """A person has this conversation from now on, or the bot has it again."""
    since = DB_NOW if with_human else None
    connection.execute(
        insert_into(ConversationRow, connection.dialect.name)
        .values(
            platform=platform,
            bot=bot,
            external_id=cut(conversation),
            kind="one_to_one",
            title="",
            created_at=DB_NOW,
            with_human_since=since,
        )
        .on_conflict_do_update(index_elements=["platform", "bot", "external_id"], set_={"with_human_since": since})
    )


def with_humans(connection: Connection, platform: str, bot: str, conversations: Collection[str]) -> set[str]:
    """Those of these conversations that a person has now."""
    if not conversations:
        return set()
    rows = connection.execute(
        select(ConversationRow.external_id).where(
            ConversationRow.platform == platform,
            ConversationRow.bot == bot,
            ConversationRow.external_id.in_([cut(one) for one in conversations]),
            ConversationRow.with_human_since > DB_NOW - PERSON_HOLDS_MS,
        )
    )
    return set(rows.scalars())


def delete_old(connection: Connection, *, older_than_ms: int, limit: int) -> int:
    """Delete up to `limit` of those recorded longer ago than that; returns how many went."""
    old = select(OccurrenceRow.id).where(OccurrenceRow.recorded_at < DB_NOW - older_than_ms)
    ids = list(connection.execute(old.order_by(OccurrenceRow.id).limit(limit)).scalars())
    if ids:
        connection.execute(delete(OccurrenceRow).where(OccurrenceRow.id.in_(ids)))
    return len(ids)
