"""Sending one piece of an answer, and what an unclear outcome means; the same for every platform."""

from __future__ import annotations

import structlog

from mindbot_tasks.core import telemetry
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import RetryableError, Unavailable
from mindbot_tasks.core.metrics import SENDS
from mindbot_tasks.model.message import Outgoing, Part, Stage
from mindbot_tasks.platforms.base import Platform
from mindbot_tasks.stores import traffic
from mindbot_tasks.stores.claims import Claim

log = structlog.get_logger(__name__)

#: seconds for all pieces of one answer together
REPLY_S = 60.0


def outgoing_piece(held: Claim, part: Part, number: int, total: int) -> Outgoing:
    """One piece of the answer to the claimed message, ready for the platform."""
    return Outgoing(
        message_id=held.message_id,
        platform=held.platform,
        bot=held.bot,
        conversation_id=held.conversation_ref,
        conversation_kind="group" if held.conversation_kind == "group" else "one_to_one",
        sender_id=held.sender_ref,
        address=held.address,
        part=part,
        number=number,
        total=total,
        # of this run, or a replay would be taken for what is there already
        key=f"mindbot-{held.answer_key}-{number}",
        resend=held.uncertain and number == held.sent_parts,
        answer_key=held.answer_key,
        earlier_tries=held.strikes - 1 + held.retries,
        apology=held.stage is Stage.APOLOGISE,
    )


def deliver(platform: Platform, outgoing: Outgoing, deadline: Deadline) -> tuple[str, str | None]:
    """Send one piece; returns the platform's id and a note for the timeline.

    A call that may or may not have gone through is not repeated where that could show the answer twice; it is counted.
    """
    deadline.check()  # a worker that was frozen since its claim must not act on it any more
    about = {"mindbot.piece": outgoing.number, "mindbot.resend": outgoing.resend}
    try:
        with telemetry.span(f"send {outgoing.platform}", "client", about):
            sent_id = platform.send(outgoing, deadline)
    except Unavailable as exc:
        if exc.kind == "ambiguous" and not platform.capabilities.idempotent_send:
            SENDS.labels(outgoing.platform, "unconfirmed").inc()
            log.warning("send_unconfirmed", piece=outgoing.number)
            return "", "unconfirmed: the platform did not say whether it took the answer"
        SENDS.labels(outgoing.platform, "failed").inc()
        raise
    except RetryableError:
        SENDS.labels(outgoing.platform, "failed").inc()
        raise
    traffic.note(outgoing.platform, outgoing.bot, "out")
    SENDS.labels(outgoing.platform, "resent" if outgoing.resend else "sent").inc()
    return sent_id, "sent again after a worker died in mid-send" if outgoing.resend else None
