"""The pieces of documents: written by whoever reads documents, read by whoever answers."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from mindbot_tasks.model.knowledge import Passage
from mindbot_tasks.stores.knowledge import READY, REMOVING
from mindbot_tasks.stores.tables_knowledge import ChunkRow, DocumentRow, KnowledgeBaseRow

STALE = -1
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class NewChunk:
    """A piece as the chunker cuts it."""

    title: str
    place: str
    text: str
    hash: str


def replace(connection: Connection, document_id: int, chunks: Sequence[NewChunk]) -> tuple[int, int]:
    """The document now consists of these. Those that were there stay, with their vectors; returns (kept, new)."""
    known: defaultdict[str, list[int]] = defaultdict(list)
    for row in connection.execute(
        select(ChunkRow.id, ChunkRow.hash)
        .where(ChunkRow.document_id == document_id, ChunkRow.position != STALE)
        .order_by(ChunkRow.position.desc())
    ):
        known[row.hash].append(row.id)
    kept, new = [], []
    for position, chunk in enumerate(chunks):
        if known[chunk.hash]:
            kept.append({"chunk": known[chunk.hash].pop(), "at": position, "said": chunk.place[:80]})
        else:
            new.append(
                {
                    "document_id": document_id, "position": position, "title": chunk.title[:300],
                    "place": chunk.place[:80], "text": chunk.text, "hash": chunk.hash, "embedder": "",
                }
            )  # fmt: skip
    gone = [one for ids in known.values() for one in ids]
    for start in range(0, len(gone), _AT_ONCE):
        connection.execute(
            update(ChunkRow).where(ChunkRow.id.in_(gone[start : start + _AT_ONCE])).values(position=STALE)
        )
    if kept:
        table: Any = ChunkRow.__table__
        connection.execute(
            update(table)
            .where(table.c.id == bindparam("chunk"))
            .values(position=bindparam("at"), place=bindparam("said")),
            kept,
        )
    for start in range(0, len(new), _AT_ONCE):
        connection.execute(insert(ChunkRow), new[start : start + _AT_ONCE])
    return len(kept), len(new)


def stale(connection: Connection, document_id: int) -> list[int]:
    """Pieces whose vectors have to go."""
    return list(
        connection.execute(
            select(ChunkRow.id).where(ChunkRow.document_id == document_id, ChunkRow.position == STALE)
        ).scalars()
    )


def every(connection: Connection, document_id: int) -> list[int]:
    """The ids of all pieces of a document, those whose vectors have to go too."""
    return list(connection.execute(select(ChunkRow.id).where(ChunkRow.document_id == document_id)).scalars())


def forget(connection: Connection, ids: Sequence[int]) -> None:
    for start in range(0, len(ids), _AT_ONCE):
        connection.execute(delete(ChunkRow).where(ChunkRow.id.in_(ids[start : start + _AT_ONCE])))


def without_vector(connection: Connection, document_id: int, embedder: str, limit: int) -> Sequence[Any]:
    """The next pieces of a document for which this embedder has still to make vectors."""
    return connection.execute(
        select(ChunkRow.id, ChunkRow.title, ChunkRow.text)
        .where(ChunkRow.document_id == document_id, ChunkRow.position != STALE, ChunkRow.embedder != embedder)
        .order_by(ChunkRow.position)
        .limit(limit)
    ).all()


def has_vectors(connection: Connection, ids: Sequence[int], embedder: str) -> None:
    """These pieces are in the vector store now."""
    connection.execute(update(ChunkRow).where(ChunkRow.id.in_(ids)).values(embedder=embedder))


def with_vectors(connection: Connection, base: str) -> int:
    """How many vectors the vector store should hold of this base, at the least."""
    return connection.execute(
        select(func.count())
        .select_from(ChunkRow)
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(DocumentRow.base == base, ChunkRow.embedder != "", ChunkRow.position != STALE)
    ).scalar_one()


def readable(connection: Connection, base: str) -> int:
    """How many pieces a base has in documents that have been read."""
    return connection.execute(
        select(func.count())
        .select_from(ChunkRow)
        .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
        .where(DocumentRow.base == base, DocumentRow.state == READY, ChunkRow.position != STALE)
    ).scalar_one()


def totals(connection: Connection) -> tuple[int, int]:
    """(pieces, those with vectors) of all documents, as far as was noted with these."""
    row = connection.execute(
        select(func.coalesce(func.sum(DocumentRow.chunks), 0), func.coalesce(func.sum(DocumentRow.embedded), 0)).where(
            DocumentRow.state == READY
        )
    ).one()
    return int(row[0]), int(row[1])


def counts(connection: Connection, document_id: int, embedder: str) -> tuple[int, int]:
    """(pieces, those with vectors) of a document."""
    row = connection.execute(
        select(func.count(), func.count().filter(ChunkRow.embedder == embedder)).where(
            ChunkRow.document_id == document_id, ChunkRow.position != STALE
        )
    ).one()
    return row[0], row[1]


def version(connection: Connection) -> int:
    """Grows when anything that can be found changes; 0: there is nothing."""
    return connection.execute(select(func.max(KnowledgeBaseRow.version))).scalar() or 0


def findable(connection: Connection, base: str) -> array[int]:
    """All pieces of a base."""
    rows = connection.execute(_visible(select(ChunkRow.id)).where(DocumentRow.base == base))
    return array("q", rows.scalars())


def texts(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Piece -> (headings, text)."""
    found = {}
    for start in range(0, len(ids), _AT_ONCE):
        rows = connection.execute(
            select(ChunkRow.id, ChunkRow.title, ChunkRow.text, DocumentRow.title.label("document"))
            .join(DocumentRow, DocumentRow.id == ChunkRow.document_id)
            .where(ChunkRow.id.in_(ids[start : start + _AT_ONCE]))
        )
        found.update({row.id: (row.title or row.document, row.text) for row in rows})
    return found


def passages(connection: Connection, ids: Iterable[int], allowed: Sequence[str]) -> Mapping[int, tuple[Passage, int]]:
    """Piece -> (passage, position). Only of the bases in `allowed`, whatever index the numbers came from."""
    wanted = list(ids)
    if not wanted:
        return {}
    rows = connection.execute(_PASSAGES, {"wanted": wanted, "allowed": list(allowed)})
    return {row.id: (_passage(row), row.position) for row in rows}


def beside(connection: Connection, places: Iterable[tuple[int, int]]) -> Mapping[tuple[int, int], Any]:
    """(document, position) -> the piece there, as far as there is one."""
    wanted = set(places)
    if not wanted:
        return {}
    documents, positions = ({place[at] for place in wanted} for at in (0, 1))
    rows = connection.execute(_BESIDE, {"documents": sorted(documents), "positions": sorted(positions)})
    found = ((row.document_id, row.position, row) for row in rows)
    return {(document, position): row for document, position, row in found if (document, position) in wanted}


def _visible(statement: Any) -> Any:
    return statement.join(DocumentRow, DocumentRow.id == ChunkRow.document_id).where(
        ChunkRow.position != STALE, DocumentRow.state != REMOVING
    )


# built once: that costs more than to run them
_PASSAGES = _visible(
    select(
        ChunkRow.id, ChunkRow.document_id, ChunkRow.position, ChunkRow.title, ChunkRow.place, ChunkRow.text,
        DocumentRow.base, DocumentRow.source, DocumentRow.title.label("document"),
    )
).where(
    ChunkRow.id.in_(bindparam("wanted", expanding=True)), DocumentRow.base.in_(bindparam("allowed", expanding=True))
)  # fmt: skip
_BESIDE = select(ChunkRow.document_id, ChunkRow.position, ChunkRow.title, ChunkRow.text).where(
    # not the pairs: SQLite would look at every row
    ChunkRow.document_id.in_(bindparam("documents", expanding=True)),
    ChunkRow.position.in_(bindparam("positions", expanding=True)),
)


def _passage(row: Row[Any]) -> Passage:
    return Passage(row.id, row.document_id, row.base, row.source, row.document, row.title, row.place, row.text)
