"""How a message gets in: record it once, start it when it is its turn. Door, bridges and `collect` all do it here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import Connection

from mindbot_tasks import admission, chains
from mindbot_tasks.admission import Admission, Admitted
from mindbot_tasks.core import telemetry
from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.core.metrics import MESSAGES, OCCURRENCES
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import UNASKED, Message, Part, Stage
from mindbot_tasks.model.news import News, Occurrence
from mindbot_tasks.platforms.base import WritesFirst
from mindbot_tasks.platforms.queues import reply_queue
from mindbot_tasks.stores import cancelling, feedback, feeds, inbox, occurrences, traffic, unasked
from mindbot_tasks.stores.cleaning import cut
from mindbot_tasks.stores.database import is_busy, one_statement, transaction
from mindbot_tasks.stores.feeds import Feed
from mindbot_tasks.stores.together import Together

log = structlog.get_logger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

#: while the database is away callers hear so at once, instead of each waiting for its own time-out
_database = Holdoff(pause_s=1.0)

#: the worker's clock may be a little behind the database's
_LATER_S = 0.05
TOO_OLD = "older than max_age_s when its feed was read for the first time"
WITH_PERSON = "a person has this conversation"


def receive(messages: Sequence[Message]) -> list[int]:
    """Record each message once and start the chains; returns our ids, those of the first copies for duplicates.

    When this returns, every message is committed. A broker that is down is no error: the sweeper starts the chains.
    Raises DatabaseUnavailable; then the caller must not acknowledge, and may hand in the same messages again.
    """
    return record(messages)()


def record(messages: Sequence[Message]) -> Callable[[], list[int]]:
    """The first half of `receive`, for who must not wait for a broker; what it returns is the second.

    Raises DatabaseUnavailable.
    """
    seen = telemetry.arrival()
    if seen is not None:
        messages = [replace(message, address=seen.carried(message.address)) for message in messages]
        seen.recording_ns = time.time_ns()
    admissions = [admission.admit(message) for message in messages]
    if all(one.plain for one in admissions):
        return _recorded(_safely(_writing, admissions), seen)
    if _database.allows():
        with one_statement() as connection:
            for message in messages:
                inbox.introduce(connection, message)
    return _recorded(_safely(_writing_together, admissions), seen)


def _recorded(admitted: Sequence[Admitted], seen: telemetry.Arrival | None) -> Callable[[], list[int]]:
    if seen is not None:
        seen.recorded_ns = time.time_ns()
    return partial(_start, admitted, seen)


def news(platform: str, bot: str, told: News) -> None:
    """Record what a call brought beside messages, and have somebody fetch what was announced.

    When this returns, all of it is committed. Raises DatabaseUnavailable; then the caller must not acknowledge.
    """
    if not (told.bells or told.occurrences or told.feedback):
        return
    rung = _safely(_telling, (platform, bot, told))
    for occurrence in told.occurrences:
        OCCURRENCES.labels(platform, occurrence.kind).inc()
    for feed_id in rung:
        log.info("bell", platform=platform, bot=bot, feed=feed_id)
        chains.collect(feed_id)


def send(
    platform: WritesFirst, parts: Sequence[Part], *, user_id: str = "", conversation_id: str = "", key: str
) -> inbox.Recorded:
    """A message that nobody asked for, to a person or a group; once for each key. It is recorded, then delivered.

    Raises DatabaseUnavailable, or Rejected for somebody who cannot be written to.
    """
    message = Message(
        platform=platform.name,
        bot=platform.bot,
        external_id=f"unasked-{key}",
        conversation_id=conversation_id or user_id,
        conversation_kind="group" if conversation_id else "one_to_one",
        sender_id=user_id or platform.bot,
        sender_name="",
        parts=(),
        address=platform.address_of(user_id, conversation_id),
    )
    words = "\n\n".join(part.text for part in parts if part.kind in ("text", "markdown"))
    others = tuple(part for part in parts if part.kind not in ("text", "markdown"))
    said = Answer(text=words, provider=UNASKED, parts=others)
    deadline_ms = int(get_settings().times.message_deadline_s * 1000)
    seen = telemetry.arrival("send")
    with transaction() as connection:
        row = unasked.record_once(connection, message, said, deadline_ms=deadline_ms)
    start = row.fresh
    if start and not row.first_in_line:
        with one_statement() as connection:
            start = inbox.is_first_in_line(connection, row.message_id)
    MESSAGES.labels(platform.name, "unasked" if row.fresh else "duplicate", "").inc()
    with _traced(seen, message, row):
        log.info(
            "message_unasked", fresh=row.fresh, message_id=row.message_id, platform=platform.name, bot=platform.bot
        )
        if start:
            chains.start(row.message_id, Stage.REPLY, reply_queue(platform.name, platform.bot))
    return row


def page(
    held: Feed, items: Sequence[Message | Occurrence], cursor: str, *, max_age_s: float
) -> tuple[Feed, list[Occurrence]]:
    """One page of a feed: its messages, what happened, and the new cursor in one commit; then the chains start.

    Returns the feed as it is held now, and what happened that we had not known. Raises DatabaseUnavailable, or LostFeed
    when the feed is in other hands; then nothing of the page was recorded.
    """
    messages = [item for item in items if isinstance(item, Message)]
    seen = telemetry.arrival("collect")
    with one_statement() as connection:
        for message in messages:
            inbox.introduce(connection, message)
    admitted: list[Admitted] = []
    admissions = {message.external_id: admission.admit(message) for message in messages}
    fresh: list[Occurrence] = []
    deadline_ms = int(get_settings().times.message_deadline_s * 1000)
    oldest_ms = now_ms() - int(max_age_s * 1000) if held.first else 0
    if seen is not None:
        seen.recording_ns = time.time_ns()
    with transaction(durable=True) as connection:
        conversations = {message.conversation_id for message in messages}
        with_person = occurrences.with_humans(connection, held.platform, held.bot, conversations)
        for item in items:
            if isinstance(item, Occurrence):
                if occurrences.record_once(connection, held.platform, held.bot, item):
                    fresh.append(item)
                    if item.with_human is not None:
                        (with_person.add if item.with_human else with_person.discard)(item.conversation_id)
                continue
            one = admissions[item.external_id]
            if item.conversation_id in with_person:
                one = admission.ignoring(item, WITH_PERSON)
            elif item.sent_at_ms is not None and item.sent_at_ms < oldest_ms:
                one = admission.ignoring(item, TOO_OLD)
            admitted.append(admission.record(connection, one, deadline_ms=deadline_ms))
        # last, for a bell at the door waits for whoever changes this row
        advanced = feeds.advance(connection, held, cursor)
    for occurrence in fresh:
        OCCURRENCES.labels(held.platform, occurrence.kind).inc()
        log.info("occurrence", platform=held.platform, bot=held.bot, kind=occurrence.kind)
    # only now, for whoever ends the one before looks for a follower among what is committed
    for done in admitted:
        if admission.waits_for_its_turn(done):
            with one_statement() as connection:
                done.start = inbox.is_first_in_line(connection, done.row.message_id)
    _recorded(admitted, seen)()
    return advanced, fresh


def _start(admitted: Sequence[Admitted], seen: telemetry.Arrival | None) -> list[int]:
    """Count what was recorded, and start the chains of those whose turn it is."""
    for done in admitted:
        message, row = done.admission.message, done.row
        state = "ignored" if row.ignored else "received" if row.fresh else "duplicate"
        MESSAGES.labels(message.platform, state, "").inc()
        traffic.note(message.platform, message.bot, "in")
        with _traced(seen, message, row):
            log.info("message_in", outcome=state, message_id=row.message_id, platform=message.platform, bot=message.bot)
            _start_one(done, reply_queue(message.platform, message.bot))
    return [done.row.message_id for done in admitted]


def _traced(seen: telemetry.Arrival | None, message: Message, row: inbox.Recorded) -> telemetry.Span:
    """The root of its trace. What nobody answers has none: in a busy group that is most of what comes."""
    return telemetry.received(
        seen if not row.ignored else None,
        (message.platform, message.bot, cut(message.external_id)),
        message.address,
        {
            "mindbot.message.id": row.message_id,
            "mindbot.platform": message.platform,
            "mindbot.bot": message.bot,
            "mindbot.duplicate": not row.fresh,
        },
        fresh=row.fresh,
    )


def _start_one(done: Admitted, queue: str) -> None:
    if done.stopped:
        cancelling.tell(done.stopped)
        given_up = [one.message_id for one in done.stopped if not one.late]
        if given_up:
            # the others follow, one after the other, and then whoever asked for it hears that it is done
            chains.start(given_up[0], Stage.APOLOGISE, queue)
    if done.admission.window_ms and done.row.fresh:
        first = done.joined or done.row.message_id
        chains.start(first, Stage.CLASSIFY, queue, delay_s=done.admission.window_ms / 1000 + _LATER_S)
    elif done.start:
        chains.start(done.row.message_id, Stage.CLASSIFY, queue)


def _safely(work: Together[Item, Result], item: Item) -> Result:
    """What `work` returns for this item, once it is committed. While the database is away, says so at once."""
    if not _database.allows():
        raise DatabaseUnavailable("the database was away a moment ago")
    try:
        result = work.run(item)
    except DatabaseUnavailable as exc:
        if not is_busy(exc):
            _database.failed()
        raise
    _database.worked()
    return result


def _write(connection: Connection, admissions: Sequence[Admission]) -> Sequence[Admitted]:
    """The row of each message, and whether it is to be started now."""
    deadline_ms = int(get_settings().times.message_deadline_s * 1000)
    admitted = []
    for one in admissions:
        done = admission.record(connection, one, deadline_ms=deadline_ms)
        if admission.waits_for_its_turn(done):
            # the one before it may have ended while this row was on its way, and have seen nobody to start
            done.start = inbox.is_first_in_line(connection, done.row.message_id)
        admitted.append(done)
    return admitted


def _tell(connection: Connection, item: tuple[str, str, News]) -> list[int]:
    """Everything of one call; returns the feeds that have something new."""
    platform, bot, told = item
    for occurrence in told.occurrences:
        occurrences.record_once(connection, platform, bot, occurrence)
    for given in told.feedback:
        feedback.record(connection, platform, bot, given)
    return [feeds.ring(connection, platform, bot, bell.feed, bell.token) for bell in told.bells]


_writing = Together(_write)
#: for what takes several statements that belong together
_writing_together = Together(_write, atomic=True)
_telling = Together(_tell)
