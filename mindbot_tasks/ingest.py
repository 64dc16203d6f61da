"""Reads the documents that are due; a wake-up like all tasks: what is to be done stands in the rows."""

from __future__ import annotations

import os

import structlog

from mindbot_tasks.app import app
from mindbot_tasks.core import shutdown
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.knowledge.ingesting import work_off
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

BUDGET_S = 120.0
#: nobody waits for documents: where the processor is short, whoever answers has it first
_NICE = 10


@app.task(name="mindbot.ingest", base=MindBotTask)
def ingest() -> int:
    """Work on documents until none is due; returns how many were taken up."""
    if os.getpriority(os.PRIO_PROCESS, 0) < _NICE:
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    try:
        return work_off(get_settings(), seconds=BUDGET_S, stop=shutdown.stopping)
    except DatabaseUnavailable as exc:
        log.warning("ingest_interrupted", reason=str(exc))
        return 0
