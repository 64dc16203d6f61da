"""Calls of tools that wait for a person's "yes": asking, finding, and taking them once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.orm import aliased

from mindbot_tasks.model.message import State
from mindbot_tasks.stores.cleaning import clean_json
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.tables import AnswerRow, MessageRow
from mindbot_tasks.stores.tables_agent import ToolConfirmationRow

#: the key of an answer's details that names what it asks for
IN_DETAILS = "confirmation"

ASKED, RUNNING, DONE = "asked", "running", "done"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What the asker of a message has to confirm, or has confirmed by it."""

    message_id: int  #: whose answer asked
    calls: list[dict[str, Any]]
    state: str
    results: list[Any]


def ask(connection: Connection, message_id: int, token: str, calls: Sequence[Any], *, within_ms: int) -> None:
    """Remember what is asked for; in place of what an earlier try of the same message has asked for."""
    row = ToolConfirmationRow
    values = {
        "token": token,
        "calls": clean_json(list(calls)),
        "state": ASKED,
        "asked_at": DB_NOW,
        "expires_at": DB_NOW + within_ms,
    }
    mine = update(row).where(row.message_id == message_id, row.state == ASKED).values(**values)
    if connection.execute(mine).rowcount == 0:
        connection.execute(insert(row).values(message_id=message_id, **values))


def waiting(connection: Connection, message_id: int) -> Waiting | None:
    """What this message may confirm: asked for by the last answer to the same person in the same conversation, not
    expired, and really said. Also what exactly this message has confirmed in an earlier try. None: nothing."""
    row = ToolConfirmationRow
    now, asked, between = aliased(MessageRow), aliased(MessageRow), aliased(MessageRow)
    meanwhile = (
        select(between.id)
        .where(
            between.conversation_id == now.conversation_id,
            between.sender_ref == now.sender_ref,
            between.id > asked.id,
            between.id < now.id,
            between.state != State.IGNORED.value,
        )
        .exists()
    )
    found = connection.execute(
        select(row.message_id, row.token, row.calls, row.state, row.results, AnswerRow.details)
        .select_from(now)
        .join(asked, (asked.conversation_id == now.conversation_id) & (asked.sender_ref == now.sender_ref))
        .join(row, row.message_id == asked.id)
        .join(AnswerRow, AnswerRow.message_id == asked.id)
        .where(
            now.id == message_id,
            asked.id < now.id,
            asked.state == State.REPLIED.value,
            ((row.state == ASKED) & (row.expires_at > DB_NOW)) | (row.decided_by == now.id),
            ~meanwhile,
        )
        .order_by(asked.id.desc())
        .limit(1)
    ).first()
    if found is None or found.details.get(IN_DETAILS) != found.token:
        return None
    return Waiting(found.message_id, found.calls, found.state, found.results or [])


def take(connection: Connection, found: Waiting, *, decided_by: int) -> bool:
    """asked -> running; True for exactly one caller, who runs the calls now."""
    row = ToolConfirmationRow
    taken = connection.execute(
        update(row)
        .where(row.message_id == found.message_id, row.state == ASKED, row.expires_at > DB_NOW)
        .values(state=RUNNING, decided_by=decided_by, decided_at=DB_NOW)
    )
    return taken.rowcount == 1


def finish(connection: Connection, found: Waiting, results: Sequence[Any], *, decided_by: int) -> None:
    """running -> done, with what came of the calls."""
    row = ToolConfirmationRow
    connection.execute(
        update(row)
        .where(row.message_id == found.message_id, row.state == RUNNING, row.decided_by == decided_by)
        .values(state=DONE, results=clean_json(list(results)))
    )
