"""What goes along with a question to whoever answers it. Pure."""

from __future__ import annotations

from dataclasses import replace

from mindbot_tasks.chat.attachments import attachments_of
from mindbot_tasks.chat.language import detect
from mindbot_tasks.chat.tokens import trim
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.words import say
from mindbot_tasks.llm.base import Question
from mindbot_tasks.model.answer import Classification
from mindbot_tasks.stores.claims import Claim


def question_for(held: Claim, settings: Settings) -> Question:
    """The question of a claimed message, with as much history as the token budget allows."""
    language = detect(held.text) if settings.language == "auto" else settings.language
    return Question(
        message_id=held.message_id,
        text=held.text,
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
