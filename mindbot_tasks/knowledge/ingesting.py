"""Reads documents, step by step; whatever is killed, the next one goes on from the rows.

queued -> (fetched, extracted, cut) -> embedding -> ready, or failed with a reason; removing -> gone. Each step commits
what it did, and every step can be done twice. An unavailable server is no failure: the row says when to try again.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import Connection

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DatabaseUnavailable, FarSideError, Rejected, RetryableError, Unavailable
from mindbot_tasks.core.settings import ChromaSettings, Settings
from mindbot_tasks.knowledge import chunking, indexing
from mindbot_tasks.knowledge.chroma import WrongSize, collection_of, get_chroma
from mindbot_tasks.knowledge.embedding import Embedder, embedder_of
from mindbot_tasks.knowledge.extraction import Unreadable, extract
from mindbot_tasks.knowledge.fetching import WEB, fetch
from mindbot_tasks.stores import knowledge, knowledge_chunks, knowledge_traffic
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.knowledge import EMBEDDING, FAILED, MAX_STRIKES, QUEUED, READY, REMOVING, Work

log = structlog.get_logger(__name__)

#: longer than any single call may take; whoever reads a document renews it meanwhile
LEASE_MS = 75_000
_CALL_S = 60.0
_LONG_S = 5.0
_WAIT_MS, _LONGEST_WAIT_MS = 15_000, 300_000
_WORDS_EVERY_S, _WORDS_WAIT_S = 5.0, 10.0
#: while somebody waits for a search: a pause before each batch, and so few pieces at once
_PAUSE_S, _LOOK_EVERY_S, _FEW = 1.0, 0.2, 16


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one document is."""

    source: str
    state: str
    done: int = 0
    total: int = 0


OnProgress = Callable[[Progress], None]


def _silent(progress: Progress) -> None:
    """The default."""


class _Lost(Exception):
    """Somebody else has the document now, or it is wanted otherwise."""


def work_off(
    settings: Settings,
    *,
    seconds: float,
    only: Sequence[int] = (),
    on_progress: OnProgress = _silent,
    stop: Callable[[], bool] = lambda: False,
) -> int:
    """Work on what is due until nothing is, or the time is over; returns how many documents were taken up.

    Raises DatabaseUnavailable; then the rows say what is left to do.
    """
    ends_at = time.monotonic() + seconds
    taken = 0
    changed: dict[str, float] = {}  # base -> when its words were looked at last
    try:
        while time.monotonic() < ends_at and not stop():
            with transaction() as connection:
                work = knowledge.claim(connection, lease_ms=LEASE_MS, only=only)
            if work is None:
                break
            taken += 1
            since = changed.setdefault(work.base, time.monotonic())
            _one(settings, work, on_progress)
            if time.monotonic() - since > _WORDS_EVERY_S:
                _index_words(settings, work.base, stop)
                changed[work.base] = time.monotonic()
    finally:
        for base in changed:
            _index_words(settings, base, stop)
    return taken


def _index_words(settings: Settings, base: str, stop: Callable[[], bool]) -> None:
    """Have the new pieces found by words, too; whoever is asked does it himself where this does not work."""
    try:
        indexing.bring_up_to_date(settings.home, base, wait_s=_WORDS_WAIT_S, stop=stop)
    except (OSError, DatabaseUnavailable) as exc:
        log.warning("word_index_waits", base=base, reason=type(exc).__name__)


@dataclass(slots=True)
class _Hold:
    """The document that is ours, as the row says by now."""

    work: Work

    def advance(self, connection: Connection, *, lease_ms: int | None = LEASE_MS, **values: Any) -> None:
        """Note how far it got; lease_ms None: done with it. Raises _Lost."""
        work = knowledge.advance(connection, self.work, lease_ms=lease_ms, **values)
        if work is None:
            raise _Lost
        self.work = work

    def renew(self) -> None:
        """Say that somebody still works on it."""
        with transaction() as connection:
            self.advance(connection, strikes=self.work.strikes)


def _one(settings: Settings, work: Work, on_progress: OnProgress) -> None:
    hold = _Hold(work)
    with structlog.contextvars.bound_contextvars(document_id=work.id):
        try:
            if work.strikes > MAX_STRIKES:
                raise Unreadable("whoever worked on it was killed, several times")
            if work.state == REMOVING:
                _remove(settings, work)
                return
            if work.state in (QUEUED, FAILED):
                on_progress(Progress(work.source, QUEUED))
                _read(settings, hold)
            _embed(settings, hold, on_progress)
            on_progress(Progress(work.source, READY))
        except _Lost:
            log.info("document_wanted_otherwise")
        except (Unreadable, Rejected) as exc:
            if work.state == REMOVING or _is_our_fault(exc):
                _again_later(hold.work, exc)
                on_progress(Progress(work.source, "waiting"))
                return
            with transaction() as connection:
                knowledge.advance(connection, hold.work, state=FAILED, error=str(exc)[:500])
                knowledge.forget_content(connection, work.id)
            on_progress(Progress(work.source, FAILED))
            log.warning("document_failed", reason=type(exc).__name__)
        except RetryableError as exc:
            _again_later(hold.work, exc)
            on_progress(Progress(work.source, "waiting"))


def _is_our_fault(exc: Unreadable | Rejected) -> bool:
    """A wrong key, a model that is not there, no credit: once that is mended, the document needs nothing."""
    return isinstance(exc, Rejected) and exc.provider != WEB and exc.status in (401, 402, 403, 404, 405)


def _again_later(work: Work, exc: FarSideError | Unreadable) -> None:
    asked_ms = int((getattr(exc, "retry_after_s", None) or 0) * 1000)
    wait_ms = min(max(_WAIT_MS, asked_ms), _LONGEST_WAIT_MS)
    provider = getattr(exc, "provider", "")
    with transaction() as connection:
        knowledge.later(connection, work, wait_ms, f"{provider}: {exc}" if provider else str(exc))
    log.warning("document_waits", provider=provider, wait_ms=wait_ms)


def _read(settings: Settings, hold: _Hold) -> None:
    """From the source to pieces in the database. Raises Unreadable or a FarSideError."""
    work, wanted = hold.work, settings.chromadb or ChromaSettings()
    with reading() as connection:
        content = knowledge.content(connection, work.id)
    name, media_type = work.source, ""
    if work.kind == "url":
        content, name, media_type = fetch(settings, work.source, Deadline(_CALL_S))
    if content is None:
        raise Unreadable("its bytes are gone; add it again")
    cut_as = f"{chunking.VERSION}:{wanted.chunk_size}:{wanted.chunk_overlap}:{name}:"
    fingerprint = hashlib.sha256(cut_as.encode() + content).hexdigest()
    if fingerprint == work.fingerprint:
        with transaction() as connection:
            hold.advance(connection, state=EMBEDDING)
            knowledge.forget_content(connection, work.id)
        return
    hold.renew()
    extracted = extract(content, name, media_type, still_at_it=hold.renew)
    title = extracted.title or work.title
    pieces = chunking.chunks(extracted.blocks, title, size=wanted.chunk_size, overlap=wanted.chunk_overlap)
    with transaction() as connection:
        hold.advance(
            connection, state=EMBEDDING, fingerprint=fingerprint, title=title[:300], note=extracted.note[:500],
            chunks=len(pieces), embedded=0, error="", size=len(content),
        )  # fmt: skip
        kept, new = knowledge_chunks.replace(connection, work.id, pieces)
        knowledge.forget_content(connection, work.id)
        knowledge.touch(connection, work.base)
    log.debug("document_read", chunks=len(pieces), kept=kept, new=new)


def _embed(settings: Settings, hold: _Hold, on_progress: OnProgress) -> None:
    """Vectors for the pieces that have none of this model. Raises a FarSideError."""
    work, embedder = hold.work, embedder_of(settings)
    if embedder is None:
        with transaction() as connection:
            knowledge_chunks.forget(connection, knowledge_chunks.stale(connection, work.id))
            total, _ = knowledge_chunks.counts(connection, work.id, "")
            hold.advance(connection, lease_ms=None, state=READY, chunks=total, embedded=0, error="")
        return
    chroma = get_chroma(settings)
    collection = collection_of(work.base)
    with reading() as connection:
        gone = knowledge_chunks.stale(connection, work.id)
    if gone:
        chroma.delete(collection, gone, Deadline(_CALL_S))
        with transaction() as connection:
            knowledge_chunks.forget(connection, gone)
    has_agreed = False
    while True:
        count = _give_way(embedder.batch)
        with reading() as connection:
            rows = knowledge_chunks.without_vector(connection, work.id, embedder.id, count)
            total, done = knowledge_chunks.counts(connection, work.id, embedder.id)
        on_progress(Progress(work.source, EMBEDDING, done, total))
        if not rows:
            break
        began = time.monotonic()
        vectors = embedder.embed([f"{row.title}\n{row.text}" for row in rows], Deadline(_CALL_S))
        if not has_agreed:
            _agree(work.base, embedder, len(vectors[0]))
            has_agreed = True  # what changes it also takes the document from us
        if time.monotonic() - began > _LONG_S:
            hold.renew()
        try:
            chroma.upsert(collection, [row.id for row in rows], vectors, Deadline(_CALL_S))
        except WrongSize:
            # left over from another model, although the base was emptied: nothing of it is of use
            chroma.drop(collection, Deadline(_CALL_S))
            with transaction() as connection:
                knowledge.reindex(connection, work.base)
            raise _Lost from None
        with transaction() as connection:
            knowledge_chunks.has_vectors(connection, [row.id for row in rows], embedder.id)
            hold.advance(connection, embedded=done + len(rows))
    with transaction() as connection:
        hold.advance(connection, lease_ms=None, state=READY, chunks=total, embedded=done, error="")


def _give_way(batch: int) -> int:
    """How many pieces to take next. The vector store does one thing at a time: whoever asks shall not wait for us."""
    ends_at = time.monotonic() + _PAUSE_S
    while knowledge_traffic.is_busy():
        if time.monotonic() >= ends_at:
            return min(batch, _FEW)
        time.sleep(_LOOK_EVERY_S)
    return batch


def _agree(base: str, embedder: Embedder, dimension: int) -> None:
    """Vectors of two models do not go into one base. Raises Rejected with the way out."""
    with reading() as connection:
        known = knowledge.bases(connection)[base]
    if not known.embedder:
        with transaction() as connection:
            known = knowledge.bases(connection)[base]
            if not known.embedder:
                knowledge.set_embedder(connection, base, embedder.id, dimension)
                return
    if (known.embedder, known.dimension) != (embedder.id, dimension):
        raise Rejected(
            f"the vectors of {base} are of {known.embedder} ({known.dimension}), not of {embedder.id} ({dimension}); "
            f"run `mindbot kb reindex {base}`",
            kind="invalid_request",
            provider="knowledge",
        )


def _remove(settings: Settings, work: Work) -> None:
    """Vectors first, then the rows: what is killed in between is done again. Raises a FarSideError."""
    with reading() as connection:
        ids = knowledge_chunks.every(connection, work.id)
        made = knowledge.bases(connection)[work.base].embedder
    if ids and made and settings.chromadb is not None:
        get_chroma(settings).delete(collection_of(work.base), ids, Deadline(_CALL_S))
    with transaction() as connection:
        knowledge.forget(connection, work)
        knowledge.touch(connection, work.base)
    log.info("document_removed", chunks=len(ids))


#: base -> how often in a row the vector store could not even count its vectors, while it answered as such
_broken: dict[str, int] = {}
_BROKEN_FOR_SURE = 2


def repair(settings: Settings) -> list[str]:
    """Have vectors made anew where the vector store has lost some, or cannot read them; returns the bases concerned.

    Raises DatabaseUnavailable or a FarSideError.
    """
    embedder = embedder_of(settings)
    if embedder is None:
        return []
    lost = []
    with reading() as connection:
        known = knowledge.bases(connection)
        expected = {name: knowledge_chunks.with_vectors(connection, name) for name in known}
        without = {name: knowledge_chunks.readable(connection, name) - expected[name] for name in known}
    for name, row in known.items():
        # a base without vectors may have been read before there was anybody to make some
        lacks = row.embedder in ("", embedder.id) and without[name] > 0 and not row.embedder
        if expected[name] and _count(settings, name) < expected[name]:
            lacks = True
        if lacks and row.embedder in ("", embedder.id):
            with transaction() as connection:
                knowledge.reindex(connection, name)
            lost.append(name)
            log.warning("vectors_made_anew", base=name, expected=expected[name])
    return lost


def _count(settings: Settings, base: str) -> float:
    """How many vectors the store holds of a base; a base that it cannot read is dropped, and holds none.

    Its files can be damaged while all others are sound: then the server answers 500 for this one, for ever.
    """
    chroma = get_chroma(settings)
    try:
        count: float = chroma.count(collection_of(base), Deadline(_CALL_S))
    except Unavailable as exc:
        if exc.status is None or exc.status < 500:
            raise
        _broken[base] = _broken.get(base, 0) + 1
        log.warning("vectors_unreadable", base=base, status=exc.status, times=_broken[base])
        if _broken[base] < _BROKEN_FOR_SURE:
            return math.inf
        chroma.drop(collection_of(base), Deadline(_CALL_S))
        count = 0
    _broken.pop(base, None)
    return count
