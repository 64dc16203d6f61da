"""How a message gets in: record it once, start it when it is its turn. Door and bridges both come through here."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from sqlalchemy import Connection

from mindbot_tasks import chains
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.core.metrics import MESSAGES
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.message import Message
from mindbot_tasks.stores import inbox, traffic
from mindbot_tasks.stores.database import is_busy
from mindbot_tasks.stores.together import Together

log = structlog.get_logger(__name__)

#: while the database is away callers hear so at once, instead of each waiting for its own time-out
_database = Holdoff(pause_s=1.0)


def receive(messages: Sequence[Message]) -> list[int]:
    """Record each message once and start the chains; returns our ids, those of the first copies for duplicates.

    When this returns, every message is committed. A broker that is down is no error: the sweeper starts the chains.
    Raises DatabaseUnavailable; then the caller must not acknowledge, and may hand in the same messages again.
    """
    recorded = _record(messages)
    for message, (row, start) in zip(messages, recorded, strict=True):
        state = "ignored" if row.ignored else "received" if row.fresh else "duplicate"
        MESSAGES.labels(message.platform, state, "").inc()
        traffic.note(message.platform, message.bot, "in")
        log.info("message_in", outcome=state, message_id=row.message_id, platform=message.platform, bot=message.bot)
        if start and not row.ignored:
            chains.start(row.message_id)
    return [row.message_id for row, _ in recorded]


def _record(messages: Sequence[Message]) -> list[tuple[inbox.Recorded, bool]]:
    """The row of each message, and whether it is to be started now."""
    if not _database.allows():
        raise DatabaseUnavailable("the database was away a moment ago")
    try:
        recorded = _writing.run(messages)
    except DatabaseUnavailable as exc:
        if not is_busy(exc):
            _database.failed()
        raise
    _database.worked()
    return recorded


def _write(connection: Connection, messages: Sequence[Message]) -> list[tuple[inbox.Recorded, bool]]:
    deadline_ms = int(get_settings().times.message_deadline_s * 1000)
    recorded = []
    for message in messages:
        row = inbox.record_once(connection, message, deadline_ms=deadline_ms)
        start = row.fresh
        if row.fresh and not row.first_in_line and not row.ignored:
            # the one before it may have ended while this row was on its way, and have seen nobody to start
            start = inbox.is_first_in_line(connection, row.message_id)
        recorded.append((row, start))
    return recorded


_writing = Together(_write)
