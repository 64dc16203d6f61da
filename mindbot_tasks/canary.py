"""A bird through every queue: that it comes out is the only proof that somebody consumes."""

from __future__ import annotations

import structlog

from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.stores import health, workers
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)


@app.task(name="mindbot.canary", base=MindBotTask)
def canary(queue: str = "") -> None:
    """Note that a task came through `queue`; without one, let a canary fly through every queue that somebody serves.

    A queue that nobody serves gets none: they would pile up there.
    """
    try:
        if queue:
            with one_statement() as connection:
                workers.take_duty(connection, f"canary:{queue}", every_ms=0)
            return
        with reading() as connection:
            served = health.served_queues(connection)
    except DatabaseUnavailable as exc:
        log.warning("canary_lost", reason=str(exc))  # readiness looks at the database itself
        return
    for name in sorted(served):
        app.send_task("mindbot.canary", args=(name,), queue=name, expires=30)
