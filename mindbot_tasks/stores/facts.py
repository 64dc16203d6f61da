"""Facts that people asked a bot to remember: by platform, bot and person."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, update

from mindbot_tasks.stores import conversations
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.cleaning import clean
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables_context import FactRow

MAX_CHARS = 500


@dataclass(frozen=True, slots=True)
class Kept:
    """One fact, as its owner may see it."""

    fact_id: int
    text: str
    conversation_id: int  #: where it was told


def remember(connection: Connection, held: Claim, text: str, *, most: int) -> bool:
    """Keep this about whoever wrote the claimed message; False if there are `most` already. Safe to repeat.

    What is known already, in these words, only becomes the newest again.
    """
    text = clean(text)[:MAX_CHARS]
    private = int(held.conversation_kind == "one_to_one")
    known = connection.execute(
        select(FactRow.id).where(*_of(held), FactRow.private == private, FactRow.text == text).limit(1)
    ).scalar()
    if known is not None:
        connection.execute(
            update(FactRow).where(FactRow.id == known).values(message_id=held.message_id, created_at=DB_NOW)
        )
        return True
    count = connection.execute(select(func.count()).select_from(FactRow).where(*_of(held))).scalar_one()
    if count >= most:
        return False
    connection.execute(
        insert(FactRow).values(
            platform=held.platform,
            bot=held.bot,
            user_ref=held.sender_ref,
            text=text,
            private=private,
            conversation_id=held.conversation_id,
            message_id=held.message_id,
            created_at=DB_NOW,
        )
    )
    return True


def known_to(connection: Connection, held: Claim) -> list[Kept]:
    """What is remembered of whoever wrote the claimed message, oldest first; in a group without what is private."""
    shown = [] if held.conversation_kind == "one_to_one" else [FactRow.private == 0]
    rows = connection.execute(
        select(FactRow.id, FactRow.text, FactRow.conversation_id).where(*_of(held), *shown).order_by(FactRow.id)
    )
    return [Kept(row.id, row.text, row.conversation_id) for row in rows]


def forget(connection: Connection, held: Claim, gone: list[Kept]) -> None:
    """Delete these, and let nothing go along any more that was said where they were told, nor here."""
    ids = [fact.fact_id for fact in gone]
    if ids:
        connection.execute(delete(FactRow).where(*_of(held), FactRow.id.in_(ids)))
    for conversation_id in sorted({held.conversation_id, *(fact.conversation_id for fact in gone)}):
        conversations.begin_anew(connection, conversation_id, held.message_id)


def delete_old(connection: Connection, *, older_than_ms: int, limit: int) -> int:
    """Delete up to `limit` facts that were told, or told again, longer ago than that."""
    old = select(FactRow.id).where(FactRow.created_at < DB_NOW - older_than_ms).order_by(FactRow.id).limit(limit)
    return connection.execute(delete(FactRow).where(FactRow.id.in_(old))).rowcount


def _of(held: Claim) -> tuple[ColumnElement[bool], ...]:
    return (FactRow.platform == held.platform, FactRow.bot == held.bot, FactRow.user_ref == held.sender_ref)
