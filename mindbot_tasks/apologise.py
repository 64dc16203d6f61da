"""The end of a message that gets no answer: say so politely rather than stay silent."""

from __future__ import annotations

import structlog
from sqlalchemy import Connection

from mindbot_tasks import chains, presence
from mindbot_tasks.app import app
from mindbot_tasks.chat.apologies import apology_for
from mindbot_tasks.chat.context import language_of
from mindbot_tasks.core.errors import RetryableError
from mindbot_tasks.core.metrics import MESSAGES
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import UNASKED, Stage, State, Verdict
from mindbot_tasks.platforms import registry, showing
from mindbot_tasks.platforms.delivery import REPLY_S, deliver, outgoing_piece
from mindbot_tasks.platforms.queues import reply_queue
from mindbot_tasks.stores import live, steps
from mindbot_tasks.stores.claims import Following
from mindbot_tasks.stores.database import transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)

#: seconds to end what people have watched growing until somebody stopped it
ABANDON_S = 1.5


@app.task(
    name="mindbot.apologise",
    bind=True,
    base=MindBotTask,
    stage=Stage.APOLOGISE,
    autoretry_for=(RetryableError,),
    retry_backoff=2,  # seconds: up to 2, 4, 8 ... with jitter
    retry_backoff_max=60,
    max_retries=5,
    fleet_rate_key="reply:{platform}:{bot}",
)
def apologise(self: MindBotTask, message_id: int) -> None:
    """Tell the asker that no answer will come, then close the message.

    One whose answer may already be out gets no apology on top; it ends, with an alert, as quarantined or expired. Who
    has stopped an answer is told so once, by the answer to `/stop`; here the message only ends.
    """
    held = self.claim(message_id)
    verdict = held.verdict or Verdict.FAILED
    answer: Answer | None = None
    sent_id = ""
    if verdict is Verdict.CANCELLED:
        state = State.APOLOGISED
        answer = Answer(text=apology_for(verdict, held.text, language_of(held, get_settings())), provider="apology")
        # the confirmation waits for this, so it must not take long
        showing.abandon(registry.get(held.platform, held.bot), held, answer.text, self.deadline(held, ABANDON_S))
    elif held.replying or held.label == UNASKED:
        state = State.QUARANTINED if verdict is Verdict.POISON else State.EXPIRED
        sorry = apology_for(verdict, held.text, language_of(held, get_settings()))
        showing.abandon(registry.get(held.platform, held.bot), held, sorry, self.deadline(held, REPLY_S))
    else:
        state = State.QUARANTINED if verdict is Verdict.POISON else State.APOLOGISED
        platform = registry.get(held.platform, held.bot)
        answer = Answer(text=apology_for(verdict, held.text, language_of(held, get_settings())), provider="apology")
        deadline = self.deadline(held, REPLY_S)
        pieces = platform.render(answer)
        for number, piece in enumerate(pieces):
            presence.get_presence().check()
            sent_id, _ = deliver(platform, outgoing_piece(held, piece, number, len(pieces)), deadline)

    def end(connection: Connection) -> Following | None:
        if answer is not None:
            # who fetches answers finds the apology where the answer would have been
            steps.save_apology(connection, held, answer)
        sent_parts = None if answer is None or verdict is Verdict.CANCELLED else 1
        return steps.finish(connection, held, state, sent_parts=sent_parts, sent_id=sent_id, note=str(verdict))

    following = self.settle(held, end, within=transaction)
    live.tell_state(held.platform, message_id, state)
    MESSAGES.labels(held.platform, str(state), held.label).inc()
    tell = log.info if verdict is Verdict.CANCELLED else log.warning
    tell("message_ended_without_answer", state=str(state), verdict=str(verdict))
    if following is not None:
        chains.start(*following, reply_queue(held.platform, held.bot))
