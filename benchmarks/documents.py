"""Documents that nobody has written: as many as are wanted, in English and Chinese, the same for the same seed.

Words are made of syllables and drawn by Zipf's law, as in real texts: few are everywhere, most are rare. Each section
holds a number and a name that occur nowhere else, so that every question has one right passage.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

_STARTS = [
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "w",
    "br",
    "cr",
    "dr",
    "fl",
    "gr",
    "pl",
    "pr",
    "sh",
    "sk",
    "st",
    "th",
    "tr",
]
_VOWELS = ["a", "e", "i", "o", "u", "ai", "ea", "ie", "oo", "ou"]
_ENDS = ["", "", "", "n", "r", "s", "t", "l", "m", "ck", "nd", "st"]
_HELPERS = [
    "the",
    "of",
    "to",
    "and",
    "in",
    "is",
    "for",
    "that",
    "with",
    "on",
    "as",
    "are",
    "by",
    "this",
    "be",
    "from",
    "or",
    "it",
    "at",
    "which",
]
_FIRST_HAN, _HAN = 0x4E00, 2_500
SECTIONS = 200  #: of each document
_WORDS, _HAN_WORDS = 24_000, 16_000


@dataclass(frozen=True, slots=True)
class Document:
    """One document, and a question for some of its sections with what the right passage says."""

    source: str
    text: str
    questions: tuple[tuple[str, str], ...]


class Library:
    """Makes documents, one after the other."""

    def __init__(self, seed: int = 1) -> None:
        chance = random.Random(seed)
        self._chance = chance
        self._words = _distinct(lambda: _word(chance), _WORDS)
        self._han = _distinct(lambda: _han_word(chance), _HAN_WORDS)
        self._weights = list(itertools.accumulate(1 / (rank + 8) for rank in range(_WORDS)))
        self._han_weights = list(itertools.accumulate(1 / (rank + 8) for rank in range(_HAN_WORDS)))

    def documents(self, sections: int) -> Iterator[Document]:
        """Documents with this many sections in all; a section becomes one piece when it is cut."""
        for number in range(-(-sections // SECTIONS)):
            count = min(SECTIONS, sections - number * SECTIONS)
            yield self._document(number, count, chinese=number % 2 == 1)

    def _document(self, number: int, sections: int, *, chinese: bool) -> Document:
        language = "zh" if chinese else "en"
        lines = [f"# {self._title(chinese)} {number}", ""]
        questions = []
        for section in range(sections):
            code = f"{language}-{number:05d}-{section:02d}"
            told = self._sentences(chinese)
            about = self._rare(chinese)
            fact = f"{about}的编号是 {code}。" if chinese else f"The number of {about} is {code}."
            told.insert(len(told) // 2, fact)
            lines += [f"## {self._title(chinese)}", "", ("" if chinese else " ").join(told), ""]
            questions.append((f"{about}的编号是什么?" if chinese else f"What is the number of {about}?", code))
        return Document(f"library/{language}/{number:05d}.md", "\n".join(lines), tuple(questions[::5]))

    def _title(self, chinese: bool) -> str:
        if chinese:
            return "".join(self._draw(chinese, 3))
        return " ".join(self._draw(chinese, 3)).capitalize()

    def _rare(self, chinese: bool) -> str:
        """Three words together that are seldom together."""
        if chinese:
            return "".join(self._chance.choices(self._han[2_000:], k=3))
        return " ".join(self._chance.choices(self._words[2_000:], k=3))

    def _sentences(self, chinese: bool) -> list[str]:
        if chinese:
            return ["".join(self._draw(chinese, self._chance.randint(6, 14))) + "。" for _ in range(16)]
        return [" ".join(self._draw(chinese, self._chance.randint(8, 18))).capitalize() + "." for _ in range(7)]

    def _draw(self, chinese: bool, count: int) -> Sequence[str]:
        if chinese:
            return self._chance.choices(self._han, cum_weights=self._han_weights, k=count)
        drawn = self._chance.choices(self._words, cum_weights=self._weights, k=count)
        return [self._chance.choice(_HELPERS) if self._chance.random() < 0.3 else word for word in drawn]


def _distinct(make: Callable[[], str], count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found[make()] = None
    return list(found)


def _word(chance: random.Random) -> str:
    syllables = chance.choices((1, 2, 3, 4), (1, 4, 4, 2))[0]
    return "".join(chance.choice(_STARTS) + chance.choice(_VOWELS) + chance.choice(_ENDS) for _ in range(syllables))


def _han_word(chance: random.Random) -> str:
    return "".join(chr(_FIRST_HAN + int(_HAN * chance.random() ** 2)) for _ in range(chance.choice((2, 2, 2, 3))))
