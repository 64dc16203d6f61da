"""What goes along with a question to whoever answers it. Pure."""

from __future__ import annotations

from dataclasses import replace

from mindbot_tasks.chat import rules
from mindbot_tasks.chat.attachments import attachments_of
from mindbot_tasks.chat.language import detect
from mindbot_tasks.chat.tokens import PER_TURN, estimate, trim
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.llm.base import Question, Wishes
from mindbot_tasks.model.answer import Classification
from mindbot_tasks.stores.claims import Claim


def question_for(held: Claim, settings: Settings) -> Question:
    """The question of a claimed message, with as much history as the token budget allows."""
    language = language_of(held, settings)
    return Question(
        message_id=held.message_id,
        text=rules.without_prefix(held.text, settings.bot(held.platform, held.bot)),
        # a picture without words; many servers refuse a line that says nothing
        history=tuple(
            turn if turn.text else replace(turn, text=say("attachments.no_words", language))
            for turn in trim(held.history, settings.history_tokens)
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
    )


def tokens_of(question: Question) -> int:
    """About how many tokens go out with a question, the system prompt aside."""
    return estimate(question.text) + sum(estimate(turn.text) + PER_TURN for turn in question.history)


def wishes_of(held: Claim, settings: Settings) -> Wishes:
    """Who shall answer: what was chosen in the conversation goes before what the bot's settings say."""
    bot = settings.bot(held.platform, held.bot)
    return Wishes(held.model or bot.model, bot.system_prompt, tuple(bot.workflows), tuple(bot.tools))


def language_of(held: Claim, settings: Settings) -> Lang:
    """In which language to speak to whoever wrote this."""
    setting = settings.bot(held.platform, held.bot).language or settings.language
    return detect(held.text) if setting == "auto" else setting
