"""What the bot says when it has no answer. Pure."""

from __future__ import annotations

from typing import Literal

from mindbot_tasks.chat.language import detect
from mindbot_tasks.core.words import say
from mindbot_tasks.model.message import Verdict


def apology_for(verdict: Verdict, question: str, language: Literal["auto", "en", "zh"]) -> str:
    """A polite sentence in the asker's language; it promises nothing and tells nothing internal."""
    return say(f"apology.{verdict}", detect(question) if language == "auto" else language)
