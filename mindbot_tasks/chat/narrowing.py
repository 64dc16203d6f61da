"""Which of the passages that were found for a follow-up speak of what it says itself; pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from mindbot_tasks.chat.following import Wanted
from mindbot_tasks.chat.language import detect
from mindbot_tasks.knowledge.terms import terms
from mindbot_tasks.model.knowledge import Passage

#: how much the words of a message count that names something new; of one that only points, they count as the others do
_NEW = 2.0
#: how much those of the questions count that it follows, by how far back they are
_BEFORE = (1.0, 0.6, 0.4, 0.3)
_IN_HEADINGS = 0.5  #: more, for words that stand in the headings
_SAME_LANGUAGE = 0.3  #: more, for a passage in the language of the message
_ENOUGH = 0.5  #: share of the new words without which a passage does not speak of them
_SHORTEST_START = 4


@dataclass(frozen=True, slots=True)
class _Read:
    passage: Passage
    headings: frozenset[str]
    words: frozenset[str]  #: with those of the headings


def joined(*lists: Sequence[Passage]) -> tuple[Passage, ...]:
    """All of them, none twice."""
    known = {passage.chunk_id: passage for passages in reversed(lists) for passage in passages}
    return tuple(known.values())


def best(passages: Iterable[Passage], wanted: Wanted, count: int) -> tuple[Passage, ...]:
    """The first `count`; those first that speak of what the message adds, or are in the language that it asks for.

    Of those that say nothing about what is new in a message, none: "and what about Kafka?" is no longer about queues.
    """
    kept = list(passages)
    if wanted.before:
        kept = _sorted(kept, wanted)
    if wanted.language is not None:
        kept.sort(key=lambda one: detect(one.text) != wanted.language)
    return tuple(_apart(kept))[:count]


def _sorted(passages: Iterable[Passage], wanted: Wanted) -> list[Passage]:
    read = []
    for passage in passages:
        headings = frozenset(terms(passage.cited))
        read.append(_Read(passage, headings, headings.union(terms(passage.text))))
    own = set(terms(wanted.own))
    asked = [(own, _NEW if wanted.kind == "topic" else _BEFORE[0])]
    asked += [(set(terms(said)), weight) for said, weight in zip(wanted.before, _BEFORE, strict=False)]
    if own and wanted.kind == "topic":
        read = [one for one in read if _share(own, one.words) >= _ENOUGH]
    seen = {term: sum(_has(one.words, term) for one in read) for words, _ in asked for term in words}
    rarity = {term: math.log(1 + (len(read) + 1) / (count + 1)) for term, count in seen.items()}

    spoken = detect(wanted.own or wanted.query)

    def fit(one: _Read) -> float:
        return (
            one.passage.score
            + _SAME_LANGUAGE * (detect(one.passage.text) == spoken)
            + sum(
                weight * (_share(words, one.words, rarity) + _IN_HEADINGS * _share(words, one.headings, rarity))
                for words, weight in asked
            )
        )

    return [one.passage for one in sorted(read, key=fit, reverse=True)]


def _share(asked: Set[str], there: Set[str], weights: Mapping[str, float] | None = None) -> float:
    """How much of these words occurs."""
    worth = {term: 1.0 if weights is None else weights[term] for term in asked}
    whole = sum(worth.values())
    return sum(value for term, value in worth.items() if _has(there, term)) / whole if whole else 0.0


def _has(there: Set[str], term: str) -> bool:
    """Also the start of a longer one: "postgres" does for PostgreSQL."""
    if term in there:
        return True
    return len(term) >= _SHORTEST_START and term.isascii() and any(one.startswith(term) for one in there)


def _apart(passages: Iterable[Passage]) -> Iterable[Passage]:
    """Those that are no part of one before."""
    kept: list[Passage] = []
    for passage in passages:
        if not any(one.document_id == passage.document_id and passage.text in one.text for one in kept):
            kept.append(passage)
    return kept
