"""Counts how answerers did and what people went on with, a little behind the messages, so that none pays for it."""

from __future__ import annotations

import time
from functools import partial

import structlog

from mindbot_tasks.app import app
from mindbot_tasks.chat import tallying
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError, RetryableError
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.core.settings.agent import IntegrationSettings
from mindbot_tasks.llm import remote_votes
from mindbot_tasks.llm.variants import supposed
from mindbot_tasks.stores import feedback, tallies, workers
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.feedback import Untold
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

EVERY_MS = 30_000
VOTES_EVERY_MS = 120_000
BUDGET_S = 10.0
_BATCH = 200


TELL_EVERY_MS = 30_000
TELL_S = 5.0
MOST_TOLD = 50
MOST_TRIES = 6


@app.task(name="mindbot.tally", base=MindBotTask)
def tally() -> int:
    """Count the messages that have ended since the last time; returns how many. Once in a slot, whoever calls."""
    settings = get_settings()
    if remote_votes.is_wanted(settings):
        _tell_votes(settings)
    wanted = settings.agent.integration if settings.agent else IntegrationSettings()
    if not (settings.workflows or settings.agent) or not (wanted.performance_tracking or wanted.analytics_enabled):
        return 0
    try:
        with one_statement() as connection:
            if not workers.take_duty(connection, "tally", every_ms=EVERY_MS - 2_000):
                return 0
            votes = workers.take_duty(connection, "tally_votes", every_ms=VOTES_EVERY_MS - 2_000)
        counted = _count(settings, wanted)
        if votes and wanted.performance_tracking:
            _count_votes()
    except DatabaseUnavailable as exc:
        log.warning("tally_interrupted", reason=str(exc))
        return 0
    return counted


def _tell_votes(settings: Settings) -> None:
    """Hand votes on to the apps that gave the answers, each a few times at most."""
    ends_at = time.monotonic() + BUDGET_S
    try:
        with one_statement() as connection:
            if not workers.take_duty(connection, "tell_votes", every_ms=TELL_EVERY_MS - 2_000):
                return
        with reading() as connection:
            due = feedback.untold(connection, limit=MOST_TOLD)
        for one in due:
            if time.monotonic() > ends_at:
                break
            again_in_ms = _tell(settings, one)
            with transaction() as connection:
                feedback.settle(connection, one, again_in_ms=again_in_ms)
    except DatabaseUnavailable as exc:
        log.warning("votes_not_told", reason=str(exc))


def _tell(settings: Settings, one: Untold) -> int | None:
    """None: it is done; else after how many milliseconds to try again."""
    try:
        remote_votes.tell(settings, one.details, one.asker, one.vote, Deadline(TELL_S))
    except RetryableError as exc:
        if one.tries + 1 < MOST_TRIES:
            return TELL_EVERY_MS << one.tries
        log.warning("vote_not_told", kind=exc.kind, status=exc.status)
    except FarSideError as exc:
        log.warning("vote_refused", kind=exc.kind, status=exc.status, code=exc.code)
    return None


def _count(settings: Settings, wanted: IntegrationSettings) -> int:
    counted = 0
    ends_at = time.monotonic() + BUDGET_S
    while time.monotonic() < ends_at:
        with reading() as connection:
            since = tallies.reached(connection)
            rows = tallies.ended_after(connection, since, limit=_BATCH)
        if not rows:
            break
        batch = tallying.count(rows, partial(supposed, settings))
        if not wanted.performance_tracking:
            batch.tallies.clear()
        if not wanted.analytics_enabled:
            batch.steps.clear()
        with transaction() as connection:
            if not tallies.add(connection, batch, since=since, up_to=rows[-1].id):
                break  # another one is at it
        counted += len(rows)
        if len(rows) < _BATCH:
            break
    return counted


def _count_votes() -> None:
    with reading() as connection:
        votes = tallying.votes(tallies.voted(connection))
    with transaction() as connection:
        tallies.set_votes(connection, votes)
