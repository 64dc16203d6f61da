"""The text a model stand-in answers with: an echo that a checker can match, cut into tokens."""

from __future__ import annotations

import re

from emulators.faults import AnyRule, Say

#: what every model stand-in says; the last user message stands in it letter by letter
ECHO = "You said: {text}"

MAX_TOKENS = 4000

_TOKEN = re.compile(r"\s*[\u2e80-\uffee]|\s*[^\s\u2e80-\uffee]+|\s+")


def answer_to(text: str, rule: AnyRule | None, *, words: int = 0) -> str:
    """The echo, made longer by `words` numbered words; or what a rule says instead."""
    if isinstance(rule, Say):
        return rule.text * rule.repeat
    answer = ECHO.replace("{text}", text)  # not format(): the text may hold braces
    return answer + "".join(f" word{n}" for n in range(1, words + 1))


def tokens(text: str) -> list[str]:
    """Pieces that join to the text again: a word with the blanks before it, or one wide character.

    Never more than MAX_TOKENS: megabytes of text come in larger pieces.
    """
    pieces: list[str] = _TOKEN.findall(text)
    if len(pieces) <= MAX_TOKENS:
        return pieces
    size = -(-len(text) // MAX_TOKENS)
    return [text[at : at + size] for at in range(0, len(text), size)]


def count(text: str) -> int:
    """About how many tokens a model would bill; cheap, and never 0 for a text that is not empty."""
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4
