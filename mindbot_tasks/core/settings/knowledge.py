"""The knowledge base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from mindbot_tasks.core.settings.section import AtLeastOne, Count, Section, Wrong
from mindbot_tasks.core.words import Sentence


class ChromaSettings(Section):
    """The knowledge base."""

    enabled: bool = True
    base_path: Path = Path("./data/chroma")
    collection_name: Annotated[str, Field(min_length=3, max_length=63)] = "mindbot_knowledge"
    embedding_model: str = ""  #: "" means: the offline one
    chunk_size: AtLeastOne = 1000
    chunk_overlap: Count = 200

    @model_validator(mode="after")
    def _overlap_is_smaller(self) -> ChromaSettings:
        if self.chunk_overlap >= self.chunk_size:
            raise Wrong(
                Sentence(
                    "settings.must_be_less",
                    small_key="chunk_overlap",
                    small=self.chunk_overlap,
                    large_key="chunk_size",
                    large=self.chunk_size,
                )
            )
        return self
