"""The middle stage: route the message, then answer it; the answer is saved before anybody is told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import structlog

from mindbot_tasks import chains
from mindbot_tasks.app import app
from mindbot_tasks.chat import rules
from mindbot_tasks.chat.attachments import losses
from mindbot_tasks.chat.budgets import refusal
from mindbot_tasks.chat.context import question_for, tokens_of, wishes_of
from mindbot_tasks.chat.transfer import passing_on
from mindbot_tasks.chat.wordless import answer_to
from mindbot_tasks.core.errors import RetryableError
from mindbot_tasks.core.metrics import MESSAGES
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.llm import fallback, registry, seeing, thrift
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.llm.workflows import waiting_label
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.obey import in_own_words
from mindbot_tasks.platforms import registry as platforms
from mindbot_tasks.platforms import showing
from mindbot_tasks.platforms.base import HandsOver
from mindbot_tasks.platforms.queues import reply_queue
from mindbot_tasks.stores import budgets, live, steps
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.database import transaction
from mindbot_tasks.stores.spending import Whose
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)


@app.task(
    name="mindbot.generate",
    bind=True,
    base=MindBotTask,
    stage=Stage.GENERATE,
    autoretry_for=(RetryableError,),
    retry_backoff=4,  # seconds: up to 4, 8, 16 ... with jitter; longer when the provider asks for it
    retry_backoff_max=60,
    max_retries=4,
    # of each provider there are limits of their own: providers.<name>.rate_limit, taken where the provider is chosen
    fleet_rate_limit=None,
)
def generate(self: MindBotTask, message_id: int) -> None:
    """Answer one message: its workflow, else the chat models in order, else the offline answerer."""
    held = self.claim(message_id)
    settings = get_settings()
    question = question_for(held, settings)
    # a workflow that waits for this person's decision gets to hear it, whatever the words look like
    label = waiting_label(held.sessions) or question.classification.label
    if rules.is_echo(question.text, held.history):
        _leave_alone(self, held)
        return
    ways: Sequence[Way] = ()
    if question.attachments:
        ways = registry.answerers(settings, label, wishes_of(held, settings))
        question = seeing.with_contents(question, [way.answerer for way in ways])
    if not question.text and not any(attachment.content for attachment in question.attachments):
        with transaction() as connection:
            said = answer_to(held.parts, question.language, max_mb=settings.files.max_mb)
            steps.save_answer(connection, held, said)
        return
    platform = platforms.get(held.platform, held.bot)
    if isinstance(platform, HandsOver) and platform.asks_for_person(question.text):
        with transaction() as connection:
            steps.save_answer(connection, held, passing_on(question.language))
        return
    wishes = wishes_of(held, settings)
    standing = budgets.check(settings, Whose(held.platform, held.bot, held.sender_ref))
    if standing is not None and standing.level == "hard":
        refused = refusal(standing, question.language, budgets.left_of_day_s(settings))
        with transaction() as connection:
            steps.save_answer(connection, held, in_own_words(refused))
        log.info("refused_by_budget", scope=standing.scope)
        return
    ways = ways or registry.answerers(settings, label, wishes)
    if standing is not None:
        ways = thrift.cheaper_first(settings, ways, wishes.system_prompt)
    deadline = self.deadline(held, settings.times.answer_s)
    started = time.monotonic()
    with showing.growing(platform, held, self.shown_until(deadline)) as on_text:
        spoken = fallback.answer(
            ways,
            question,
            held.sessions,
            deadline,
            on_text,
            partial(tokens_of, question),
        )
    answer = spoken.answer
    if missing := losses(held.parts, question.language, max_mb=settings.files.max_mb):
        answer = replace(answer, text=f"{answer.text}\n\n{missing}")
    sessions = {spoken.answerer: spoken.session_id} if spoken.session_id else {}
    with transaction() as connection:
        steps.save_answer(connection, held, answer, sessions=sessions)
    live.tell_state(held.platform, message_id, State.ANSWERED)
    log.info(
        "answered",
        answerer=spoken.answerer,
        model=spoken.answer.model,
        took_ms=int((time.monotonic() - started) * 1000),
        tokens=spoken.answer.usage.output_tokens,
    )


def _leave_alone(task: MindBotTask, held: Claim) -> None:
    """End a message that is only the echo of our answers: two programs would go on for ever."""
    ended = partial(steps.finish, held=held, state=State.IGNORED, note="the asker only repeats our answers: a loop")
    following = task.settle(held, ended)
    live.tell_state(held.platform, held.message_id, State.IGNORED)
    MESSAGES.labels(held.platform, str(State.IGNORED), held.label).inc()
    log.warning("loop_broken")
    task.request.chain = None
    if following is not None:
        chains.start(*following, reply_queue(held.platform, held.bot))
