"""Vectors and reranking by servers: in batches, when they refuse, when they are slow, and when they are gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from emulators.running import Emulator, running
from mindbot_tasks.chat import reading as answers
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Rejected, Throttled, Unavailable
from mindbot_tasks.core.http import Patience
from mindbot_tasks.core.settings import ChromaSettings, ModelSettings, ProviderSettings, Settings
from mindbot_tasks.knowledge import embedding, retrieval
from mindbot_tasks.knowledge.embedding import embedder_of
from mindbot_tasks.knowledge.ingesting import work_off
from mindbot_tasks.model.answer import Answer
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.tables_knowledge import ChunkRow
from tests.knowledge.conftest import Configure, read
from tests.knowledge.test_ingesting import make_due, row

LEAVE = (
    "# Leave\n\n## Days off\n\nAll get thirty days of vacation.\n\n## Cars\n\nVehicles are parked behind the house.\n"
)
Make = Callable[..., Settings]


@pytest.fixture(scope="module")
def far() -> Iterator[Emulator]:
    with running("openai", "--api-key", "k-right") as emulator:
        yield emulator


@pytest.fixture(scope="module")
def ollama() -> Iterator[Emulator]:
    with running("ollama") as emulator:
        yield emulator


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
def make(configure: Configure, chroma_url: str, base: str, far: Emulator, ollama: Emulator) -> Make:
    far.control.reset()
    ollama.control.reset()

    def settings(model: str = "text-embedding-ada-002", key: str = "k-right", **fields: Any) -> Settings:
        models = [ModelSettings(name="m")]
        return configure(
            chromadb=ChromaSettings(
                url=chroma_url, collection_name=base, embedding_model=model, timeout=60, **({"min_score": 0.3} | fields)
            ),
            providers={
                "openai": ProviderSettings(base_url=f"{far.url}/v1", api_key=SecretStr(key), models=models),
                "ollama": ProviderSettings(base_url=ollama.url, models=models),
            },
        )

    return settings


@pytest.mark.parametrize(
    "model", ["text-embedding-ada-002", "openai/text-embedding-3-small", "ollama/bge-m3", "bge-m3"]
)
def test_what_means_the_same_is_found_in_other_words_and_languages(make: Make, base: str, model: str) -> None:
    settings = make(model)
    read(settings, base, "leave.md", LEAVE)
    for asked in ("When is our holiday?", "年假有几天?"):
        found = retrieval.search(settings, asked, [base], Deadline(60), mode="dense", min_score=0.0)
        assert "vacation" in found.passages[0].text
        assert found.trouble == ""


def test_a_server_that_takes_few_texts_at_once_gets_few(make: Make, base: str, far: Emulator) -> None:
    embedder = embedder_of(make())
    assert embedder is not None
    texts = [f"text number {number}" for number in range(20)]
    alone = embedder.embed(texts[7:8], Deadline(60))[0]
    far.control.fault("status", "/v1/embeddings", status=400, times=3, body={"error": {"message": "at most ten"}})
    assert embedder.embed(texts, Deadline(60))[7] == pytest.approx(alone, abs=1e-6)
    far.control.fault("status", "/v1/embeddings", status=400, always=True)
    with pytest.raises(Rejected):
        embedder.embed(texts[:2], Deadline(60))


def test_a_slow_server_gets_fewer_texts_when_it_is_tried_again(
    make: Make, base: str, far: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make()
    monkeypatch.setattr(embedding, "_slow", {})
    monkeypatch.setattr(embedding, "_PATIENCE", Patience(connect_s=30, first_byte_s=0.3, gap_s=30))
    embedder = embedder_of(settings)
    assert embedder is not None
    far.control.fault("silence")
    with pytest.raises(Unavailable) as caught:
        embedder.embed(["a", "b", "c", "d"], Deadline(60))
    assert caught.value.kind == "timeout"
    again = embedder_of(settings)
    assert again is not None
    assert (again.batch, again.id) == (2, embedder.id)


def test_a_server_that_tells_questions_from_passages_is_told(make: Make, base: str, far: Emulator) -> None:
    settings = make("e5-passage", embedding_base_url=f"{far.url}/v1", embedding_query_model="e5-query",
                    embedding_api_key=SecretStr("k-right"))  # fmt: skip
    read(settings, base, "leave.md", LEAVE)
    assert retrieval.search(settings, "thirty vacation days", [base], Deadline(60)).trouble == ""
    assert [call["model"] for call in far.control.calls()[-2:]] == ["e5-passage", "e5-query"]


def test_every_refusal_has_its_meaning(make: Make, far: Emulator) -> None:
    embedder = embedder_of(make())
    assert embedder is not None
    far.control.fault("throttle", "/v1/embeddings", retry_after=7)
    with pytest.raises(Throttled) as throttled:
        embedder.embed(["a"], Deadline(60))
    assert throttled.value.retry_after_s == 7
    far.control.fault("status", "/v1/embeddings", status=500)
    with pytest.raises(Unavailable):
        embedder.embed(["a"], Deadline(60))
    for what in ("json", "html", "empty"):
        far.control.fault("malformed", "/v1/embeddings", what=what)
        with pytest.raises((Unavailable, Rejected)):
            embedder.embed(["a"], Deadline(60))
    far.control.fault("silence", "/v1/embeddings")
    with pytest.raises(Unavailable):
        embedder.embed(["a"], Deadline(0.5))


@pytest.mark.parametrize(
    ("fault", "fields"), [("throttle", {}), ("status", {"status": 500}), ("status", {"status": 401})]
)
def test_a_document_waits_for_the_server_and_says_so(
    make: Make, base: str, far: Emulator, fault: str, fields: dict[str, Any]
) -> None:
    settings = make()
    text = "# Many\n\n" + "\n\n".join(f"## Part {number}\n\nWords of part {number}." for number in range(40))
    far.control.fault(fault, "/v1/embeddings", skip=1, always=True, **fields)  # the first batch goes through
    number = read(settings, base, "many.md", text)
    assert (row(number).state, row(number).embedded) == ("embedding", 32)
    assert row(number).error.startswith("openai: ")
    assert retrieval.search(settings, "part 39", [base], Deadline(60)).passages  # by its words
    far.control.reset()
    make_due(number)
    work_off(settings, seconds=60)
    assert (row(number).state, row(number).embedded, row(number).error) == ("ready", 40, "")
    with reading() as connection:
        assert set(connection.execute(select(ChunkRow.embedder)).scalars()) == {"openai/text-embedding-ada-002"}


def test_vectors_of_another_length_do_not_go_into_the_base(make: Make, base: str, far: Emulator) -> None:
    settings = make()
    read(settings, base, "leave.md", LEAVE)
    far.control.fault("answer", "/v1/embeddings", text="7", always=True)
    number = read(settings, base, "more.md", "# More\n\nOther words entirely.\n")
    assert row(number).state == "failed"
    assert f"mindbot kb reindex {base}" in row(number).error
    found = retrieval.search(settings, "thirty vacation days", [base], Deadline(60))
    assert (bool(found.passages), found.trouble) == (True, "reindex")
    with transaction() as connection:
        knowledge.reindex(connection, base)  # now the base is of the new length
    work_off(settings, seconds=60)
    retrieval.forget()
    assert row(number).state == "ready"
    assert retrieval.search(settings, "thirty vacation days", [base], Deadline(60)).trouble == ""


def test_answers_go_on_without_the_server_and_say_so(make: Make, base: str, far: Emulator) -> None:
    settings = make()
    read(settings, base, "leave.md", LEAVE)
    far.control.fault("drop", "/v1/embeddings", always=True)
    found = retrieval.search(settings, "公司放假的安排", [base], Deadline(60))
    assert (found.passages, found.trouble) == ((), "embeddings")
    told = answers.with_sources(Answer("I do not know.", "openai"), found, "en")
    assert "could not be searched" in told.parts[0].text


def test_a_rerank_server_sorts_and_is_not_needed(make: Make, base: str, far: Emulator) -> None:
    settings = make(rerank_url=f"{far.url}/v1/rerank", rerank_model="r", rerank_api_key=SecretStr("k-right"))
    read(settings, base, "leave.md", LEAVE)
    found = retrieval.search(settings, "vehicles parked", [base], Deadline(60), min_score=0.0)
    assert (found.passages[0].score, "Vehicles" in found.passages[0].text) == (1.0, True)
    for fault in ({"action": "status", "status": 500}, {"action": "malformed", "what": "json"}, {"action": "drop"}):
        far.control.fault(fault.pop("action"), "/v1/rerank", **fault)
        found = retrieval.search(settings, "vehicles parked", [base], Deadline(60), min_score=0.0)
        assert "Vehicles" in found.passages[0].text
