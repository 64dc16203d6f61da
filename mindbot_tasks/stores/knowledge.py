"""The ledger of documents: what is to be read, how far it got, who works on it. Chunks: knowledge_chunks.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, case, delete, func, insert, or_, select, update

from mindbot_tasks.stores.clock import DB_NOW, this_moment
from mindbot_tasks.stores.inserting import insert_into
from mindbot_tasks.stores.tables_knowledge import ChunkRow, DocumentRow, KnowledgeBaseRow, UploadRow

QUEUED, EMBEDDING, READY, FAILED, REMOVING = "queued", "embedding", "ready", "failed", "removing"
MAX_STRIKES = 4


@dataclass(frozen=True, slots=True)
class Work:
    """A document that this process has claimed."""

    id: int
    base: str
    source: str
    kind: str
    title: str
    fingerprint: str
    state: str
    strikes: int
    revision: int
    due_at: int  #: until then it is ours; also what tells our claim from that of others


def ensure_base(connection: Connection, name: str) -> None:
    """There is a knowledge base of this name."""
    row = insert_into(KnowledgeBaseRow, connection.dialect.name)
    values = {"name": name, "embedder": "", "dimension": 0, "version": 1, "created_at": DB_NOW}
    connection.execute(row.values(**values).on_conflict_do_nothing())


def touch(connection: Connection, base: str) -> None:
    """What can be found in this base has changed. The version only grows, over all bases."""
    newest = select(func.max(KnowledgeBaseRow.version)).scalar_subquery()
    # its own is looked at again after PostgreSQL has waited for another change of the row, what the query found is not
    own = KnowledgeBaseRow.version
    connection.execute(
        update(KnowledgeBaseRow)
        .where(KnowledgeBaseRow.name == base)
        .values(version=case((newest > own, newest), else_=own) + 1)
    )


def bases(connection: Connection) -> dict[str, Row[Any]]:
    """Every knowledge base by name."""
    return {row.name: row for row in connection.execute(select(*KnowledgeBaseRow.__table__.c))}


def set_embedder(connection: Connection, base: str, embedder: str, dimension: int) -> None:
    """By which model the vectors of this base are made from now on."""
    connection.execute(
        update(KnowledgeBaseRow).where(KnowledgeBaseRow.name == base).values(embedder=embedder, dimension=dimension)
    )


def add(
    connection: Connection, base: str, source: str, kind: str, title: str, content: bytes | None
) -> tuple[int, bool]:
    """Have a document read, again if it is known; returns its number and whether it is new."""
    ensure_base(connection, base)
    known = connection.execute(
        select(DocumentRow.id).where(DocumentRow.base == base, DocumentRow.source == source[:700])
    ).scalar()
    wanted = {
        "state": QUEUED, "error": "", "strikes": 0, "due_at": DB_NOW, "changed_at": DB_NOW, "title": title[:300],
        "kind": kind, "size": len(content or b""), "revision": DB_NOW,
    }  # fmt: skip
    if known is None:
        document_id = connection.execute(
            insert(DocumentRow)
            .values(
                base=base, source=source[:700], fingerprint="", chunks=0, embedded=0, note="", added_at=DB_NOW, **wanted
            )
            .returning(DocumentRow.id)
        ).scalar_one()
    else:
        document_id = known
        connection.execute(update(DocumentRow).where(DocumentRow.id == known).values(**wanted))
        connection.execute(delete(UploadRow).where(UploadRow.document_id == known))
    if content is not None:
        connection.execute(insert(UploadRow).values(document_id=document_id, content=content))
    return document_id, known is None


def remove(connection: Connection, documents: Sequence[int]) -> None:
    """Take documents away: they are not found from now on, and deleted with their vectors as soon as somebody can."""
    if not documents:
        return
    connection.execute(
        update(DocumentRow)
        .where(DocumentRow.id.in_(documents))
        .values(state=REMOVING, due_at=DB_NOW, strikes=0, error="", changed_at=DB_NOW, revision=DB_NOW)
    )
    for base in connection.execute(select(DocumentRow.base).where(DocumentRow.id.in_(documents)).distinct()).scalars():
        touch(connection, base)


def claim(connection: Connection, *, lease_ms: int, only: Sequence[int] = (), now: int | None = None) -> Work | None:
    """The document that has waited longest, for `lease_ms`; None: nothing is due."""
    at = this_moment(now)
    due = select(DocumentRow.id).where(DocumentRow.due_at <= at)
    if only:
        due = due.where(DocumentRow.id.in_(only))
    first = due.order_by(DocumentRow.due_at, DocumentRow.id).limit(1)
    if connection.dialect.name == "postgresql":
        first = first.with_for_update(skip_locked=True)
    row = connection.execute(
        update(DocumentRow)
        .where(DocumentRow.id == first.scalar_subquery(), DocumentRow.due_at <= at)
        .values(due_at=at + lease_ms, strikes=DocumentRow.strikes + 1)
        .returning(
            DocumentRow.id, DocumentRow.base, DocumentRow.source, DocumentRow.kind, DocumentRow.title,
            DocumentRow.fingerprint, DocumentRow.state, DocumentRow.strikes, DocumentRow.revision, DocumentRow.due_at,
        )
    ).first()  # fmt: skip
    return _work(row, row.due_at) if row is not None else None


def advance(connection: Connection, work: Work, *, lease_ms: int | None = None, **values: Any) -> Work | None:
    """Note how far it got, and keep it for another `lease_ms`; None: somebody else has it, or it is wanted otherwise.

    lease_ms None: done with it, unless `due_at` is among the values.
    """
    if lease_ms is not None:
        values = {"strikes": 1, **values, "due_at": DB_NOW + lease_ms}
    elif "due_at" not in values:
        values = {**values, "due_at": None}
    row = connection.execute(
        update(DocumentRow)
        .where(and_(DocumentRow.id == work.id, DocumentRow.due_at == work.due_at))
        .where(DocumentRow.revision == work.revision)
        .values(changed_at=DB_NOW, **values)
        .returning(
            DocumentRow.id, DocumentRow.base, DocumentRow.source, DocumentRow.kind, DocumentRow.title,
            DocumentRow.fingerprint, DocumentRow.state, DocumentRow.strikes, DocumentRow.revision, DocumentRow.due_at,
        )
    ).first()  # fmt: skip
    return _work(row, row.due_at or 0) if row is not None else None


def _work(row: Any, due_at: int) -> Work:
    return Work(
        row.id, row.base, row.source, row.kind, row.title, row.fingerprint, row.state, row.strikes, row.revision, due_at
    )


def later(connection: Connection, work: Work, wait_ms: int, error: str) -> None:
    """It did not work for a reason that goes away; go on then. What was asked for meanwhile stays."""
    advance(connection, work, due_at=DB_NOW + wait_ms, error=error[:500], strikes=0)


def content(connection: Connection, document_id: int) -> bytes | None:
    """The bytes that were handed in; None: they have been read, or are somewhere else."""
    return connection.execute(select(UploadRow.content).where(UploadRow.document_id == document_id)).scalar()


def forget_content(connection: Connection, document_id: int) -> None:
    connection.execute(delete(UploadRow).where(UploadRow.document_id == document_id))


def forget(connection: Connection, work: Work) -> None:
    """The last step of a removal."""
    connection.execute(delete(ChunkRow).where(ChunkRow.document_id == work.id))
    connection.execute(delete(UploadRow).where(UploadRow.document_id == work.id))
    connection.execute(delete(DocumentRow).where(DocumentRow.id == work.id, DocumentRow.revision == work.revision))


def listed(connection: Connection, base: str = "", ids: Sequence[int] = ()) -> Sequence[Row[Any]]:
    """Documents in the order in which they came."""
    wanted = select(*DocumentRow.__table__.c).order_by(DocumentRow.id)
    if base:
        wanted = wanted.where(DocumentRow.base == base)
    if ids:
        wanted = wanted.where(DocumentRow.id.in_(ids))
    return connection.execute(wanted).all()


def newest(connection: Connection, base: str, limit: int) -> tuple[int, Sequence[Row[Any]]]:
    """How many documents a base has; those that are worked on, then those that changed last."""
    count = connection.execute(select(func.count()).where(DocumentRow.base == base)).scalar_one()
    wanted = select(*DocumentRow.__table__.c).where(DocumentRow.base == base)
    order = (DocumentRow.due_at.is_(None), DocumentRow.changed_at.desc(), DocumentRow.id.desc())
    return count, connection.execute(wanted.order_by(*order).limit(limit)).all()


def unfinished(connection: Connection, ids: Sequence[int] = ()) -> int:
    """How many documents are still to be worked on."""
    wanted = select(func.count()).where(DocumentRow.due_at.is_not(None))
    return connection.execute(wanted.where(DocumentRow.id.in_(ids)) if ids else wanted).scalar_one()


def waiting_and_failed(connection: Connection) -> tuple[int, int]:
    """How many documents are still to be worked on, and how many could not be read."""
    row = connection.execute(
        select(
            func.count().filter(DocumentRow.due_at.is_not(None)), func.count().filter(DocumentRow.state == FAILED)
        ).select_from(DocumentRow)
    ).one()
    return int(row[0]), int(row[1])


def is_due(connection: Connection) -> bool:
    """Whether somebody could begin with something now."""
    return connection.execute(select(DocumentRow.id).where(DocumentRow.due_at <= DB_NOW).limit(1)).first() is not None


def reindex(connection: Connection, base: str) -> int:
    """Have all vectors of this base made anew; returns of how many documents."""
    inside = select(DocumentRow.id).where(DocumentRow.base == base)
    connection.execute(update(ChunkRow).where(ChunkRow.document_id.in_(inside)).values(embedder=""))
    done = connection.execute(
        update(DocumentRow)
        .where(DocumentRow.base == base)
        # what was refused for its vectors has been cut already; what could not be read has no pieces
        .where(
            or_(DocumentRow.state.in_((READY, EMBEDDING)), and_(DocumentRow.state == FAILED, DocumentRow.chunks > 0))
        )
        .values(state=EMBEDDING, due_at=DB_NOW, strikes=0, error="", embedded=0, changed_at=DB_NOW, revision=DB_NOW)
    )
    set_embedder(connection, base, "", 0)
    return done.rowcount
