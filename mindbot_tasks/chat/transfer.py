"""What is said when a person is to take over. Pure."""

from __future__ import annotations

from mindbot_tasks.core.words import Lang, say
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part


def passing_on(language: Lang) -> Answer:
    """The words, and the transfer itself as a part, which the platform carries out after them."""
    return Answer(
        text=say("person.passing_on", language),
        provider="mindbot",
        parts=(Part("transfer", data={"language": language}),),
    )
