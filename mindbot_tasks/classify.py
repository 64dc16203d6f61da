"""The first stage of a conversation: what kind of request is this?"""

from __future__ import annotations

import structlog

from mindbot_tasks.app import app
from mindbot_tasks.chat.classification import Classifier
from mindbot_tasks.core.errors import RetryableError
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.stores import live, steps
from mindbot_tasks.stores.database import one_statement
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)


@app.task(
    name="mindbot.classify",
    bind=True,
    base=MindBotTask,
    stage=Stage.CLASSIFY,
    autoretry_for=(RetryableError,),
    retry_backoff=2,  # seconds: up to 2, 4, 8, with jitter
    retry_backoff_max=30,
    max_retries=3,
)
def classify(self: MindBotTask, message_id: int) -> None:
    """Label one message with the workflow it is for; a message that fits none is general chat."""
    held = self.claim(message_id)
    classification = Classifier.of(get_settings().workflows).classify(held.text)
    with one_statement() as connection:
        steps.save_classification(connection, held, classification)
    live.tell_state(held.platform, message_id, State.CLASSIFIED)
    log.info("classified", label=classification.label, confidence=round(classification.confidence, 3))
