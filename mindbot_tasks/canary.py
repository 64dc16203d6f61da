"""A bird through every queue: that it comes out is the only proof that somebody consumes."""

from __future__ import annotations

from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.stores import workers
from mindbot_tasks.stores.database import one_statement
from mindbot_tasks.task import MindBotTask


@app.task(name="mindbot.canary", base=MindBotTask)
def canary(queue: str) -> bool:
    """Note that a task came through `queue`; False when the database is away, which readiness sees by itself."""
    try:
        with one_statement() as connection:
            workers.take_duty(connection, f"canary:{queue}", every_ms=0)
    except DatabaseUnavailable:
        return False
    return True
