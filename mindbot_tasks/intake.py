"""How a message gets in: judge it, record it once, start it when it is its turn. Door and bridges both come here."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy import Connection

from mindbot_tasks import chains
from mindbot_tasks.chat import rules
from mindbot_tasks.chat.commands import Command, Name
from mindbot_tasks.chat.loops import LoopBreaker
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.holdoff import Holdoff
from mindbot_tasks.core.metrics import MESSAGES
from mindbot_tasks.core.settings import BotSettings, Settings, get_settings
from mindbot_tasks.model.message import ASKS_STATUS, OVER_LIMIT, Message, Stage
from mindbot_tasks.stores import bursts, cancelling, inbox, quota
from mindbot_tasks.stores.database import is_busy
from mindbot_tasks.stores.together import Together

log = structlog.get_logger(__name__)

#: while the database is away callers hear so at once, instead of each waiting for its own time-out
_database = Holdoff(pause_s=1.0)
_loops = LoopBreaker()
#: the worker's clock may be a little behind the database's
_LATER_S = 0.05


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A message and what the rules of its bot make of it."""

    message: Message
    ignored: str = ""
    label: str | None = None
    window_ms: int = 0  #: others of its sender may join it for so long
    stops: bool = False
    stops_all: bool = False  #: not only what the same person has asked

    @property
    def plain(self) -> bool:
        """One statement records it."""
        return not self.stops and not self.window_ms


@dataclass(slots=True)
class _Recorded:
    """What was written down, and what follows from it outside of the ledger."""

    row: inbox.Recorded
    start: bool
    joined: int | None = None
    stopped: list[cancelling.Stopped] = field(default_factory=list)


def receive(messages: Sequence[Message]) -> list[int]:
    """Record each message once and start the chains; returns our ids, those of the first copies for duplicates.

    When this returns, every message is committed. A broker that is down is no error: the sweeper starts the chains.
    Raises DatabaseUnavailable; then the caller must not acknowledge, and may hand in the same messages again.
    """
    settings = get_settings()
    arrivals = [_judge(message, settings) for message in messages]
    recorded = _record(arrivals)
    for arrival, done in zip(arrivals, recorded, strict=True):
        message, row = arrival.message, done.row
        state = "ignored" if row.ignored else "received" if row.fresh else "duplicate"
        MESSAGES.labels(message.platform, state, "").inc()
        log.info("message_in", outcome=state, message_id=row.message_id, platform=message.platform, bot=message.bot)
        _follow_up(arrival, done)
    return [done.row.message_id for done in recorded]


def _judge(message: Message, settings: Settings) -> _Arrival:
    bot = settings.bot(message.platform, message.bot)
    judgement = rules.judge(message, bot)
    if judgement.ignored:
        return _Arrival(message, ignored=judgement.ignored)
    if not message.addressed:
        message = replace(message, addressed=True)  # this bot answers more than what is addressed to it
    sender = (message.platform, message.bot, message.conversation_id, message.sender_id)
    if judgement.command is not None:
        return _of_command(message, judgement.command, bot)
    if _loops.goes_round(sender, message.text, message.external_id, time.monotonic()):
        log.warning("loop_broken", platform=message.platform, bot=message.bot)
        return _Arrival(message, ignored="the same again and again: a loop")
    return _limited(message, bot) or _Arrival(message, window_ms=int(bot.burst_window_s * 1000))


def _of_command(message: Message, command: Command, bot: BotSettings) -> _Arrival:
    """Commands are asked one at a time, and who is over the limit may still stop what is going on."""
    if command.name is Name.STOP:
        return _Arrival(
            message,
            stops=True,
            stops_all=message.conversation_kind != "group" or message.sender_id in bot.admins,
        )
    limited = _limited(message, bot)
    if limited is None and command.name is Name.STATUS:
        return _Arrival(message, label=ASKS_STATUS)
    return limited or _Arrival(message)


def _limited(message: Message, bot: BotSettings) -> _Arrival | None:
    """None: within the limits, or there are none."""
    if not bot.user_rate and not bot.group_rate:
        return None
    whose = f"{message.platform}:{message.bot}"
    limits = {f"user:{whose}:{message.sender_id}": bot.user_rate} if bot.user_rate else {}
    if bot.group_rate and message.conversation_kind == "group":
        limits[f"group:{whose}:{message.conversation_id}"] = bot.group_rate
    refusal = quota.ask(limits, f"{whose}:{message.conversation_id}:{message.sender_id}") if limits else None
    if refusal is None:
        return None
    log.info("message_over_limit", platform=message.platform, bot=message.bot, wait_s=refusal.wait_s)
    return _Arrival(message, label=OVER_LIMIT) if refusal.tell else _Arrival(message, ignored="over the limit")


def _follow_up(arrival: _Arrival, done: _Recorded) -> None:
    if done.stopped:
        cancelling.tell(done.stopped)
        given_up = [one.message_id for one in done.stopped if not one.late]
        if given_up:
            # the others follow, one after the other, and then whoever asked for it hears that it is done
            chains.start(given_up[0], Stage.APOLOGISE)
    if arrival.window_ms and done.row.fresh:
        chains.start(done.joined or done.row.message_id, delay_s=arrival.window_ms / 1000 + _LATER_S)
    elif done.start:
        chains.start(done.row.message_id)


def _record(arrivals: Sequence[_Arrival]) -> list[_Recorded]:
    """The row of each message, and whether it is to be started now."""
    if not _database.allows():
        raise DatabaseUnavailable("the database was away a moment ago")
    try:
        writing = _writing if all(arrival.plain for arrival in arrivals) else _writing_together
        recorded = writing.run(arrivals)
    except DatabaseUnavailable as exc:
        if not is_busy(exc):
            _database.failed()
        raise
    _database.worked()
    return recorded


def _write(connection: Connection, arrivals: Sequence[_Arrival]) -> list[_Recorded]:
    deadline_ms = int(get_settings().times.message_deadline_s * 1000)
    recorded = []
    for arrival in arrivals:
        row = inbox.record_once(
            connection,
            arrival.message,
            deadline_ms=deadline_ms,
            label=arrival.label,
            ignored=arrival.ignored,
            hold_ms=arrival.window_ms or None,
        )
        done = _Recorded(row, start=row.fresh and not row.ignored)
        if arrival.stops:
            whose = None if arrival.stops_all else arrival.message.sender_id
            done.stopped = cancelling.cancel_before(connection, row.message_id, sender_ref=whose)
        if arrival.window_ms and row.fresh:
            done.joined = bursts.join(connection, row.message_id, window_ms=arrival.window_ms)
        if done.start and not row.first_in_line and arrival.label != ASKS_STATUS:
            # the one before it may have ended while this row was on its way, and have seen nobody to start
            done.start = inbox.is_first_in_line(connection, row.message_id)
        recorded.append(done)
    return recorded


_writing = Together(_write)
#: for what takes several statements that belong together
_writing_together = Together(_write, atomic=True)
