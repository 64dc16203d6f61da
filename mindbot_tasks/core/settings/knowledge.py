"""The knowledge base."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from mindbot_tasks.core.settings.section import AtLeastOne, Count, Port, Seconds, Section, Share, Url, Wrong
from mindbot_tasks.core.words import Sentence


class ChromaSettings(Section):
    """The knowledge base."""

    enabled: bool = True
    base_path: Path = Path("./data/chroma")
    collection_name: Annotated[str, Field(min_length=3, max_length=63)] = "mindbot_knowledge"
    embedding_model: str = ""  #: "" or "offline": the one that needs no server; "model" or "provider/model"
    embedding_query_model: str = ""  #: where a server wants another name for questions than for passages
    embedding_base_url: Url = ""  #: "" means: that of the provider
    embedding_api_key: SecretStr | None = None  #: None: that of the provider
    chunk_size: AtLeastOne = 1000
    chunk_overlap: Count = 200
    url: Url = ""  #: of a Chroma server of one's own; "" means: one that this machine runs on loopback
    token: SecretStr | None = None  #: for that server
    port: Port = 8601  #: of the local one; when it is taken, the next free one
    results: AtLeastOne = 4  #: passages that go along with a question
    min_score: Share = 0.38  #: of how sure it must be that a passage is about the question
    rerank_url: Url = ""  #: a server that sorts passages anew: POST {model, query, documents}
    rerank_model: str = ""
    rerank_api_key: SecretStr | None = None
    follow_up_model: str = ""  #: "provider/model" or "model": writes follow-ups as whole questions; "" means: by rules
    allowed_hosts: list[str] = []  #: of addresses that may be read although they are not public: `wiki.intra:8080`
    timeout: Seconds = 3  #: of a search that has its turn; then the answer goes without it

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
