"""A follow-up as a question that can be understood by itself, written by a model, where one is configured for that."""

from __future__ import annotations

import structlog

from mindbot_tasks.chat.following import Wanted
from mindbot_tasks.chat.response.thinking import without_thinking
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.words import say
from mindbot_tasks.llm import catalogue, fallback
from mindbot_tasks.llm.base import Question
from mindbot_tasks.llm.building import provider_way
from mindbot_tasks.model.answer import Classification

log = structlog.get_logger(__name__)

#: longer than this, the rules are good enough
_CALL_S = 6.0
_TURNS, _MOST_CHARS = 6, 1500
_LONGEST = 500


def rewritten(wanted: Wanted, question: Question, settings: Settings, deadline: Deadline) -> Wanted:
    """What to look up, in the model's words; `wanted` itself where none is configured, or it did not work.

    Raises a Stopped only. A message that can be understood by itself, or that only asks for another form, asks nobody.
    """
    model = settings.chromadb.follow_up_model if settings.chromadb is not None else ""
    if not model or wanted.kind not in ("topic", "pointing"):
        return wanted
    names = catalogue.models_called(settings, model)[:1]
    provider, _, name = names[0].partition("/") if names else ("", "", "")
    prompt = say("context.rewrite", question.language)
    way = provider_way(settings, provider, name, prompt=prompt) if name else None
    if way is None:
        log.warning("follow_up_not_rewritten", reason="no such model")
        return wanted
    try:
        told = fallback.answer(
            [way], _asked(question), {}, deadline.within(_CALL_S), lambda _text: None, purpose="follow_up"
        )
    except FarSideError as exc:
        log.warning("follow_up_not_rewritten", reason=type(exc).__name__)
        return wanted
    lines = without_thinking(told.answer.text).strip().splitlines()
    text = lines[0].strip().strip('"“”「」') if lines else ""
    # an answer instead of a question, or nothing: the rules know better
    return Wanted("alone", text, (), wanted.language) if 0 < len(text) <= _LONGEST else wanted


def _asked(question: Question) -> Question:
    """The talk as one text, so that the model answers none of it."""
    said = {"user": say("context.user", question.language), "assistant": say("context.assistant", question.language)}
    lines = [
        f"{said[turn.role]}: {turn.text[:_MOST_CHARS]}" for turn in question.history[-_TURNS:] if turn.role in said
    ]
    text = "\n".join((*lines, f"{said['user']}: {question.text[:_MOST_CHARS]}"))
    return Question(
        message_id=question.message_id,
        text=text,
        history=(),
        classification=Classification("follow_up", 1.0, "a follow-up"),
        user_key=question.user_key,
        conversation_key=question.conversation_key,
        language=question.language,
        again=question.again,
    )
