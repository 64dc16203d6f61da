"""Documents are read to the end whoever is killed, only what changed is embedded, and nothing is left of what goes."""

from __future__ import annotations

import zlib
from typing import Any

import orjson
import pytest
from sqlalchemy import func, select, update

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.settings import ChromaSettings, Settings
from mindbot_tasks.knowledge import ingesting, offline_embedding, retrieval
from mindbot_tasks.knowledge.chroma import Chroma, get_chroma
from mindbot_tasks.knowledge.embedding import Offline
from mindbot_tasks.knowledge.ingesting import repair, work_off
from mindbot_tasks.stores import knowledge
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.tables_knowledge import ChunkRow, DocumentRow, UploadRow
from tests.knowledge.conftest import Configure, read

TEXT = (
    "# Leave\n\n## Holidays\n\nEverybody has thirty days of holiday.\n\n## Illness\n\nTell your manager before nine.\n"
)


def row(number: int) -> Any:
    with reading() as connection:
        return knowledge.listed(connection, ids=[number])[0]


def count(table: Any) -> int:
    with reading() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


def vectors(settings: Settings, base: str) -> int:
    return get_chroma(settings).count(base, Deadline(60))


def make_due(number: int) -> None:
    with transaction() as connection:
        connection.execute(update(DocumentRow).where(DocumentRow.id == number).values(due_at=DB_NOW - 1))


def test_a_document_is_found_and_after_its_removal_nothing_is_left(settings: Settings, base: str) -> None:
    number = read(settings, base, "handbook/leave.md", TEXT)
    assert (row(number).state, row(number).chunks, row(number).embedded, row(number).title) == ("ready", 2, 2, "Leave")
    assert (count(UploadRow), vectors(settings, base)) == (0, 2)
    found = retrieval.search(settings, "How many days of holiday?", [base], Deadline(60))
    assert (found.passages[0].source, found.trouble) == ("handbook/leave.md", "")
    assert "thirty days" in found.passages[0].text
    with transaction() as connection:
        knowledge.remove(connection, [number])
    retrieval.forget()
    assert not retrieval.search(settings, "How many days of holiday?", [base], Deadline(60)).passages  # at once
    work_off(settings, seconds=60)
    assert (count(DocumentRow), count(ChunkRow), vectors(settings, base)) == (0, 0, 0)


def test_only_what_changed_is_embedded_anew(settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def embed(self: Offline, texts: list[str], deadline: Deadline) -> list[list[float]]:
        asked.extend(texts)
        return [offline_embedding.embed(text) for text in texts]

    monkeypatch.setattr(Offline, "embed", embed)
    number = read(settings, base, "leave.md", TEXT)
    assert len(asked) == 2
    assert read(settings, base, "leave.md", TEXT) == number
    assert len(asked) == 2  # the same bytes: nothing is done
    read(settings, base, "leave.md", TEXT.replace("nine", "ten"))
    assert [text for text in asked[2:] if "Tell your manager before ten." in text] == asked[2:]
    assert (len(asked), count(ChunkRow), vectors(settings, base)) == (3, 2, 2)


def test_vectors_of_a_version_stay_what_they_are() -> None:
    texts = [
        "Retries of queued messages, retried: a queue is a queue.",
        "员工的年假是三十天。员工请假",
        "c++ ab a 我",
        "",
    ]
    made = zlib.crc32(orjson.dumps([offline_embedding.embed(text) for text in texts]))
    assert (offline_embedding.ID, made) == ("offline-ngrams-1/1024", 2159536449)  # others need another name


class Killed(BaseException):
    """As if the process had ended here."""


@pytest.mark.parametrize("where", ["extract", "_agree", "Chroma.upsert", "knowledge_chunks.has_vectors"])
def test_whoever_is_killed_the_next_one_goes_on(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def killed(*_: Any, **__: Any) -> Any:
        raise Killed

    with transaction() as connection:
        number, _ = knowledge.add(connection, base, "leave.md", "file", "leave", TEXT.encode())
    place = "mindbot_tasks.knowledge.chroma" if where.startswith("Chroma") else "mindbot_tasks.knowledge.ingesting"
    with monkeypatch.context() as patched:
        patched.setattr(f"{place}.{where}", killed)
        with pytest.raises(Killed):
            work_off(settings, seconds=60)
    assert work_off(settings, seconds=60) == 0  # its lease still holds
    make_due(number)
    assert work_off(settings, seconds=60) == 1
    assert (row(number).state, row(number).embedded, vectors(settings, base)) == ("ready", 2, 2)


def test_a_document_that_kills_whoever_reads_it_is_given_up(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingesting, "extract", lambda *_, **__: (_ for _ in ()).throw(Killed()))
    with transaction() as connection:
        number, _ = knowledge.add(connection, base, "leave.md", "file", "leave", TEXT.encode())
    for _ in range(knowledge.MAX_STRIKES):
        with pytest.raises(Killed):
            work_off(settings, seconds=60)
        make_due(number)
    work_off(settings, seconds=60)
    assert (row(number).state, row(number).due_at) == ("failed", None)
    assert "killed" in row(number).error


def test_while_nobody_makes_vectors_words_are_enough_and_later_it_goes_on(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: Any) -> Any:
        raise Unavailable("no connection", kind="connection", provider="embeddings")

    with monkeypatch.context() as patched:
        patched.setattr(Offline, "embed", down)
        number = read(settings, base, "leave.md", TEXT)
        assert (row(number).state, row(number).error) == ("embedding", "embeddings: no connection")
        assert row(number).due_at is not None
        assert retrieval.search(settings, "days of holiday", [base], Deadline(60)).passages
    make_due(number)
    work_off(settings, seconds=60)
    assert (row(number).state, row(number).error, vectors(settings, base)) == ("ready", "", 2)


def test_vectors_that_were_lost_are_made_anew_without_anybody(settings: Settings, base: str) -> None:
    read(settings, base, "leave.md", TEXT)
    assert repair(settings) == []
    get_chroma(settings).drop(base, Deadline(60))  # as when the directory is gone
    found = retrieval.search(settings, "days of holiday", [base], Deadline(60))
    assert (bool(found.passages), found.trouble) == (True, "vectors")
    assert repair(settings) == [base]
    work_off(settings, seconds=60)
    assert vectors(settings, base) == 2


def test_vectors_whose_files_are_damaged_are_made_anew_without_anybody(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(settings, base, "leave.md", TEXT)

    def damaged(*_: Any) -> int:
        raise Unavailable("HTTP 500", kind="server", provider="chroma", status=500)

    with monkeypatch.context() as patched:
        patched.setattr(Chroma, "count", damaged)
        assert repair(settings) == []  # once may be chance
        assert repair(settings) == [base]
    work_off(settings, seconds=60)
    assert vectors(settings, base) == 2
    assert repair(settings) == []


def test_vectors_of_another_model_are_refused_with_the_way_out(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(settings, base, "leave.md", TEXT)
    monkeypatch.setattr(ingesting, "embedder_of", lambda _: Offline(id="other/8"))
    number = read(settings, base, "more.md", "# More\n\nOther words.\n")
    assert row(number).state == "failed"
    assert f"mindbot kb reindex {base}" in row(number).error
    with transaction() as connection:
        knowledge.reindex(connection, base)
    work_off(settings, seconds=60)
    with reading() as connection:
        assert knowledge.bases(connection)[base].embedder == "other/8"


def test_without_chroma_documents_are_found_by_their_words(configure: Configure) -> None:
    settings = configure(chromadb=None)
    usual = retrieval.default_base(settings)
    number = read(settings, usual, "leave.md", TEXT)
    assert (row(number).state, row(number).embedded) == ("ready", 0)
    assert retrieval.search(settings, "days of holiday", [usual], Deadline(60)).passages


def test_what_cannot_be_read_says_why(configure: Configure) -> None:
    settings = configure(chromadb=ChromaSettings(url="http://127.0.0.1:9"))
    with transaction() as connection:
        number, _ = knowledge.add(connection, "mindbot_knowledge", "a.pdf", "file", "a", b"%PDF-1.4 nothing")
        page, _ = knowledge.add(connection, "mindbot_knowledge", "http://127.0.0.1/x.html", "url", "x", None)
    work_off(settings, seconds=60)
    assert row(number).state == row(page).state == "failed"
    assert "not public" in row(page).error


def test_a_vector_store_that_only_has_a_heartbeat_is_known(settings: Settings, base: str) -> None:
    read(settings, base, "leave.md", TEXT)
    assert get_chroma(settings).answers(Deadline(60))
    mute = Settings(chromadb=ChromaSettings(url="http://127.0.0.1:9"))
    assert not Chroma(mute).answers(Deadline(1))
