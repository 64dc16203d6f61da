"""BM25 over the pieces of a knowledge base: looks into the files of `indexing.py`, and has them brought up to date."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.knowledge import indexing
from mindbot_tasks.knowledge.terms import terms

if TYPE_CHECKING:
    from mindbot_tasks.knowledge.segments import Segment

log = structlog.get_logger(__name__)

_K1, _B = 1.2, 0.6
#: postings that one question may look at; rare terms come first, so what is left out says little
_MOST_POSTINGS = 200_000
_MOST_TERMS = 400
#: how long the first question of a process waits for a base that it has not seen yet
_FIRST_S = 2.0
#: between two looks at what has changed, at the least; after one that failed
_BETWEEN_S, _AFTER_FAILURE_S = 1.0, 20.0
_LONGEST_WAIT_S = 600.0


class NotIndexed(Exception):
    """Nobody on this machine has made the files yet; somebody is at it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A piece that shares terms with the question."""

    chunk_id: int
    score: float
    coverage: float  #: 0 to 1: how much of what the question asks for occurs in it


class Index:
    """The open files of a base, as of one version. Does not change; any thread may search."""

    def __init__(self, manifest: indexing.Manifest, segments: Sequence[Segment]) -> None:
        import numpy as np

        self.born, self.version = manifest.born, manifest.version
        dead = [np.array(manifest.dead.get(segment.name, ()), np.int64) for segment in segments]
        self.pieces = sum(segment.pieces - len(gone) for segment, gone in zip(segments, dead, strict=True))
        length = sum(
            int(one.lengths.sum(dtype=np.int64)) - int(one.lengths[gone].sum(dtype=np.int64))
            for one, gone in zip(segments, dead, strict=True)
        )
        mean = length / self.pieces if length else 1.0
        norms = [(_K1 * (1 - _B) + one.lengths * (_K1 * _B / mean)).astype(np.float32) for one in segments]
        self._segments = list(zip(segments, dead, norms, strict=True))

    @classmethod
    def open(cls, folder: Path) -> Index:
        """What the manifest names now. Raises OSError, Damaged."""
        from mindbot_tasks.knowledge.segments import load

        for once_more in (True, False):
            manifest = indexing.Manifest.read(folder)
            try:
                return cls(manifest, [load(folder / name) for name in manifest.segments])
            except FileNotFoundError:  # replaced while we were reading
                if not once_more:
                    raise
        raise AssertionError("unreachable")

    def search(self, question: str, limit: int) -> list[Hit]:
        """The best pieces for these words. Raises IndexError or ValueError if a file is damaged."""
        import numpy as np

        from mindbot_tasks.knowledge.segments import TF_BITS, TF_MOST, hash_of

        asked = list(dict.fromkeys(terms(question)))[:_MOST_TERMS]
        if not self.pieces or not asked:
            return []
        hashes = np.array([hash_of(term) for term in asked], np.uint64)
        runs = [segment.runs(hashes) for segment, _, _ in self._segments]
        seen = sum((end - begin for begin, end in runs), np.zeros(len(asked), np.int64))
        weights = np.array([self._weight(term, int(count)) for term, count in zip(asked, seen, strict=True)])
        order = np.argsort(seen, kind="stable")
        order = order[(np.cumsum(seen[order]) <= _MOST_POSTINGS) & (seen[order] > 0)]
        whole = float(weights.sum())
        hits: list[Hit] = []
        for (segment, dead, norm), (begin, end) in zip(self._segments, runs, strict=True):
            here = [int(one) for one in order if end[one] > begin[one]]
            if not here:
                continue
            found = np.concatenate([segment.postings[begin[one] : end[one]] for one in here])
            weight = np.repeat(weights[here], (end - begin)[here])
            place = (found >> np.uint32(TF_BITS)).astype(np.int64)
            tf = (found & np.uint32(TF_MOST)).astype(np.float32)
            tf /= tf + norm[place]
            scores = np.bincount(place, weight * tf, segment.pieces)
            scores[dead] = 0.0
            best = np.argpartition(scores, -limit)[-limit:] if len(scores) > limit else np.arange(len(scores))
            best = best[scores[best] > 0]
            covered = np.bincount(place, weight, segment.pieces)[best]
            hits += [
                Hit(int(segment.chunk_ids[at]), float(scores[at]) * (_K1 + 1), min(1.0, float(part) / whole))
                for at, part in zip(best, covered, strict=True)
            ]
        hits.sort(key=lambda hit: (-hit.score, hit.chunk_id))
        return hits[:limit]

    def _weight(self, term: str, seen: int) -> float:
        weight = math.log(1 + (self.pieces - min(seen, self.pieces) + 0.5) / (seen + 0.5))
        if not term.isascii():
            # a single character says much less than a pair; a pair that nobody wrote is often none, but the end of
            # one word and the start of the next
            weight *= 0.4 if len(term) == 1 or not seen else 1.0
        return weight


@dataclass(slots=True)
class _Base:
    """What this process knows of one base."""

    folder: Path
    index: Index | None = None
    at_work: threading.Thread | None = None
    not_before: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Lexicon:
    """The indexes that this process has open; each follows its base, and nobody waits for that but the first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bases: dict[str, _Base] = {}

    def search(
        self, home: Path, base: str, born: int, version: int, question: str, limit: int
    ) -> tuple[list[Hit], bool]:
        """The best pieces of a base, and whether all of it has been looked at. Raises NotIndexed."""
        index = self._index(home, base, born, version)
        try:
            return index.search(question, limit), index.version > 0
        except (IndexError, ValueError) as exc:
            log.warning("word_index_damaged", base=base, reason=type(exc).__name__)
            indexing.forget(home, base)
            with self._lock:
                self._bases.pop(base, None)
            raise NotIndexed from None

    def _index(self, home: Path, base: str, born: int, version: int) -> Index:
        known = self._bases.get(base)
        if known is not None and known.index is not None and known.index.version >= version:
            return known.index
        with self._lock:
            known = self._bases.setdefault(base, _Base(indexing.folder_of(home, base)))
        is_first = known.index is None
        working = self._follow(known, home, base, born, version)
        if is_first and working is not None:
            working.join(_FIRST_S)
        if known.index is None:
            raise NotIndexed
        return known.index

    def _follow(self, known: _Base, home: Path, base: str, born: int, version: int) -> threading.Thread | None:
        """Open what others have made; if that is too old, have it made. Returns who is at it."""
        with known.lock:
            if known.at_work is not None and known.at_work.is_alive():
                return known.at_work
            if self._opened(known, born, version) or time.monotonic() < known.not_before:
                return None
            known.at_work = threading.Thread(
                target=functools.partial(self._make, known, home, base, born, version),
                name="word index", daemon=True,
            )  # fmt: skip
            known.at_work.start()
            return known.at_work

    def _opened(self, known: _Base, born: int, version: int) -> bool:
        """Take over what is in the folder, if it is of any use; whether it is as new as wanted."""
        from mindbot_tasks.knowledge.segments import Damaged

        manifest = indexing.Manifest.read(known.folder)
        if manifest.born != born or not (manifest.segments or manifest.version):
            return False
        held = known.index
        if held is None or manifest.version != held.version or not manifest.version:
            try:
                known.index = Index.open(known.folder)
            except (OSError, Damaged, ValueError):
                return False
        return known.index is not None and known.index.version >= version

    def _make(self, known: _Base, home: Path, base: str, born: int, version: int) -> None:
        started = time.monotonic()
        made = False
        try:
            outcome = indexing.bring_up_to_date(home, base, most=indexing.SMALL)
            while outcome == "busy" and time.monotonic() - started < _LONGEST_WAIT_S:
                time.sleep(0.3)
                outcome = indexing.bring_up_to_date(home, base, most=indexing.SMALL)
                self._opened(known, born, version)
            take_over = functools.partial(self._opened, known, born, version)
            made = outcome == "done" or (outcome == "many" and indexing.run_child(base, take_over))
        except (DatabaseUnavailable, OSError) as exc:
            log.warning("word_index_waits", base=base, reason=type(exc).__name__)
        took_s = time.monotonic() - started
        known.not_before = time.monotonic() + (max(_BETWEEN_S, took_s) if made else _AFTER_FAILURE_S)
        self._opened(known, born, version)

    def forget(self) -> None:
        with self._lock:
            self._bases.clear()


lexicon = Lexicon()

__all__ = ["Hit", "Index", "Lexicon", "NotIndexed", "lexicon"]
