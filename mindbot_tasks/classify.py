"""The first stage of a conversation: bring in what came along with the message, then say what kind of request it is.

A chat command is answered right here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import structlog

from mindbot_tasks import chains, lanes, remembering
from mindbot_tasks.app import app
from mindbot_tasks.chat import commands, hearing, rules
from mindbot_tasks.chat.classification import Classifier
from mindbot_tasks.chat.context import language_of
from mindbot_tasks.chat.facts import asked_to_remember
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import RetryableError
from mindbot_tasks.core.settings import Settings, SpeechToTextSettings, get_settings
from mindbot_tasks.core.words import say
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import OVER_LIMIT, Stage, State
from mindbot_tasks.obey import in_own_words, obey
from mindbot_tasks.platforms import fetching, registry
from mindbot_tasks.platforms.queues import reply_queue
from mindbot_tasks.stores import files, live, quota, steps
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.database import one_statement, transaction
from mindbot_tasks.task import MindBotTask

log = structlog.get_logger(__name__)


@app.task(
    name="mindbot.classify",
    bind=True,
    base=MindBotTask,
    stage=Stage.CLASSIFY,
    autoretry_for=(RetryableError,),
    retry_backoff=2,  # seconds: up to 2, 4, 8, with jitter
    retry_backoff_max=30,
    max_retries=3,
)
def classify(self: MindBotTask, message_id: int) -> None:
    """Label one message with the workflow it is for; a message that fits none is general chat."""
    held = self.claim(message_id)
    settings = get_settings()
    bot = settings.bot(held.platform, held.bot)
    said = rules.without_prefix(commands.said(_words(held)), bot)
    command = commands.parse(said)
    wish = asked_to_remember(said) if settings.context_of(held.platform, held.bot).facts else None
    if fetching.brings_files(held.parts):
        wish = None  # it may be about the file
    elif wish is not None and wish.alone:
        command = command or commands.Command(commands.Name.REMEMBER, "remember", wish.fact)
    if held.label == OVER_LIMIT or command is not None:
        _answer_here(held, command, settings)
        self.request.chain = None  # what is left of the chain would find nothing to do
        chains.start(message_id, Stage.REPLY, reply_queue(held.platform, held.bot))
        return
    parts, text = None, held.text
    if fetching.brings_files(held.parts):
        parts = _brought_in(self, held)
        text = hearing.words_of(parts)
    meant = _with_names(rules.without_prefix(text, bot), held.parts)
    classifier = Classifier.of(settings.workflows, bot.workflows, settings.classifier)
    classification = classifier.classify(meant, bot.default_workflow, held.recent)
    if wish is not None:  # and a question besides
        with transaction() as connection:
            remembering.remember(connection, wish.fact, held, settings, "en")
            steps.save_classification(connection, held, classification, parts=parts, text=text)
    else:
        with one_statement() as connection:
            steps.save_classification(connection, held, classification, parts=parts, text=text)
    queue = lanes.generate_queue(settings, held.platform, held.bot, classification.label, classification.confidence)
    if queue != lanes.GENERATE:
        links: Any = self.request.chain
        chains.send_next_to(queue, links, Stage.GENERATE)
    live.tell_state(held.platform, message_id, State.CLASSIFIED)
    log.info("classified", label=classification.label, confidence=round(classification.confidence, 3))


def _with_names(text: str, parts: Sequence[Mapping[str, Any]]) -> str:
    """The text with the names of the files that came along: what is asked about them is often said by these."""
    names = [str(part["data"].get("name") or "") for part in parts if part["kind"] == "file" and part.get("data")]
    return "\n".join([text, *(name[-80:] for name in names[:5] if name)]) if names else text


def _words(held: Claim) -> list[tuple[str, str]]:
    return [(str(part["kind"]), str(part["text"] or "")) for part in held.parts]


def _answer_here(held: Claim, command: commands.Command | None, settings: Settings) -> None:
    """received -> answered, without a model."""
    lang = language_of(held, settings)
    with transaction() as connection:
        answer: Answer
        if held.label == OVER_LIMIT:
            answer = in_own_words(say("commands.limited", lang, wait_s=_window_s(held, settings)))
        else:
            assert command is not None  # noqa: S101 - who calls has looked
            answer = obey(connection, command, held, settings, lang)
        steps.save_answer(connection, held, answer)
    live.tell_state(held.platform, held.message_id, State.ANSWERED)
    log.info("answered_here", command=str(command.name) if command is not None else "over_limit")


def _window_s(held: Claim, settings: Settings) -> int:
    bot = settings.bot(held.platform, held.bot)
    return max(quota.window_s(rate) for rate in (bot.user_rate, bot.group_rate, "1/s") if rate)


def _brought_in(task: MindBotTask, held: Claim) -> list[dict[str, Any]]:
    """The parts with their files in the store and their speech recognised.

    A failure that may go away is retried as long as there are retries and most of the message's time is left; then the
    message goes on without that file.
    """
    settings = get_settings()
    half_ms = settings.times.message_deadline_s * 1000 / 2
    last_try = held.retries >= (task.max_retries or 0) or held.time_left_ms < half_ms
    deadline = task.deadline(held, min(settings.files.fetch_s, held.time_left_ms / 4000))
    fetched = fetching.fetch(
        registry.get(held.platform, held.bot),
        held.parts,
        held.address,
        deadline,
        message_id=held.message_id,
        # only a try before this one can have stored anything
        known=partial(files.of_message, held.message_id) if held.retries or held.strikes > 1 else dict,
        last_try=last_try,
    )
    if fetched.failure is not None:
        raise fetched.failure
    speech = settings.speech_to_text
    if speech is None or not hearing.to_hear(fetched.parts):
        return fetched.parts
    listen = partial(_listen, speech, task.deadline(held, speech.timeout))
    return hearing.hear(fetched.parts, listen, last_try=last_try)


def _listen(settings: SpeechToTextSettings, deadline: Deadline, file_id: int, media_type: str) -> str:
    from mindbot_tasks.llm import speech  # a worker that hears nobody does without

    return speech.transcribe(files.find(file_id).read(), media_type, settings, deadline)
