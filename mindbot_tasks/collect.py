"""Fetches what a platform only announces: page by page, each with its cursor in one commit, to the end."""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from celery.exceptions import Ignore, Retry

from mindbot_tasks import intake, presence
from mindbot_tasks.app import app
from mindbot_tasks.core import shutdown, telemetry
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import (
    DatabaseUnavailable,
    Draining,
    FarSideError,
    MindBotError,
    Rejected,
    RetryableError,
    Unavailable,
)
from mindbot_tasks.core.metrics import FEED_PAGES, RETRIES
from mindbot_tasks.model.message import Message
from mindbot_tasks.model.news import Occurrence
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import HandsOver, Platform, Pulls, Reacts
from mindbot_tasks.stores import feeds, occurrences
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.stores.feeds import Feed, LostFeed
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

#: seconds for one page from the far side; less than a feed is held
PAGE_S = 15.0
#: seconds for everything that has to be done at once about the occurrences of a page
REACT_S = 10.0
#: empty pages in a row, each promising more, after which the far side is taken to turn in circles
MOST_EMPTY = 100
#: after a no: somebody has to change something first
REFUSED_S = 300.0
#: for a bot that nobody here knows
GONE_S = 3600.0

_held: ContextVar[Feed | None] = ContextVar("held_feed", default=None)


class FeedTask(MindBotTask):
    """Retries of a feed: the delay stands in the feed's row, and the sweeper starts the next try."""

    abstract = True

    def retry(
        self, *args: Any, exc: BaseException | None = None, countdown: float | None = None, **options: Any
    ) -> Any:
        held = _held.get()
        if held is None:
            raise exc or Ignore()
        delay_s = max(getattr(exc, "retry_after_s", None) or 0.0, countdown or 0.0)
        RETRIES.labels("collect", getattr(exc, "kind", "")).inc()
        _give_back(held, delay_s, exc, failed=True)
        log.warning("feed_deferred", feed=held.feed_id, reason=str(exc), delay_s=round(delay_s, 2))
        raise Retry(
            str(exc),
            exc=exc if isinstance(exc, Exception) else None,
            when=datetime.now(UTC) + timedelta(seconds=delay_s),
        )


@app.task(
    name="mindbot.collect",
    bind=True,
    base=FeedTask,
    autoretry_for=(RetryableError,),
    retry_backoff=2,  # seconds: up to 2, 4, 8 ... with jitter; longer when the platform asks for it
    retry_backoff_max=60,
    max_retries=None,  # what is in a feed must be fetched, however long that takes
)
def collect(self: FeedTask, feed_id: int) -> int:
    """Read one feed to its end; returns how many pages that took.

    Kept promises: a message is safe before the cursor passes it, for both are one commit; a bell that rings meanwhile
    is one more round; a worker that dies leaves the feed to the sweeper.
    """
    _held.set(None)
    if shutdown.stopping():
        raise Ignore  # nobody holds the feed; whoever sweeps next starts it elsewhere
    try:
        worker_id = presence.get_presence().worker_id
        with one_statement() as connection:
            held = feeds.take(connection, feed_id, worker_id)
    except DatabaseUnavailable as exc:
        log.warning("database_unavailable", reason=str(exc))
        raise Ignore from None
    if held is None:
        raise Ignore  # somebody is at it, and will hear the bell that started this task
    _held.set(held)
    self.request.retries = held.failures  # so that Celery computes the back-off from what the row remembers
    with structlog.contextvars.bound_contextvars(feed=feed_id, platform=held.platform, bot=held.bot):
        try:
            return _read_to_the_end(held)
        except LostFeed:
            log.info("feed_lost")
        except Draining as exc:
            _give_back(_now_held(), 0, exc, failed=False)
        except DatabaseUnavailable as exc:
            log.warning("database_unavailable", reason=str(exc))
            _give_back(_now_held(), 0, exc, failed=False)
        except RetryableError:
            raise
        except MindBotError as exc:  # refused, or a bot that is not configured here
            log.error("feed_refused", reason=str(exc), code=getattr(exc, "code", None))
            _give_back(_now_held(), REFUSED_S if isinstance(exc, FarSideError) else GONE_S, exc, failed=True)
        raise Ignore


def _read_to_the_end(held: Feed) -> int:
    platform: Platform = registry.get(held.platform, held.bot)
    if not isinstance(platform, Pulls):
        raise Rejected(f"the platform {held.platform!r} has no feeds", kind="invalid_request")
    pages = empty = 0
    while True:
        with telemetry.arriving(f"collect {held.platform}", "consumer", {"mindbot.feed": held.feed_id}):
            pulled = platform.pull(held.feed, held.cursor, held.token, Deadline(PAGE_S, stop_check=shutdown.check))
            empty = 0 if pulled.items else empty + 1
            if pulled.more and empty > MOST_EMPTY:
                raise Unavailable("the feed promises more and more, and brings nothing", kind="protocol")
            _look_for_persons(platform, held, pulled.items)
            held, fresh = intake.page(held, pulled.items, pulled.cursor or held.cursor, max_age_s=platform.max_age_s)
        _held.set(held)
        pages += 1
        FEED_PAGES.labels(held.platform).inc()
        _react(platform, fresh)
        if pulled.more:
            continue
        with one_statement() as connection:
            again = feeds.served(connection, held)
        if again is None:
            log.info("feed_read", pages=pages)
            return pages
        held = again
        _held.set(held)


def _look_for_persons(platform: Platform, held: Feed, items: Sequence[Message | Occurrence]) -> None:
    """Give conversations back to the bot whose person has gone without a word, before their messages are recorded."""
    if not isinstance(platform, HandsOver):
        return
    talking = {item.conversation_id for item in items if isinstance(item, Message)}
    # where the page itself tells, the order in it decides
    talking -= {item.conversation_id for item in items if isinstance(item, Occurrence) and item.with_human is not None}
    with reading() as connection:
        with_person = occurrences.with_humans(connection, held.platform, held.bot, talking)
    deadline = Deadline(REACT_S, stop_check=shutdown.check)
    for conversation in sorted(with_person):
        try:
            if platform.has_person(conversation, deadline.within(REACT_S / 2)):
                continue
        except FarSideError as exc:
            log.warning("person_unknown", reason=str(exc), code=exc.code)
            continue
        with one_statement() as connection:
            occurrences.set_with_human(connection, held.platform, held.bot, conversation, False)


def _react(platform: Platform, fresh: list[Occurrence]) -> None:
    """What cannot wait. That it does not work is no reason to keep messages waiting."""
    if not fresh or not isinstance(platform, Reacts):
        return
    deadline = Deadline(REACT_S, stop_check=shutdown.check)
    for occurrence in fresh:
        try:
            platform.react(occurrence, deadline.within(REACT_S / 2))
        except FarSideError as exc:
            log.warning("reaction_failed", kind=occurrence.kind, reason=str(exc), code=exc.code)


def _now_held() -> Feed:
    held = _held.get()
    assert held is not None  # noqa: S101 - it was set before anything could fail
    return held


def _give_back(held: Feed, delay_s: float, exc: BaseException | None, *, failed: bool) -> None:
    """Let others go on with the feed after a while; when the database is away, as soon as it is back."""
    change = partial(_write_back, held, delay_ms=int(delay_s * 1000), error=_words(exc), failed=failed)
    try:
        change()
    except DatabaseUnavailable:
        presence.get_presence().later(change)


def _write_back(held: Feed, *, delay_ms: int, error: str, failed: bool) -> None:
    with one_statement() as connection:
        feeds.give_back(connection, held, delay_ms=delay_ms, error=error, failed=failed)


def _words(exc: BaseException | None) -> str:
    return str(exc) if isinstance(exc, MindBotError) else type(exc).__name__
