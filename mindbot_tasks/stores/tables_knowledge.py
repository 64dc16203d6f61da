"""The tables of the knowledge base. They are the truth; a vector store can always be made anew from them."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mindbot_tasks.stores.tables import Base, Id


class KnowledgeBaseRow(Base):
    """A knowledge base, and by which model its vectors were made."""

    __tablename__ = "knowledge_bases"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    embedder: Mapped[str] = mapped_column(String(200))  #: "" while there are no vectors
    dimension: Mapped[int] = mapped_column(Integer)
    version: Mapped[int] = mapped_column(BigInteger)  #: grows with every change of what can be found
    created_at: Mapped[int] = mapped_column(BigInteger)


class DocumentRow(Base):
    """A document and how far it got. A row with a due time is work; whoever claims it moves the due time."""

    __tablename__ = "knowledge_documents"
    __table_args__ = (
        UniqueConstraint("base", "source"),
        Index("ix_knowledge_documents_due_at", "due_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    base: Mapped[str] = mapped_column(String(63), ForeignKey("knowledge_bases.name", ondelete="CASCADE"))
    source: Mapped[str] = mapped_column(String(700))  #: a path or URL, as it is cited
    kind: Mapped[str] = mapped_column(String(10))  #: file or url
    title: Mapped[str] = mapped_column(String(300))
    size: Mapped[int] = mapped_column(BigInteger)
    fingerprint: Mapped[str] = mapped_column(String(64))  #: of what was read last, and how it was cut
    state: Mapped[str] = mapped_column(String(12))
    chunks: Mapped[int] = mapped_column(Integer)
    embedded: Mapped[int] = mapped_column(Integer)  #: of the chunks, as far as somebody looked
    note: Mapped[str] = mapped_column(String(500))  #: what could not be read, such as scanned pages
    error: Mapped[str] = mapped_column(String(500))
    strikes: Mapped[int] = mapped_column(Integer)  #: claims since it last got on
    revision: Mapped[int] = mapped_column(BigInteger)  #: grows when somebody asks for something else
    due_at: Mapped[int | None] = mapped_column(BigInteger)  #: None: nothing is to be done
    added_at: Mapped[int] = mapped_column(BigInteger)
    changed_at: Mapped[int] = mapped_column(BigInteger)


class UploadRow(Base):
    """The bytes of a document until they have been read."""

    __tablename__ = "knowledge_uploads"

    document_id: Mapped[int] = mapped_column(
        Id, ForeignKey("knowledge_documents.id", ondelete="CASCADE"), primary_key=True
    )
    content: Mapped[bytes] = mapped_column(LargeBinary)


class ChunkRow(Base):
    """A piece of a document that can be found."""

    __tablename__ = "knowledge_chunks"
    __table_args__ = (
        Index("ix_knowledge_chunks_document_id_position", "document_id", "position"),
        {"sqlite_autoincrement": True},  # the number of a deleted one never comes back, so no old vector fits it
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=True)
    document_id: Mapped[int] = mapped_column(Id, ForeignKey("knowledge_documents.id", ondelete="CASCADE"))
    position: Mapped[int] = mapped_column(Integer)  #: -1: replaced; the vector goes, then the row
    title: Mapped[str] = mapped_column(String(300))  #: the headings above it
    place: Mapped[str] = mapped_column(String(80))  #: "page 3", "sheet Prices"
    text: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64))
    embedder: Mapped[str] = mapped_column(String(200))  #: by which its vector was made; "": it has none
