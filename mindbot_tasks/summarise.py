"""Writes summaries of what no longer goes along with questions, in the background; nobody waits for them.

A row of the ledger says that a conversation needs one. A writer who is killed leaves it due again after his lease.
"""

from __future__ import annotations

import time

import structlog

from mindbot_tasks.app import app
from mindbot_tasks.chat import summing
from mindbot_tasks.chat.response.processing import processing_of
from mindbot_tasks.core import shutdown
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError, MindBotError, Stopped
from mindbot_tasks.core.metrics import SUMMARIES
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.llm import fallback
from mindbot_tasks.stores import summaries
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.stores.summaries import Task
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

#: of one run; the next one goes on
BUDGET_S = 40.0
#: one summary; a model that takes longer is not the right one for it
CALL_S = 60.0
#: longer than a call, so that nobody else begins the same meanwhile
LEASE_MS = int((CALL_S + 30) * 1000)


@app.task(name="mindbot.summarise", base=MindBotTask)
def summarise() -> int:
    """Write the summaries that are due, one after the other; returns how many. Any number of these may run at once."""
    settings = get_settings()
    ways = summing.ways(settings)
    if not ways:
        return 0
    written = 0
    ends_at = time.monotonic() + BUDGET_S
    try:
        while time.monotonic() < ends_at and not shutdown.stopping():
            with one_statement() as connection:
                task = summaries.take(connection, lease_ms=LEASE_MS)
            if task is None:
                break
            written += _write(task, settings)
    except DatabaseUnavailable as exc:
        log.warning("summaries_interrupted", reason=str(exc))
    return written


def _write(task: Task, settings: Settings) -> bool:
    with reading() as connection:
        exchanges = summaries.exchanges(connection, task)
    question = summing.question(task, exchanges, settings)
    if question is None:  # messages that were to be summed up are gone, or were none
        with one_statement() as connection:
            return summaries.save(connection, task, task.before, until_id=task.wanted_id)
    asked, until_id = question
    asked = processing_of(settings, task.platform, task.bot).for_models(asked)
    try:
        told = fallback.answer(
            summing.ways(settings, asked.language),
            asked,
            {},
            Deadline(CALL_S, stop_check=shutdown.check),
            _nobody,
            purpose="summary",
        )
    except (FarSideError, Stopped) as exc:
        with one_statement() as connection:
            summaries.failed(connection, task, _described(exc), ours=isinstance(exc, Stopped))
        SUMMARIES.labels("failed").inc()
        log.warning("summary_failed", conversation_id=task.conversation_id, reason=_described(exc))
        return False
    answer = told.answer
    text = summing.text_of(answer.text, settings.context_of(task.platform, task.bot).summary_tokens)
    with one_statement() as connection:
        saved = summaries.save(
            connection, task, text, until_id=until_id, provider=answer.provider, model=answer.model, usage=answer.usage
        )
    SUMMARIES.labels("written" if saved else "late").inc()
    log.info(
        "summary_written" if saved else "summary_too_late",
        conversation_id=task.conversation_id,
        answerer=told.answerer,
        model=answer.model,
        exchanges=len(exchanges),
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
    )
    return saved


def _described(exc: MindBotError) -> str:
    return f"{type(exc).__name__}: {getattr(exc, 'kind', '')} {getattr(exc, 'code', None) or ''}".strip()


def _nobody(text: str) -> None:
    """Nobody watches a summary grow."""
