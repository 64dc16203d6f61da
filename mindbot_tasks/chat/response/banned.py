"""Words that are not to come in or go out: one linear search for all of them at once. Pure.

Capitals, full-width letters and invisible characters do not matter. A word in letters stands by itself ("ass" is not in
"class"); a Chinese one is found anywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

from mindbot_tasks.chat.response.runs import fold_width
from mindbot_tasks.chat.response.searching import find_all

_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")
_MARK = "*"


class BannedWords:
    """The words, compiled once."""

    def __init__(self, words: Iterable[str]) -> None:
        plain = {_flat(word)[0].strip() for word in words} - {""}
        self._pattern: Any = None
        self._beginnings: frozenset[str] = frozenset()
        self._longest = max(map(len, plain), default=0)
        if plain:
            import re2  # only a process that has a list pays for it

            options = re2.Options()
            options.log_errors = False
            options.longest_match = True
            options.max_mem = 256 << 20  # lists may have many thousands of words
            escaped = "|".join(re2.escape(word) for word in sorted(plain))
            self._pattern = re2.compile(escaped, options)
            self._beginnings = frozenset(word[:size] for word in plain for size in range(1, len(word) + 1))

    def __bool__(self) -> bool:
        return self._pattern is not None

    def undecided(self, text: str) -> int:
        """From here on a growing text cannot be judged yet: a word may be on its way, or become another one."""
        flat, places = _flat(text)
        at = len(flat)
        for size in range(min(self._longest, len(flat)), 0, -1):
            if flat[-size:] in self._beginnings:
                at = len(flat) - size
                break
        run = len(flat)
        while run and _in_word(flat[run - 1]):
            run -= 1
        at = min(at, run)
        # a beginning may itself begin within a longer word
        while at and at < len(flat) and _in_word(flat[at - 1]) and _in_word(flat[at]):
            at -= 1
        return places[at] if at < len(flat) else _end_of_visible(text)

    def find(self, text: str) -> list[tuple[int, int]]:
        """Where the words stand in the text."""
        if self._pattern is None:
            return []
        flat, places = _flat(text)
        alone = functools.partial(_stands_alone, flat)
        return [(places[begin], places[end - 1] + 1) for begin, end in find_all(self._pattern, flat, alone)]

    def mask(self, text: str) -> tuple[str, int]:
        """The text with asterisks in place of the words, and how many there were."""
        found = self.find(text)
        pieces, at = [], 0
        for begin, end in found:
            pieces += [text[at:begin], _MARK * (end - begin)]
            at = end
        return "".join([*pieces, text[at:]]) if found else text, len(found)


def _flat(text: str) -> tuple[str, range | list[int]]:
    """The text as it is compared, and the place of each of its characters in the text."""
    folded = fold_width(text)
    lower = folded.lower()
    if len(lower) == len(text) and (text.isascii() or not _INVISIBLE.intersection(text)):
        return lower, range(len(text))
    kept = [(char, at) for at, char in enumerate(folded) if char not in _INVISIBLE]
    return "".join(c.lower() if len(c.lower()) == 1 else c for c, _ in kept), [at for _, at in kept]


def _end_of_visible(text: str) -> int:
    """Invisible characters at the end may stand within a word."""
    end = len(text)
    while end and text[end - 1] in _INVISIBLE:
        end -= 1
    return end


def _stands_alone(text: str, begin: int, end: int) -> bool:
    if begin and _in_word(text[begin]) and _in_word(text[begin - 1]):
        return False
    return not (end < len(text) and _in_word(text[end - 1]) and _in_word(text[end]))


def _in_word(char: str) -> bool:
    return char == "_" or (char.isalnum() and char < "\u2e80")
