"""What is said in place of what may not be said."""

from __future__ import annotations

from mindbot_tasks.core.words import Words

WORDS: Words = {
    "blocked": (
        "I cannot talk about that here. Please ask me something else.",
        "抱歉，这个话题我不便讨论，请换个问题。",
    ),
}
