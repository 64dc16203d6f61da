"""The sweeper: whatever was lost on the way is found in the ledger and set going again, or ended with an apology."""

from __future__ import annotations

import functools
import time
from collections import defaultdict
from collections.abc import Mapping

import structlog
from kombu.exceptions import OperationalError

from mindbot_tasks import chains, lanes, presence
from mindbot_tasks.app import app
from mindbot_tasks.core.errors import DatabaseUnavailable, MindBotError
from mindbot_tasks.core.metrics import MESSAGES
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import Pulls
from mindbot_tasks.platforms.queues import reply_queue
from mindbot_tasks.stores import claims, feeds, health, sweeping, workers
from mindbot_tasks.stores.database import one_statement, reading
from mindbot_tasks.stores.sweeping import Decision, Due, End, GiveUp, Start, Wait
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

EVERY_MS = 5_000
#: a sweep ends after this long; what is left comes with the next one
BUDGET_S = 4.0
_BATCH = 500
#: a canary that is older tells nothing new
CANARY_EXPIRES_S = 120


@app.task(name="mindbot.sweep", base=MindBotTask)
def sweep(at_once: bool = False) -> int:
    """Look at every message that is due; returns how many were touched.

    Once in a slot of five seconds, whoever calls: beat, a second beat, or a worker that finds beat missing.
    at_once: a worker has died this moment; what it held does not wait for the slot.
    """
    try:
        if at_once:
            return _sweep_due()
        with one_statement() as connection:
            # a little less than the slot, or beat's own jitter would make every second sweep come too early
            if not workers.take_duty(connection, "sweep", every_ms=EVERY_MS - 500):
                return 0
            freed = sweeping.bury_silent_workers(connection) if presence.get_presence().steady() else []
        if freed:
            log.warning("work_of_a_lost_worker_freed", messages=len(freed))
        touched = _sweep_due()
        _read_due_feeds()
        return touched
    except DatabaseUnavailable as exc:
        log.warning("sweep_skipped", reason=str(exc))
        return 0


def _sweep_due() -> int:
    ends_at = time.monotonic() + BUDGET_S
    through_ms = _ask_the_queues()
    touched = 0
    while time.monotonic() < ends_at:
        with reading() as connection:
            batch = sweeping.find_due(connection, limit=_BATCH)
        waits: defaultdict[int, list[int]] = defaultdict(list)
        for due in batch:
            decision = sweeping.decide(
                due,
                through_ms=through_ms,
                reply_queue=reply_queue(due.platform, due.bot),
                generate_queue=_generate_queue(due),
            )
            if isinstance(decision, Wait):
                waits[decision.look_again_ms].append(due.message_id)
                continue
            with one_statement() as connection:
                changed = sweeping.apply(connection, due, decision)
            if changed:
                touched += 1
                _carry_out(due, decision)
        for pause_ms, message_ids in waits.items():
            with one_statement() as connection:
                sweeping.postpone(connection, message_ids, pause_ms)
        if len(batch) < _BATCH:
            break
    return touched


def _read_due_feeds() -> None:
    """Feeds whose bell nobody heard, whose reader died, or that were not looked at for a while."""
    _know_configured_feeds()
    with one_statement() as connection:
        if presence.get_presence().steady() and (freed := feeds.free_lost(connection)):
            log.warning("feeds_of_a_lost_worker_freed", feeds=freed)
        due = feeds.due(connection, poll_ms=int(get_settings().times.feed_poll_s * 1000))
        served = "collect" in health.served_queues(connection) if due else False
    if not served:
        return  # nobody would take them, and they would pile up
    for feed_id in due:
        chains.collect(feed_id)


@functools.cache  # once in the life of a process
def _know_configured_feeds() -> None:
    for name, bot in registry.enabled(get_settings()):
        try:
            platform = registry.get(name, bot)
        except MindBotError as exc:  # one bot that cannot be made must not stop the sweeper
            log.warning("bot_unusable", platform=name, bot=bot, reason=str(exc))
            continue
        if isinstance(platform, Pulls):
            with one_statement() as connection:
                for feed in platform.feeds():
                    feeds.know(connection, name, bot, feed)


def _generate_queue(due: Due) -> str:
    """Where its answer is made; whoever has handed it over knew better."""
    if due.state is not State.CLASSIFIED:
        return lanes.GENERATE
    return due.handed_to or lanes.generate_queue(get_settings(), due.platform, due.bot, due.label, due.confidence)


def _carry_out(due: Due, decision: Decision) -> None:
    """What follows outside of the ledger from a decision that is written down."""
    queue = reply_queue(due.platform, due.bot)
    match decision:
        case Start(stage=stage, alone=alone):
            log.info(
                "message_restarted", message_id=due.message_id, start=str(stage), state=str(due.state), alone=alone
            )
            chains.start(due.message_id, stage, queue, generate_queue=_generate_queue(due), alone=alone)
        case GiveUp(verdict=verdict):
            MESSAGES.labels("", f"given_up_{verdict}", "").inc()
            log.warning("message_given_up", message_id=due.message_id, verdict=str(verdict))
            chains.start(due.message_id, Stage.APOLOGISE, queue)
        case End(state=state):
            MESSAGES.labels("", str(state), "").inc()
            log.error("message_ended_in_silence", message_id=due.message_id, state=str(state))
            with reading() as connection:
                following = claims.following(connection, due.message_id)
            if following is not None:
                chains.start(*following, queue)


def _ask_the_queues() -> Mapping[str, int] | None:
    """Let a canary fly through every queue that somebody serves, and see how far the earlier ones have come.

    None when the broker does not answer. A queue that nobody serves gets none: they would pile up there.
    """
    with reading() as connection:
        served = health.served_queues(connection)
        now = workers.database_time(connection)
        through_ms = workers.through_ms(connection)
    try:
        # not one of a bot that only another configuration has: this process could not publish to it
        for queue in sorted(served & set(app.amqp.queues)):
            app.send_task("mindbot.canary", args=(queue, now), queue=queue, expires=CANARY_EXPIRES_S)
    except (OperationalError, OSError) as exc:
        log.warning("broker_does_not_answer", reason=type(exc).__name__)
        return None
    return through_ms
