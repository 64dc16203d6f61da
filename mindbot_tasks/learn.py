"""Finds, now and then, what people's behaviour says about how their messages should have been classified."""

from __future__ import annotations

import structlog

from mindbot_tasks.app import app
from mindbot_tasks.chat.learned.reasks import SOON_MS, reasks
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.stores import learning, workers
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

EVERY_MS = 10 * 60_000
#: every message is looked at with those before and after it, also when a beat is late
LOOK_BACK_MS = 2 * SOON_MS + 3 * EVERY_MS


@app.task(name="mindbot.learn", base=MindBotTask)
def learn() -> int:
    """Label messages whose sender asked nearly the same again and then got it from another workflow; returns how many.

    Looks at the same messages several times; a label that is there already is only written anew.
    """
    settings = get_settings()
    if not settings.classifier.enabled or not settings.workflows:
        return 0
    try:
        with one_statement() as connection:
            if not workers.take_duty(connection, "learn", every_ms=EVERY_MS):
                return 0
        with reading() as connection:
            asked = learning.answered_since(connection, LOOK_BACK_MS)
        found = dict(reasks(asked))
        if found:
            with transaction() as connection:
                for message_id, label in found.items():
                    learning.give_label(connection, message_id, label, "reask", "")
            log.info("learned_from_reasks", examples=len(found))
    except DatabaseUnavailable as exc:
        log.warning("learning_interrupted", reason=str(exc))
        return 0
    return len(found)
