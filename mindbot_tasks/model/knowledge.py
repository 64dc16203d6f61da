"""What was found in the documents that the bot has read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a document, with the pieces around it where they belong to it."""

    chunk_id: int
    document_id: int
    base: str
    source: str  #: path or URL
    document: str  #: its title
    title: str  #: the headings above the passage
    place: str  #: "page 3"; "" where the format has no such thing
    text: str
    score: float = 0.0  #: 0 to 1: how sure it is that this is about the question

    @property
    def cited(self) -> str:
        """Document and place, for people."""
        # headings begin with that of the document itself, more often than not
        inner = self.title.removeprefix(self.document).strip(" >")
        return " · ".join(part for part in (self.document or self.source, inner, self.place) if part)

    def as_record(self) -> Mapping[str, Any]:
        return {
            "source": self.source, "document": self.document, "title": self.title, "place": self.place,
            "score": round(self.score, 4), "chunk": self.chunk_id,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """The passages that speak of a question, best first; none: it is not in what the bot has read."""

    passages: tuple[Passage, ...] = ()
    trouble: str = ""  #: what did not work: vectors, embeddings, words, database, busy; "" if all did
    looked: bool = True  #: False: there was nothing to look up, or nowhere to look

    @property
    def nothing_read(self) -> bool:
        return self.looked and not self.passages


NOTHING = Found(looked=False)
