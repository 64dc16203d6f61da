"""The middle stage: route the message, then answer it; the answer is saved before anybody is told."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from celery import signals

from mindbot_tasks import chains, standing
from mindbot_tasks.app import app
from mindbot_tasks.chat import following, provenance, reading, rewriting, rules
from mindbot_tasks.chat.attachments import losses
from mindbot_tasks.chat.budgets import refusal
from mindbot_tasks.chat.context import question_for, tokens_of, wishes_of
from mindbot_tasks.chat.response.processing import findings_of, processing_of
from mindbot_tasks.chat.transfer import passing_on
from mindbot_tasks.chat.wordless import answer_to
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import BelongsElsewhere, Rejected, RetryableError
from mindbot_tasks.core.metrics import ANSWER_FINDINGS, MESSAGES
from mindbot_tasks.core.settings import Settings, get_settings
from mindbot_tasks.knowledge import retrieval
from mindbot_tasks.llm import agent, fallback, registry, seeing, thrift
from mindbot_tasks.llm.agent.tools import knowledge
from mindbot_tasks.llm.base import Question
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.llm.registry import Route
from mindbot_tasks.llm.workflows import waiting_label
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.knowledge import NOTHING, Found
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.obey import in_own_words
from mindbot_tasks.platforms import registry as platforms
from mindbot_tasks.platforms import showing
from mindbot_tasks.platforms.base import HandsOver, Platform
from mindbot_tasks.platforms.queues import reply_queue
from mindbot_tasks.stores import budgets, live, steps, summaries
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.database import one_statement, transaction
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
    """Answer one message by the ways that its route names, one after the other."""
    held = self.claim(message_id)
    settings = get_settings()
    question = question_for(held, settings)
    if rules.is_echo(question.text, held.history):
        _leave_alone(self, held)
        return
    processing = processing_of(settings, held.platform, held.bot)
    if processing.stops(question):
        with transaction() as connection:
            steps.save_answer(connection, held, in_own_words(processing.refusal(question.language)))
        ANSWER_FINDINGS.labels("question_blocked").inc()
        return
    question = processing.for_models(question)
    route = _route(self, held, question, settings)
    if question.attachments:
        question = seeing.with_contents(question, [way.answerer for way in route.ways])
    platform = platforms.get(held.platform, held.bot)
    allowance = budgets.check(settings, Whose(held.platform, held.bot, held.sender_ref))
    said = _without_a_model(held, question, platform, settings)
    if said is None and allowance is not None and allowance.level == "hard":
        said = in_own_words(refusal(allowance, question.language, budgets.left_of_day_s(settings)))
        log.info("refused_by_budget", scope=allowance.scope)
    if said is not None:
        with transaction() as connection:
            steps.save_answer(connection, held, said)
        return
    ways = route.ways
    if allowance is not None:
        ways = thrift.cheaper_first(settings, ways, wishes_of(held, settings).system_prompt)
    deadline = self.deadline(held, settings.times.answer_s)
    started = time.monotonic()
    try:
        agent.check_place(ways)  # before anything is shown
        question, read = _with_knowledge(question, ways, settings, deadline)
        with showing.growing(platform, held, self.shown_until(deadline)) as on_text:
            watched = on_text is not showing.nobody_watches
            shown = processing.growing(on_text) if watched else on_text
            tokens = partial(tokens_of, question)
            spoken = fallback.answer(ways, question, held.sessions, deadline, shown, tokens, processing.accept)
    except BelongsElsewhere as exc:
        _hand_over(self, held, exc.queue)
        return
    said = processing.finished(spoken.answer, question)
    if not said.text.strip() and not said.parts:
        raise Rejected("nothing is left of the answer", kind="content", provider=spoken.answerer)
    for finding in findings_of(said):
        ANSWER_FINDINGS.labels(finding).inc()
    offered = standing.offered(settings, held.platform, held.bot, held.label)
    answer = provenance.noted(said, route, held, settings, question.language, offered=offered)
    answer = reading.with_sources(answer, read, question.language)
    if missing := losses(held.parts, question.language, max_mb=settings.files.max_mb):
        answer = replace(answer, text=f"{answer.text}\n\n{missing}")
    sessions = {spoken.answerer: spoken.session_id} if spoken.session_id else {}
    with transaction() as connection:
        steps.save_answer(connection, held, answer, sessions=sessions)
        if question.to_sum_up:
            summaries.want(connection, held.conversation_id, question.to_sum_up, begins_after=held.begins_after)
    live.tell_state(held.platform, message_id, State.ANSWERED)
    log.info(
        "answered",
        answerer=spoken.answerer,
        model=spoken.answer.model,
        took_ms=int((time.monotonic() - started) * 1000),
        tokens=spoken.answer.usage.output_tokens,
    )


def _without_a_model(held: Claim, question: Question, platform: Platform, settings: Settings) -> Answer | None:
    """What can be said to this by ourselves; None: a model has to."""
    if not question.text and not any(attachment.content for attachment in question.attachments):
        return answer_to(held.parts, question.language, max_mb=settings.files.max_mb)
    if isinstance(platform, HandsOver) and platform.asks_for_person(question.text):
        return passing_on(question.language)
    return None


def _with_knowledge(
    question: Question, ways: Sequence[Way], settings: Settings, deadline: Deadline
) -> tuple[Question, Found]:
    """The question with what was read about it; a workflow that comes first has a knowledge of its own."""
    if not retrieval.is_wanted(settings) or ways[0].answerer.name.startswith("workflow:"):
        return question, NOTHING
    wanted = following.wanted(question.text, question.history)
    wanted = rewriting.rewritten(wanted, question, settings, deadline)
    found = reading.knowledge_for(question, settings, deadline, wanted)
    if wanted.language is not None:
        question = replace(question, language=wanted.language)  # "and in Chinese?" is asked for in words of another
    if found.passages:
        return reading.with_knowledge(question, found), found
    return replace(question, nothing_read=found.nothing_read and not found.trouble), found


def _route(task: MindBotTask, held: Claim, question: Question, settings: Settings) -> Route:
    """Who may answer, best first. Whoever confirms what the agent has asked for is answered by the agent."""
    wishes = wishes_of(held, settings)
    waiting = waiting_label(held.sessions)
    route = registry.route(
        settings, question.classification, wishes, question.user_key, waiting=waiting, turn=question.message_id
    )
    confirming = agent.confirming(settings, wishes, question)
    if confirming is not None:
        return replace(route, ways=(confirming,))
    came_by = (task.request.delivery_info or {}).get("routing_key")
    if came_by == agent.QUEUE and not wishes.model and not waiting:
        # classified for the agent, or handed over because all before it have failed
        return replace(route, ways=agent.agent_first(route.ways))
    return route


@signals.celeryd_after_setup.connect
def _prepare(instance: Any = None, **_: Any) -> None:
    """Load what agents need before the first message comes, in a worker that serves their queue, and in no other."""
    settings = get_settings()
    if not settings.runs_agent:
        return
    knowledge.plug(partial(reading.search_tool, settings))
    agent.serve(agent.QUEUE in instance.app.amqp.queues.consume_from)
    if agent.is_served_here():
        agent.preload(settings)


@signals.worker_ready.connect
def _prepare_for_failover(**_: Any) -> None:
    """Beside the first questions, and not before them."""
    settings = get_settings()
    if settings.runs_agent and agent.is_served_here():
        agent.preload_others(settings)


@signals.worker_shutdown.connect
def _end_servers(**_: Any) -> None:
    """The programs that offer tools end with the worker that has started them."""
    agent.stop()


def _hand_over(task: MindBotTask, held: Claim, queue: str) -> None:
    """Have it answered by a process that is made for it; at once, and without counting as a retry."""
    with one_statement() as connection:
        steps.hand_over(connection, held, queue)
    task.request.chain = None  # the chain goes on from there
    log.info("handed_over", queue=queue)
    chains.start(held.message_id, Stage.GENERATE, reply_queue(held.platform, held.bot), generate_queue=queue)


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
