"""How a conversation is summed up: who is asked, what he is told, and what is kept of his answer."""

from __future__ import annotations

from collections.abc import Sequence

from mindbot_tasks.chat.language import detect
from mindbot_tasks.chat.response.thinking import without_thinking
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm import catalogue
from mindbot_tasks.llm.base import Question
from mindbot_tasks.llm.building import provider_way
from mindbot_tasks.llm.fallback import Way
from mindbot_tasks.llm.tokens import estimate
from mindbot_tasks.model.answer import Classification
from mindbot_tasks.stores.summaries import MOST_EXCHANGES, Exchange, Task

#: what one call takes in; what does not fit waits for the next
_MOST_TOKENS = 6000
#: of one question or answer
_MOST_CHARS = 4000
_WORDS_PER_TOKEN = 0.7


def ways(settings: Settings, language: Lang = "en") -> Sequence[Way]:
    """The model that was chosen for summaries, else all chat models in their order; empty: nobody can write one."""
    wanted = settings.context.summary_model
    names = catalogue.models_called(settings, wanted)[:1] if wanted else catalogue.models(settings)
    prompt = say("context.summarise", language, words=int(settings.context.summary_tokens * _WORDS_PER_TOKEN))
    found: list[Way] = []
    for name in names:
        provider, _, model = name.partition("/")
        if not model:
            continue  # an app or a bot with a character of its own
        way = provider_way(settings, provider, model, prompt=prompt)
        if way is not None and way.answerer.name not in {one.answerer.name for one in found}:
            found.append(way)
    return found


def question(task: Task, exchanges: Sequence[Exchange], settings: Settings) -> tuple[Question, int] | None:
    """What to ask for this summary, and the last message that will be in it; None: there is nothing to sum up."""
    if not exchanges:
        return None
    sharing = settings.agent is None or settings.agent.integration.context_sharing
    lang = detect(exchanges[-1].question or exchanges[-1].answer)
    user, assistant = say("context.user", lang), say("context.assistant", lang)
    lines: list[str] = []
    left, until_id = _MOST_TOKENS, 0
    for one in exchanges:
        if one.workflow and not sharing:  # what was said with a workflow stays there
            until_id = one.message_id
            continue
        told = f"{user}: {one.question[:_MOST_CHARS]}\n{assistant}: {one.answer[:_MOST_CHARS]}"
        left -= estimate(told)
        if left < 0 and lines:
            break
        lines.append(told)
        until_id = one.message_id
    if until_id == exchanges[-1].message_id and len(exchanges) < MOST_EXCHANGES:
        until_id = max(until_id, task.wanted_id)  # what is left of the wanted ones are no exchanges
    if not lines:
        return None
    before = [say("context.summary_before", lang), task.before, ""] if task.before else []
    text = "\n".join([*before, say("context.summary_new", lang), *lines])
    asked = Question(
        message_id=0,
        text=text,
        history=(),
        classification=Classification("summary", 1.0, "a summary"),
        user_key=f"{task.platform}:summary",
        conversation_key=f"{task.platform}:{task.bot}:summary",
        language=lang,
    )
    return asked, until_id


def text_of(answer: str, most_tokens: int) -> str:
    """The summary, not longer than wanted."""
    text = without_thinking(answer).strip()
    most = most_tokens * 2  # the models count in their own way; only what is far too long is cut
    tokens = estimate(text)
    return text if tokens <= most else text[: len(text) * most // tokens].rstrip() + "…"
