"""The word index: files that all processes share, right after every change, and whole whoever is killed."""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import DeadlineExceeded
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.knowledge import indexing, retrieval, segments
from mindbot_tasks.knowledge.lexical import Index, Lexicon, NotIndexed
from mindbot_tasks.knowledge.terms import terms
from mindbot_tasks.knowledge.turns import Turns
from mindbot_tasks.stores import knowledge, knowledge_chunks
from mindbot_tasks.stores.database import reading, transaction
from mindbot_tasks.stores.knowledge_chunks import NewChunk
from tests.knowledge.conftest import read

WORDS = "alpha beta gamma delta epsilon zeta eta theta 数据 知识 检索 问题 员工 假期".split()  # noqa: SIM905
QUESTIONS = ("alpha theta", "员工的假期", "gamma 知识检索 nothing")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """Files, not tables, are what this is about; the tables of the knowledge base are tested on both elsewhere."""
    return sqlite_url


def put(base: str, texts: list[str], source: str = "x.md") -> list[int]:
    """These pieces are what a document consists of; returns their numbers."""
    with transaction() as connection:
        document, _ = knowledge.add(connection, base, source, "file", source, b"")
        new = [NewChunk("", "", text, str(hash((source, text)))) for text in texts]
        knowledge_chunks.replace(connection, document, new)
        knowledge_chunks.forget(connection, knowledge_chunks.stale(connection, document))
        knowledge.touch(connection, base)
        return knowledge_chunks.every(connection, document)


def opened(settings: Settings, base: str) -> Index:
    assert indexing.bring_up_to_date(settings.home, base) == "done"
    return Index.open(indexing.folder_of(settings.home, base))


def expected(base: str, question: str) -> dict[int, float]:
    """BM25, as it stands in books, with the weights of single characters and unknown pairs."""
    with reading() as connection:
        texts = knowledge_chunks.texts(connection, list(knowledge_chunks.findable(connection, base)))
    counts = {number: Counter([*terms(text), *terms(title), *terms(title)]) for number, (title, text) in texts.items()}
    mean = sum(one.total() for one in counts.values()) / len(counts)
    scores: dict[int, float] = {}
    for term in dict.fromkeys(terms(question)):
        seen = sum(term in one for one in counts.values())
        weight = math.log(1 + (len(texts) - seen + 0.5) / (seen + 0.5))
        weight *= 0.4 if not term.isascii() and (len(term) == 1 or not seen) else 1.0
        for number, one in counts.items():
            if tf := min(one[term], segments.TF_MOST):
                gain = weight * tf * 2.2 / (tf + 1.2 * (0.4 + 0.6 * one.total() / mean))
                scores[number] = scores.get(number, 0.0) + gain
    return scores


def test_it_finds_what_the_formula_says_after_any_changes(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "_AT_ONCE", 7)
    monkeypatch.setattr(indexing, "_FULL", 40)
    monkeypatch.setattr(segments, "_PARTS_OF", 20)
    chance = random.Random(5)

    def change(source: str) -> Index:
        texts = [" ".join(chance.choices(WORDS, k=chance.randint(1, 30))) for _ in range(chance.randint(1, 20))]
        put(base, texts, source)
        return opened(settings, base)

    for number in range(12):
        index = change(f"{number}.md")
    for question in QUESTIONS:
        wanted = {number: pytest.approx(score, rel=1e-5) for number, score in expected(base, question).items()}
        hits = index.search(question, 1000)
        assert {hit.chunk_id: hit.score for hit in hits} == wanted
        assert all(0 < hit.coverage <= 1 for hit in hits)
    for _ in range(12):  # how rare a word is, is then known roughly: until a file is written anew, the dead count
        index = change(f"{chance.randrange(12)}.md")
    for question in QUESTIONS:
        assert {hit.chunk_id for hit in index.search(question, 1000)} == set(expected(base, question))
    folder = indexing.folder_of(settings.home, base)
    assert {path.suffix for path in folder.iterdir()} == {".words", ".json"}
    assert len(list(folder.glob("*.words"))) < 10


class Killed(BaseException):
    """As if the process had ended here."""


def test_whoever_is_killed_leaves_what_was_whole_and_the_next_one_goes_on(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(base, ["the holiday is in May"])
    assert [hit.coverage for hit in opened(settings, base).search("holiday", 5)] == [1.0]
    put(base, [f"piece number {number} of many" for number in range(20)], "many.md")
    monkeypatch.setattr(indexing, "_AT_ONCE", 8)
    written = []

    def dying(*arguments: object) -> None:
        written.append(arguments)
        if len(written) == 2:
            raise Killed

    before = segments.Builder.write
    monkeypatch.setattr(segments.Builder, "write", lambda self, path: (dying(path), before(self, path)))
    with pytest.raises(Killed):
        indexing.bring_up_to_date(settings.home, base)
    assert Index.open(indexing.folder_of(settings.home, base)).search("holiday", 5)
    monkeypatch.setattr(segments.Builder, "write", before)
    assert len(opened(settings, base).search("piece", 100)) == 20


def test_a_file_that_is_damaged_or_of_another_database_is_made_anew(settings: Settings, base: str) -> None:
    read(settings, base, "leave.md", "# Leave\n\nEverybody has thirty days of holiday.\n")
    folder = indexing.folder_of(settings.home, base)
    for damage in (b"", b"x" * 500):
        next(folder.glob("*.words")).write_bytes(damage)
        retrieval.forget()
        with transaction() as connection:
            knowledge.touch(connection, base)
        assert retrieval.search(settings, "holiday", [base], Deadline(20), mode="lexical").passages
    manifest = indexing.Manifest.read(folder)
    manifest.born, manifest.version = 1, 10**6
    manifest.write(folder)
    retrieval.forget()
    assert retrieval.search(settings, "holiday", [base], Deadline(20), mode="lexical").passages


def test_postings_that_lead_nowhere_hurt_nobody(settings: Settings, base: str) -> None:
    read(settings, base, "leave.md", "# Leave\n\nEverybody has thirty days of holiday.\n")
    path = next(indexing.folder_of(settings.home, base).glob("*.words"))
    whole = bytearray(path.read_bytes())
    postings = segments.load(path).postings.nbytes
    whole[-postings - 2 : -2] = b"\xff" * postings
    path.with_suffix(".bad").write_bytes(whole)
    path.with_suffix(".bad").replace(path)
    retrieval.forget()
    broken = retrieval.search(settings, "holiday", [base], Deadline(20), mode="lexical")
    assert (broken.passages, broken.trouble) == ((), "words")
    assert retrieval.search(settings, "holiday", [base], Deadline(20), mode="lexical").passages


def test_a_large_base_is_indexed_by_a_process_of_its_own_while_questions_are_answered(
    settings: Settings, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "SMALL", 3)
    monkeypatch.setattr("mindbot_tasks.knowledge.lexical._FIRST_S", 0.0)
    asked: list[str] = []

    def child(base: str, meanwhile: object) -> bool:
        asked.append(base)
        return indexing.bring_up_to_date(settings.home, base) == "done"

    monkeypatch.setattr(indexing, "run_child", child)
    put(base, [f"the number of the {word} office" for word in ("first", "second", "third", "fourth")])
    with reading() as connection:
        row = knowledge.bases(connection)[base]
    lexicon = Lexicon()
    ends_at = time.monotonic() + 100
    while True:
        try:
            hits, is_whole = lexicon.search(settings.home, base, row.created_at, row.version, "third office", 5)
            break
        except NotIndexed:  # at once: nobody waits for it
            assert time.monotonic() < ends_at
            time.sleep(0.02)
    assert (len(hits), is_whole, asked) == (4, True, [base])
    put(base, ["the fifth office"], "new.md")
    with reading() as connection:
        newer = knowledge.bases(connection)[base].version
    while len(hits) < 5:  # the old one answers meanwhile
        hits, _ = lexicon.search(settings.home, base, row.created_at, newer, "third office", 5)
        assert hits
        assert time.monotonic() < ends_at
        time.sleep(0.02)


def test_the_process_of_its_own_does_it(settings: Settings, base: str, tmp_path: Path) -> None:
    put(base, ["the holiday is in May"])
    environment = {
        "MINDBOT_HOME": str(tmp_path),
        "DATABASE_URL": settings.database_url.get_secret_value(),
        "MINDBOT_CONFIG": "/nonexistent.yaml",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        (tmp_path / "empty.yaml").write_text("{}")
        patch.setenv("MINDBOT_CONFIG", str(tmp_path / "empty.yaml"))
        assert indexing.run_child(base, lambda: None)
    assert Index.open(indexing.folder_of(tmp_path, base)).search("holiday", 5)


def test_one_at_a_time_writes(settings: Settings, base: str) -> None:
    put(base, ["the holiday is in May"])
    with indexing._alone(indexing.folder_of(settings.home, base), 0) as ours:
        assert ours
        assert indexing.bring_up_to_date(settings.home, base) == "busy"
    assert indexing.bring_up_to_date(settings.home, base) == "done"


def test_very_many_questions_at_once_wait_for_their_turn_and_none_fails(settings: Settings, base: str) -> None:
    for number in range(5):
        read(settings, base, f"{number}.md", f"# Office {number}\n\nThe door code of office {number} is {number}77.\n")
    found: list[tuple[str, bool]] = []

    def ask(number: int) -> None:
        told = retrieval.search(settings, f"door code of office {number % 5}", [base], Deadline(110))
        found.append((told.trouble, any(f"{number % 5}77" in one.text for one in told.passages)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [("", True)] * 300


class TestTurns:
    """A few at a time, in order."""

    def test_they_are_had_in_the_order_of_coming(self) -> None:
        turns, order = Turns(1), list[int]()

        def take(number: int) -> None:
            with turns.one(Deadline(30)):
                order.append(number)

        threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
        with turns.one(Deadline(30)):
            for count, thread in enumerate(threads, 1):
                thread.start()
                while len(turns._waiting) < count:
                    time.sleep(0.001)
        for thread in threads:
            thread.join()
        assert (order, turns._free) == ([0, 1, 2, 3, 4], 1)

    def test_who_cannot_wait_any_longer_takes_nobodys_turn(self) -> None:
        turns = Turns(1)
        with turns.one(Deadline(30)), pytest.raises(DeadlineExceeded), turns.one(Deadline(0.05)):
            raise AssertionError("nobody is to come in")
        with turns.one(Deadline(30)):
            assert (turns._free, len(turns._waiting)) == (0, 0)
        assert turns._free == 1
