"""What goes along with a question to whoever answers it. Pure but for the clock of prompts."""

from __future__ import annotations

import functools
import zoneinfo
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

from mindbot_tasks.chat import rules
from mindbot_tasks.chat.attachments import attachments_of
from mindbot_tasks.chat.language import detect
from mindbot_tasks.core import prompts
from mindbot_tasks.core.settings import ContextSettings, Settings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm import catalogue
from mindbot_tasks.llm.base import Question, Wishes
from mindbot_tasks.llm.tokens import cost, estimate, trim
from mindbot_tasks.model.answer import Classification, Turn
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.remembered import Fact


def question_for(held: Claim, settings: Settings) -> Question:
    """The question of a claimed message, with as much history as the token budget allows."""
    bot = settings.bot(held.platform, held.bot)
    context = settings.context_of(held.platform, held.bot)
    language = language_of(held, settings)
    kept = trim(held.history, settings.history_tokens)
    return Question(
        message_id=held.message_id,
        text=rules.without_prefix(held.text, bot),
        # a picture without words; many servers refuse a line that says nothing
        history=tuple(
            turn if turn.text else replace(turn, text=say("attachments.no_words", language)) for turn in kept
        ),
        classification=Classification(
            label=held.label,
            confidence=float(held.classification.get("confidence", 0.0)),
            reason=str(held.classification.get("reason", "")),
            scores=held.classification.get("scores", {}),
        ),
        user_key=f"{held.platform}:{held.sender_ref}",
        conversation_key=f"{held.platform}:{held.bot}:{held.conversation_ref}",
        language=language,
        attachments=attachments_of(held.parts),
        again=held.strikes > 1,
        summary=held.summary if context.summaries else "",
        facts=_newest(held.facts, context.facts_tokens) if held.facts and context.facts else (),
        sharing=settings.agent is None or settings.agent.integration.context_sharing,
        variables=_variables(held, settings, context, language),
        to_sum_up=_to_sum_up(held, kept, settings) if context.summaries else 0,
    )


def tokens_of(question: Question) -> int:
    """About how many tokens go out with a question, the system prompt aside."""
    return estimate(question.prompt) + sum(map(cost, question.history))


def wishes_of(held: Claim, settings: Settings) -> Wishes:
    """Who shall answer: what was chosen in the conversation goes before what the bot's settings say."""
    bot = settings.bot(held.platform, held.bot)
    return Wishes(held.model or bot.model, bot.system_prompt, tuple(bot.workflows), tuple(bot.tools))


def language_of(held: Claim, settings: Settings) -> Lang:
    """In which language to speak to whoever wrote this."""
    setting = settings.bot(held.platform, held.bot).language or settings.language
    return detect(held.text) if setting == "auto" else setting


def _newest(facts: Sequence[Fact], budget: int) -> tuple[Fact, ...]:
    """The newest facts that fit, oldest first."""
    kept = []
    for fact in reversed(facts):
        budget -= estimate(fact.text) + 2
        if budget < 0:
            break
        kept.append(fact)
    return tuple(reversed(kept))


def _to_sum_up(held: Claim, kept: Sequence[Turn], settings: Settings) -> int:
    """The last message that a summary should hold, if the history was too long for its budget and none is on its way.

    The older half of the budget goes into it too, so that it is not needed again with the very next message.
    """
    if len(kept) == len(held.history) and not held.more_history:
        return 0
    newer = [turn for turn in held.history if turn.message_id > held.summary_wanted]
    if len(newer) < len(held.history) and sum(map(cost, newer)) <= settings.history_tokens:
        return 0  # what is on its way is enough
    left = settings.history_tokens // 2
    until = 0
    for turn in reversed(newer):
        left -= cost(turn)
        if left < 0:
            until = turn.message_id
            break
    if not until and held.more_history and held.history:  # many short ones
        until = held.history[len(held.history) // 2].message_id
    if until <= max(held.summary_wanted, held.begins_after) or not catalogue.models(settings):
        return 0
    return until


def _variables(held: Claim, settings: Settings, context: ContextSettings, language: Lang) -> Mapping[str, str]:
    """Nothing, unless a prompt of the configuration asks for something."""
    bot = settings.bot(held.platform, held.bot)
    if not any("{" in prompt for prompt in (bot.system_prompt, settings.system_prompt, _agents_prompt(settings))):
        return {}
    return prompts.values_of(
        user_name=held.user_name,
        user_id=held.sender_ref,
        bot=bot.name or ("MindBot" if held.bot == "default" else held.bot),
        platform=held.platform,
        conversation_title=held.title,
        conversation_kind=held.conversation_kind,
        language=language,
        now=datetime.now(_zone(context.time_zone)).astimezone(_zone(context.time_zone)),
    )


def _agents_prompt(settings: Settings) -> str:
    agent = settings.agent
    return agent.langchain.system_prompt if agent is not None and agent.langchain is not None else ""


@functools.cache
def _zone(name: str) -> tzinfo | None:
    """None: the machine's own."""
    return zoneinfo.ZoneInfo(name) if name else None
