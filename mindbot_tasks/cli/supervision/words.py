"""The sentences of `mindbot up` (core/words_up.py) in the language of whoever started it."""

from __future__ import annotations

from mindbot_tasks.core.words import Lang, say


class Words:
    """Sentences in one language."""

    def __init__(self, language: Lang) -> None:
        self.language: Lang = language

    def __call__(self, key: str, **fields: object) -> str:
        """The sentence for this key with its fields filled in."""
        return say(f"up.{key}", self.language, **fields)
