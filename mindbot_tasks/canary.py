"""A bird through every queue: that it comes out is the only proof that somebody consumes."""

from __future__ import annotations

import structlog

from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.stores import workers
from mindbot_tasks.stores.database import one_statement
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)


@app.task(name="mindbot.canary", base=MindBotTask)
def canary(queue: str, sent_at: int) -> None:
    """Note that what was put into `queue` until `sent_at` (milliseconds, the database's clock) has come out."""
    try:
        with one_statement() as connection:
            workers.note_canary(connection, queue, sent_at)
    except DatabaseUnavailable as exc:
        log.warning("canary_lost", reason=str(exc))  # readiness looks at the database itself
