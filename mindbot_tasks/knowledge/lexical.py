"""BM25 over the pieces of a knowledge base, in the memory of this process."""

from __future__ import annotations

import math
import threading
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from mindbot_tasks.knowledge.terms import terms
from mindbot_tasks.stores import knowledge_chunks
from mindbot_tasks.stores.database import reading

_K1, _B = 1.2, 0.6
_TITLE_COUNTS = 2  #: so often do the words of headings count
_TF_BITS = 5
_TF_MOST = (1 << _TF_BITS) - 1
#: postings that one question may look at; rare terms come first, so what is left out says little
_MOST_POSTINGS = 60_000
_REBUILT_WHEN_DEAD = 0.3


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece that shares terms with the question."""

    chunk_id: int
    score: float
    coverage: float  #: 0 to 1: how much of what the question asks for occurs in it


@dataclass(slots=True)
class Index:
    """Postings: four bytes for each term of each piece, the place of the piece and how often the term occurs."""

    chunk_ids: array[int] = field(default_factory=lambda: array("q"))
    lengths: array[int] = field(default_factory=lambda: array("H"))
    postings: dict[str, array[int]] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)
    total_length: int = 0

    def add(self, chunk_id: int, title: str, text: str) -> None:
        counts = Counter(terms(text))
        for term in terms(title):
            counts[term] += _TITLE_COUNTS
        place = len(self.chunk_ids)
        length = min(sum(counts.values()), 65_535)
        self.chunk_ids.append(chunk_id)
        self.lengths.append(length)
        self.places[chunk_id] = place
        self.total_length += length
        for term, count in counts.items():
            posting = (place << _TF_BITS) | min(count, _TF_MOST)
            known = self.postings.get(term)
            if known is None:
                self.postings[term] = array("I", (posting,))
            else:
                known.append(posting)

    def discard(self, chunk_id: int) -> None:
        place = self.places.pop(chunk_id, None)
        if place is not None:
            self.chunk_ids[place] = 0
            self.total_length -= self.lengths[place]

    @property
    def dead(self) -> float:
        return 1 - len(self.places) / len(self.chunk_ids) if self.chunk_ids else 0.0

    def search(self, question: str, limit: int) -> list[Hit]:
        """The best pieces for these words."""
        count = len(self.places)
        asked = list(dict.fromkeys(terms(question)))
        if not count or not asked:
            return []
        mean = self.total_length / count or 1.0
        found: list[tuple[float, array[int] | None]] = []
        for term in asked:
            known = self.postings.get(term)
            seen = len(known) if known is not None else 0
            weight = math.log(1 + (count - min(seen, count) + 0.5) / (seen + 0.5))
            if not term.isascii():
                # a single character says much less than a pair; a pair that nobody wrote is often none, but the end of
                # one word and the start of the next
                weight *= 0.4 if len(term) == 1 or known is None else 1.0
            found.append((weight, known))
        whole = sum(weight for weight, _ in found)
        scores: dict[int, float] = {}
        covered: dict[int, float] = {}
        left = _MOST_POSTINGS
        for weight, known in sorted(found, key=lambda one: len(one[1] or ())):
            if known is None:
                continue
            if len(known) > left:
                break
            left -= len(known)
            for posting in known:
                place = posting >> _TF_BITS
                tf = posting & _TF_MOST
                gain = weight * tf * (_K1 + 1) / (tf + _K1 * (1 - _B + _B * self.lengths[place] / mean))
                scores[place] = scores.get(place, 0.0) + gain
                covered[place] = covered.get(place, 0.0) + weight
        best = sorted(scores, key=scores.__getitem__, reverse=True)
        hits = []
        for place in best:
            if chunk_id := self.chunk_ids[place]:
                hits.append(Hit(chunk_id, scores[place], min(1.0, covered[place] / whole)))
                if len(hits) == limit:
                    break
        return hits


class Lexicon:
    """The indexes of this process; each follows its base by the version."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._indexes: dict[str, tuple[int, Index]] = {}

    def search(self, base: str, version: int, question: str, limit: int) -> list[Hit]:
        """Raises DatabaseUnavailable."""
        return self.index(base, version).search(question, limit)

    def index(self, base: str, version: int) -> Index:
        """The index as of this version, or a newer one. Raises DatabaseUnavailable."""
        known = self._indexes.get(base)
        if known is not None and known[0] >= version:
            return known[1]
        if known is not None and not self._lock.acquire(blocking=False):
            return known[1]  # somebody is bringing it up to date; a moment's delay of news does no harm
        if known is None:
            self._lock.acquire()
        try:
            known = self._indexes.get(base)
            if known is not None and known[0] >= version:
                return known[1]
            index = self._updated(base, known[1] if known is not None else Index())
            self._indexes[base] = (version, index)
            return index
        finally:
            self._lock.release()

    def _updated(self, base: str, index: Index) -> Index:
        with reading() as connection:
            there = knowledge_chunks.findable(connection, base)
        if index.dead > _REBUILT_WHEN_DEAD:
            index = Index()
        new = [chunk_id for chunk_id in there if chunk_id not in index.places]
        gone = [chunk_id for chunk_id in index.places if chunk_id not in there]
        for start in range(0, len(new), 500):
            with reading() as connection:
                texts: Mapping[int, tuple[str, str]] = knowledge_chunks.texts(connection, new[start : start + 500])
            for chunk_id, (title, text) in texts.items():
                index.add(chunk_id, title, text)
        for chunk_id in gone:
            index.discard(chunk_id)
        return index

    def forget(self) -> None:
        with self._lock:
            self._indexes.clear()


lexicon = Lexicon()
