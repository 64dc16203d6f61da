"""Finds what the bot has read about a question: by vectors, by words, and by both together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import structlog

from mindbot_tasks.core import telemetry
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, DeadlineExceeded, FarSideError
from mindbot_tasks.core.settings import ChromaSettings, Settings
from mindbot_tasks.knowledge import turns
from mindbot_tasks.knowledge.chroma import NotThere, WrongSize, collection_of, get_chroma
from mindbot_tasks.knowledge.embedding import Embedder, Offline, embed_question, embedder_of, fusion_of, scale_of
from mindbot_tasks.knowledge.lexical import NotIndexed, lexicon
from mindbot_tasks.knowledge.measuring import timed
from mindbot_tasks.knowledge.reranking import reranked
from mindbot_tasks.model.knowledge import NOTHING, Found, Passage
from mindbot_tasks.stores import knowledge, knowledge_chunks, knowledge_traffic, knowledge_version
from mindbot_tasks.stores.database import reading

log = structlog.get_logger(__name__)

Mode = Literal["hybrid", "dense", "lexical"]
_CANDIDATES = 30
#: a piece that is about it scores as the better of both says; below, words alone have to say more
_LEXICAL_FROM, _LEXICAL_SURE = 0.25, 0.85
_TWIN = 0.85  #: share of common words from which two passages say the same
_WIDEST = 2400  #: characters of a passage with its neighbours
_FRESH_S = 2.0
#: for one's turn, when very many ask at once; it does not count for `chromadb.timeout`
_LONGEST_WAIT_S = 20.0
#: whoever has waited so long for his turn is answered by words, which takes milliseconds whatever the vectors take
_LATE_S = 10.0
#: for the vectors of one question; from then on who reads documents gives way
_SLOW_S = 0.3
_LONGEST_QUESTION = 2000


@dataclass(slots=True)
class _Candidate:
    chunk_id: int
    fused: float = 0.0
    similarity: float = 0.0  #: 0 to 1, on the scale of its model
    coverage: float = 0.0

    @property
    def confidence(self) -> float:
        by_words = max(0.0, min(1.0, (self.coverage - _LEXICAL_FROM) / (_LEXICAL_SURE - _LEXICAL_FROM)))
        return max(by_words, self.similarity, min(1.0, (by_words + self.similarity) * 0.7))


def bases_of(settings: Settings, allowed: Sequence[str] | None) -> tuple[str, ...]:
    """The knowledge bases that may be searched; None: the usual one."""
    return (default_base(settings),) if allowed is None else tuple(dict.fromkeys(allowed))


def default_base(settings: Settings) -> str:
    return (settings.chromadb or _DEFAULTS).collection_name


def is_wanted(settings: Settings) -> bool:
    """Whether there may be anything to search; costs nothing where nobody has added a document."""
    return settings.chromadb is not None or knowledge_version.heard() > 0


@timed
def search(
    settings: Settings,
    question: str,
    bases: Sequence[str],
    deadline: Deadline,
    *,
    mode: Mode = "hybrid",
    limit: int | None = None,
    min_score: float | None = None,
) -> Found:
    """The passages about a question, best first; none, when what was read says nothing about it.

    Never fails: what did not work is in `trouble`. `bases` are all that may be searched; what an index says beyond
    them is not believed. Raises a Stopped.
    """
    wanted = settings.chromadb or _DEFAULTS
    question = question.strip()[:_LONGEST_QUESTION]
    if not question or not bases:
        return NOTHING
    try:
        return _searched(settings, wanted, _Asked(question, bases, mode, limit, min_score), deadline)
    except DatabaseUnavailable:
        log.warning("knowledge_unavailable", reason="database")
        return Found((), "database")
    except DeadlineExceeded:
        log.warning("knowledge_unavailable", reason="busy")
        return Found((), "busy")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What somebody wants to know, and where it may be looked for."""

    question: str
    bases: Sequence[str]
    mode: Mode
    limit: int | None
    min_score: float | None


def _searched(settings: Settings, wanted: ChromaSettings, asked: _Asked, deadline: Deadline) -> Found:
    """Raises DatabaseUnavailable, DeadlineExceeded or a Stopped."""
    states = _states(asked.bases)
    if not states:
        return NOTHING
    embedder = embedder_of(settings) if asked.mode != "lexical" else None
    ahead = _Vector()
    if embedder is not None and not isinstance(embedder, Offline):
        # a server of its own is waited for outside of the turn: meanwhile others can search
        ahead = _vector(embedder, asked.question, deadline.within(wanted.timeout))
    waiting, came = deadline.within(_LONGEST_WAIT_S), time.monotonic()
    if turns.searches.are_taken:
        knowledge_traffic.say_busy()
    with turns.searches.one(waiting):
        soon = deadline.within(wanted.timeout)
        if asked.mode == "hybrid" and embedder is not None and time.monotonic() - came > _LATE_S:
            ahead = _Vector((), "vectors")
        elif isinstance(embedder, Offline):
            ahead = _vector(embedder, asked.question, soon)
        candidates: dict[int, _Candidate] = {}
        trouble = ahead.trouble
        for base, state in states.items():
            if ahead.values and embedder is not None:
                trouble = _dense(settings, base, state.embedder, embedder, ahead.values, soon, candidates) or trouble
            if asked.mode != "dense":
                lacks = _lexical(settings, base, state, asked.question, candidates)
                trouble = trouble or lacks
        ranked = sorted(candidates.values(), key=lambda one: -one.fused)[:_CANDIDATES]
        threshold = wanted.min_score if asked.min_score is None else asked.min_score
        good = [one for one in ranked if one.confidence >= threshold]
        if not good:
            return Found((), trouble)
        with reading() as connection:
            known = knowledge_chunks.passages(connection, [one.chunk_id for one in good], asked.bases)
        passages = [
            replace(known[one.chunk_id][0], score=round(one.confidence, 4)) for one in good if one.chunk_id in known
        ]
        count = asked.limit or wanted.results
        if not wanted.rerank_url or not passages:
            return Found(tuple(_with_neighbours(_without_twins(passages, count), known)), trouble)
    passages = _without_twins(reranked(wanted, asked.question, passages, deadline.within(wanted.timeout)), count)
    with turns.searches.one(waiting):
        return Found(tuple(_with_neighbours(passages, known)), trouble)


@dataclass(frozen=True, slots=True)
class _Vector:
    """That of a question, or why there is none."""

    values: Sequence[float] = ()
    trouble: str = ""


def _vector(embedder: Embedder, question: str, deadline: Deadline) -> _Vector:
    about = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": embedder.id}
    try:
        with telemetry.span(f"embeddings {embedder.id}", "client", about):
            return _Vector(embed_question(embedder, question, deadline))
    except FarSideError as exc:
        log.warning("question_not_embedded", embedder=embedder.id, kind=exc.kind, status=exc.status)
        return _Vector((), "embeddings")


def _dense(
    settings: Settings,
    base: str,
    made_by: str,
    embedder: Embedder,
    vector: Sequence[float],
    deadline: Deadline,
    candidates: dict[int, _Candidate],
) -> str:
    """Add what is near; returns what did not work."""
    if not made_by:
        return ""
    if made_by != embedder.id:
        log.warning("knowledge_of_another_model", base=base, made_by=made_by, configured=embedder.id)
        return "reindex"
    began = time.monotonic()
    try:
        with telemetry.span("query vectors", "client", {"db.system.name": "chroma"}):
            near = get_chroma(settings).query(collection_of(base), vector, _CANDIDATES, deadline)
    except WrongSize:
        log.warning("knowledge_of_another_model", base=base, made_by=made_by, configured=embedder.id)
        return "reindex"
    except NotThere:
        log.warning("vectors_lost", base=base)  # `mindbot.tend` has them made anew
        return "vectors"
    except FarSideError as exc:
        log.warning("vector_store_unavailable", base=base, kind=exc.kind, status=exc.status)
        return "vectors"
    finally:
        if time.monotonic() - began > _SLOW_S:
            knowledge_traffic.say_busy()
    low, high = scale_of(embedder.id)
    k, weight = fusion_of(embedder.id)
    for rank, (chunk_id, cosine) in enumerate(near):
        one = candidates.setdefault(chunk_id, _Candidate(chunk_id))
        one.fused += weight / (k + rank)
        one.similarity = max(0.0, min(1.0, (cosine - low) / (high - low)))
    return ""


def _lexical(settings: Settings, base: str, state: _State, question: str, candidates: dict[int, _Candidate]) -> str:
    """Add what shares words; returns what did not work."""
    try:
        hits, is_whole = lexicon.search(settings.home, base, state.born, state.version, question, _CANDIDATES)
    except NotIndexed:
        return "words"
    k, _ = fusion_of(state.embedder)
    for rank, hit in enumerate(hits):
        one = candidates.setdefault(hit.chunk_id, _Candidate(hit.chunk_id))
        one.fused += 1 / (k + rank)
        one.coverage = hit.coverage
    return "" if is_whole else "words"


def _without_twins(passages: Iterable[Passage], count: int) -> list[Passage]:
    """The first `count` that say something else than those before."""
    kept: list[tuple[Passage, frozenset[str]]] = []
    for passage in passages:
        words = frozenset(passage.text.split()) if " " in passage.text.strip() else frozenset(passage.text)
        if not any(len(words & other) >= _TWIN * max(len(words | other), 1) for _, other in kept):
            kept.append((passage, words))
        if len(kept) == count:
            break
    return [passage for passage, _ in kept]


def _with_neighbours(passages: Sequence[Passage], known: Mapping[int, tuple[Passage, int]]) -> list[Passage]:
    """Short passages with what stands before and after them under the same headings."""
    at = {passage.chunk_id: (passage.document_id, known[passage.chunk_id][1]) for passage in passages}
    places = [(document, place + step) for document, place in at.values() for step in (-1, 1)]
    with reading() as connection:
        around = knowledge_chunks.beside(connection, places)
    taken = set(at.values())
    grown = []
    for passage in passages:
        document, place = at[passage.chunk_id]
        text = passage.text
        for step in (1, -1):
            neighbour = around.get((document, place + step))
            if (
                neighbour is None
                or (document, place + step) in taken
                or neighbour.title != passage.title
                or len(text) + len(neighbour.text) > _WIDEST
            ):
                continue
            taken.add((document, place + step))
            text = f"{text}\n{neighbour.text}" if step == 1 else f"{neighbour.text}\n{text}"
        grown.append(replace(passage, text=text))
    return grown


@dataclass(frozen=True, slots=True)
class _State:
    """A knowledge base as of a moment ago."""

    version: int = 0  #: 0: there is no such base
    embedder: str = ""
    born: int = 0


_known_states: dict[str, tuple[float, _State]] = {}
_states_lock = threading.Lock()


def _states(bases: Sequence[str]) -> dict[str, _State]:
    """Those bases that are there, at most two seconds old. Raises DatabaseUnavailable."""
    now = time.monotonic()
    with _states_lock:
        if any(now - _known_states.get(base, (-_FRESH_S,))[0] >= _FRESH_S for base in bases):
            with reading() as connection:
                rows = knowledge.bases(connection)
            for base in bases:
                row = rows.get(base)
                state = _State(row.version, row.embedder, row.created_at) if row is not None else _State()
                _known_states[base] = (now, state)
        return {base: _known_states[base][1] for base in bases if _known_states[base][1].version}


def forget() -> None:
    """Look at everything anew; for tests, and for a process that has just changed it."""
    with _states_lock:
        _known_states.clear()
    lexicon.forget()


_DEFAULTS = ChromaSettings()
