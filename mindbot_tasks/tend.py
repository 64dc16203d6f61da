"""Looks after the knowledge base: wakes up whoever reads documents, has lost vectors made anew, tells how it is."""

from __future__ import annotations

import redis
import structlog
from kombu.exceptions import OperationalError

from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.knowledge import condition
from mindbot_tasks.knowledge.ingesting import repair
from mindbot_tasks.stores import knowledge, knowledge_state, workers
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

EVERY_MS = 10_000
REPAIR_EVERY_MS = 60_000
_EXPIRES_S = 30


@app.task(name="mindbot.tend", base=MindBotTask)
def tend() -> bool:
    """Returns whether there was something to do. Only where `chromadb` is configured: elsewhere nobody would do it."""
    settings = get_settings()
    if settings.chromadb is None:
        return False
    try:
        with one_statement() as connection:
            if not workers.take_duty(connection, "tend", every_ms=EVERY_MS - 1_000):
                return False
            look = workers.take_duty(connection, "tend_vectors", every_ms=REPAIR_EVERY_MS - 1_000)
        if look:
            try:
                repair(settings)
            except FarSideError as exc:
                log.warning("vectors_not_compared", kind=exc.kind)
        knowledge_state.tell(condition.look(settings))
        with reading() as connection:
            due = knowledge.is_due(connection)
        if due:
            app.send_task("mindbot.ingest", queue="ingest", expires=_EXPIRES_S)
        return due
    except (DatabaseUnavailable, redis.RedisError, OperationalError, OSError) as exc:
        log.warning("tending_interrupted", reason=type(exc).__name__)
        return False
