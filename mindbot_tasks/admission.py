"""What the rules of a bot make of a message at the door, and how that is written down. No stage has seen it yet."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import structlog
from sqlalchemy import Connection

from mindbot_tasks.chat import rules
from mindbot_tasks.chat.commands import Command, Name
from mindbot_tasks.chat.loops import LoopBreaker
from mindbot_tasks.core.settings import BotSettings, get_settings
from mindbot_tasks.model.message import ASKS_STATUS, OVER_LIMIT, Message
from mindbot_tasks.stores import bursts, cancelling, inbox, quota
from mindbot_tasks.stores.cancelling import Stopped
from mindbot_tasks.stores.cleaning import cut

log = structlog.get_logger(__name__)

loops = LoopBreaker()


@dataclass(frozen=True, slots=True)
class Admission:
    """A message as it is to be recorded."""

    message: Message
    label: str | None = None
    window_ms: int = 0  #: others of its sender may join it for so long
    stops: bool = False  #: what was asked before it
    stops_all: bool = False  #: not only what the same person has asked

    @property
    def plain(self) -> bool:
        """One statement records it."""
        return not self.stops and not self.window_ms


@dataclass(slots=True)
class Admitted:
    """What was written down, and what follows from it outside of the ledger."""

    admission: Admission
    row: inbox.Recorded
    start: bool
    joined: int | None = None  #: the first message of the burst that it belongs to
    stopped: list[Stopped] = field(default_factory=list)


def ignoring(message: Message, reason: str) -> Admission:
    """It is kept, and nobody answers it."""
    return Admission(replace(message, addressed=False, ignored_because=reason))


def admit(message: Message) -> Admission:
    """Ask the rules, and the limits if there are any."""
    bot = get_settings().bot(message.platform, message.bot)
    if message.ignored_because:
        return Admission(message)
    judgement = rules.judge(message, bot)
    if judgement.ignored:
        return ignoring(message, judgement.ignored)
    if not message.addressed:
        message = replace(message, addressed=True)  # this bot answers more than what is addressed to it
    if judgement.command is not None:
        return _of_command(message, judgement.command, bot)
    sender = (message.platform, message.bot, message.conversation_id, message.sender_id)
    if loops.goes_round(sender, message.text, message.external_id, time.monotonic()):
        log.warning("loop_broken", platform=message.platform, bot=message.bot)
        return ignoring(message, "the same again and again: a loop")
    return _limited(message, bot) or Admission(message, window_ms=int(bot.burst_window_s * 1000))


def _of_command(message: Message, command: Command, bot: BotSettings) -> Admission:
    """Who is over the limit may still stop what is going on."""
    if command.name is Name.STOP:
        everybodys = message.conversation_kind != "group" or message.sender_id in bot.admins
        return Admission(message, stops=True, stops_all=everybodys)
    label = ASKS_STATUS if command.name is Name.STATUS else None
    return _limited(message, bot) or Admission(message, label=label)


def _limited(message: Message, bot: BotSettings) -> Admission | None:
    """None: within the limits, or there are none."""
    if not bot.user_rate and not bot.group_rate:
        return None
    whose = f"{message.platform}:{message.bot}"
    user, group = f"user:{whose}:{message.sender_id}", f"group:{whose}:{message.conversation_id}"
    limits = {user: bot.user_rate} if bot.user_rate else {}
    if bot.group_rate and message.conversation_kind == "group":
        limits[group] = bot.group_rate
    # in each conversation somebody is told once, and a group that is too busy once for all that are in it
    told = {user: f"{whose}:{message.conversation_id}:{message.sender_id}", group: group}
    refusal = quota.ask(limits, told, f"{whose}:{cut(message.external_id)}") if limits else None
    if refusal is None:
        return None
    log.info("message_over_limit", platform=message.platform, bot=message.bot, wait_s=refusal.wait_s)
    return Admission(message, label=OVER_LIMIT) if refusal.tell else ignoring(message, "over the limit")


def record(connection: Connection, admission: Admission, *, deadline_ms: int) -> Admitted:
    """Write it down; for one that is not `plain`, in a transaction. Whose turn it is the caller has to find out."""
    row = inbox.record_once(
        connection,
        admission.message,
        deadline_ms=deadline_ms,
        label=admission.label,
        hold_ms=admission.window_ms or None,
    )
    admitted = Admitted(admission, row, start=row.fresh and not row.ignored)
    if admission.stops:
        whose = None if admission.stops_all else admission.message.sender_id
        admitted.stopped = cancelling.cancel_before(connection, row.message_id, sender_ref=whose)
    if admission.window_ms and row.fresh:
        admitted.joined = bursts.join(connection, row.message_id, window_ms=admission.window_ms)
    return admitted


def waits_for_its_turn(admitted: Admitted) -> bool:
    """To be started only when it is the first in line, which the caller has to look up."""
    return admitted.start and not admitted.row.first_in_line and admitted.admission.label != ASKS_STATUS
