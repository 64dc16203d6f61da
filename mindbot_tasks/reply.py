"""The last stage of a conversation: the answer goes back to where the question came from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog
from sqlalchemy import Connection

from mindbot_tasks import chains, presence
from mindbot_tasks.app import app
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError, RetryableError, Stopped
from mindbot_tasks.core.metrics import MESSAGES
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.platforms import registry
from mindbot_tasks.platforms.base import HandsOver, KnowsPeople
from mindbot_tasks.platforms.delivery import REPLY_S, deliver, outgoing_piece
from mindbot_tasks.platforms.queues import reply_queue
from mindbot_tasks.stores import cancelling, live, occurrences, people, steps
from mindbot_tasks.stores.claims import Claim, Following
from mindbot_tasks.stores.database import one_statement, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

#: seconds for the name of whoever asked
NAME_S = 5.0


@app.task(
    name="mindbot.reply",
    bind=True,
    base=MindBotTask,
    stage=Stage.REPLY,
    autoretry_for=(RetryableError,),
    retry_backoff=2,  # seconds: up to 2, 4, 8 ... with jitter; longer when the platform asks for it
    retry_backoff_max=120,
    max_retries=8,
    fleet_rate_key="reply:{platform}:{bot}",
)
def reply(self: MindBotTask, message_id: int) -> None:
    """Deliver one answer, piece by piece; each piece that went out is remembered, so that a retry goes on after it."""
    held = self.claim(message_id)
    platform = registry.get(held.platform, held.bot)
    deadline = self.deadline(held, REPLY_S)
    pieces = platform.render(held.answer) if held.answer is not None else []
    sent_id, note, handed_over = "", None, False
    for number in range(held.sent_parts, len(pieces)):
        if number > held.sent_parts:
            # a platform may have no id to give: that a piece went out must be written down all the same
            noted = partial(steps.note_part_sent, held=held, sent_parts=number, sent_id=sent_id, note=note)
            self.settle(held, noted, release=True)
        presence.get_presence().check()
        if number and cancelling.here.over(message_id, held.attempt):
            # somebody has stopped it in the middle; what is out stays out
            pieces = pieces[:number]
            note = "stopped: the rest was not sent"
            break
        outgoing = outgoing_piece(held, pieces[number], number, len(pieces))
        if outgoing.part.kind == "transfer" and isinstance(platform, HandsOver):
            handed_over = platform.hand_over(outgoing, deadline)
            sent_id, note = "", "a person takes over" if handed_over else "nobody is there to take over"
        else:
            sent_id, note = deliver(platform, outgoing, deadline)
    ended = partial(steps.finish, held=held, state=State.REPLIED, sent_parts=len(pieces), sent_id=sent_id, note=note)
    if handed_over:
        following = self.settle(held, partial(_with_person, held, ended), within=transaction)
    else:
        following = self.settle(held, ended)
    live.tell_state(held.platform, message_id, State.REPLIED)
    MESSAGES.labels(held.platform, str(State.REPLIED), held.label).inc()
    log.info("replied", pieces=len(pieces), note=note)
    if following is not None:
        chains.start(*following, reply_queue(held.platform, held.bot))
    if isinstance(platform, KnowsPeople) and people.to_ask_for(held.platform, held.bot, held.sender_ref):
        _ask_for_name(platform, held, self.deadline(held, NAME_S))


def _ask_for_name(platform: KnowsPeople, held: Claim, deadline: Deadline) -> None:
    """Who was that? Asked when everybody has what they waited for; it goes well without."""
    try:
        found = platform.name_of(held.sender_ref, deadline)
        with one_statement() as connection:
            people.name(connection, held.platform, held.bot, held.sender_ref, found)
    except (FarSideError, Stopped, DatabaseUnavailable) as exc:
        log.info("name_not_found", reason=type(exc).__name__, kind=getattr(exc, "kind", None))


def _with_person(
    held: Claim, ended: Callable[[Connection], Following | None], connection: Connection
) -> Following | None:
    """The end of the message, and from here on the bot is silent in this conversation: both or neither."""
    occurrences.set_with_human(connection, held.platform, held.bot, held.conversation_ref, True)
    return ended(connection)
