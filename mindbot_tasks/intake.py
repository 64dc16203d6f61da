"""How a message gets in: record it once, start it when it is its turn. Door and bridges both come through here."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from mindbot_tasks import chains
from mindbot_tasks.core.metrics import MESSAGES
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.message import Message
from mindbot_tasks.stores import inbox
from mindbot_tasks.stores.database import one_statement

log = structlog.get_logger(__name__)


def receive(messages: Sequence[Message]) -> list[int]:
    """Record each message once and start the chains; returns our ids, those of the first copies for duplicates.

    When this returns, every message is committed. A broker that is down is no error: the sweeper starts the chains.
    Raises DatabaseUnavailable; then the caller must not acknowledge, and may hand in the same messages again.
    """
    deadline_ms = int(get_settings().times.message_deadline_s * 1000)
    recorded = []
    with one_statement() as connection:
        for message in messages:
            row = inbox.record_once(connection, message, deadline_ms=deadline_ms)
            if row.fresh and not row.first_in_line and not row.ignored:
                # the one before it may have ended while this row was on its way, and have seen nobody to start
                first = inbox.is_first_in_line(connection, row.message_id)
                recorded.append((row, first))
            else:
                recorded.append((row, row.fresh))
    for message, (row, start) in zip(messages, recorded, strict=True):
        state = "ignored" if row.ignored else "received" if row.fresh else "duplicate"
        MESSAGES.labels(message.platform, state).inc()
        log.info("message_in", outcome=state, message_id=row.message_id, platform=message.platform, bot=message.bot)
        if start and not row.ignored:
            chains.start(row.message_id)
    return [row.message_id for row, _ in recorded]
