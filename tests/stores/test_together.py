"""Many threads, one commit: everybody gets their own result, and one bad item fails alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Connection, Engine, event, text

from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.stores import database, together
from mindbot_tasks.stores.database import open_engine, reading, sqlite_turn
from mindbot_tasks.stores.together import Together
from tests.conftest import PATIENCE_S

THREADS = 12


@pytest.fixture
def engine(sqlite_url: str, unhurried: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    made = open_engine(sqlite_url, pool_size=THREADS, statement_timeout_s=PATIENCE_S)
    monkeypatch.setattr(database, "get_engine", lambda: made)
    monkeypatch.setattr(database, "_engine_in_turn", lambda: made)
    monkeypatch.setattr(together, "get_engine", lambda: made)
    yield made
    made.dispose()


def write(connection: Connection, name: str) -> str:
    if name == "bad":
        raise ValueError(name)
    connection.execute(text("INSERT INTO duties (name, ran_at) VALUES (:name, 1)"), {"name": name})
    return name.upper()


def names(engine: Engine) -> set[str]:
    with reading(engine) as connection:
        return set(connection.execute(text("SELECT name FROM duties")).scalars())


def run_all(writing: Together[str, str], wanted: list[str]) -> list[str | ValueError]:
    """All at the same time: they queue while this thread has the turn."""

    def run(name: str) -> str | ValueError:
        try:
            return writing.run(name)
        except ValueError as exc:
            return exc

    with ThreadPoolExecutor(len(wanted)) as pool:
        with sqlite_turn():
            futures = [pool.submit(run, name) for name in wanted]
            until = threading.Event()
            while len(writing._waiting) < len(wanted):
                until.wait(0.01)
        return [future.result(PATIENCE_S) for future in futures]


def test_those_who_wait_share_a_commit(engine: Engine) -> None:
    commits: list[bool] = []
    event.listen(engine, "commit", lambda _: commits.append(True))
    wanted = [f"duty {number}" for number in range(THREADS)]
    results = run_all(Together(write), wanted)
    assert results == [name.upper() for name in wanted]
    assert names(engine) >= set(wanted)
    assert len(commits) == 1


def test_one_bad_item_does_not_take_the_others_along(engine: Engine) -> None:
    results = run_all(Together(write), ["good", "bad", "fine"])
    assert [results[0], results[2]] == ["GOOD", "FINE"]
    assert isinstance(results[1], ValueError)
    assert names(engine) >= {"good", "fine"}


def test_alone_it_needs_no_transaction(engine: Engine) -> None:
    assert Together(write).run("alone") == "ALONE"
    assert "alone" in names(engine)


def test_whoever_waits_too_long_is_told_so_and_forgotten(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_patience_s", 0.1)
    writing = Together(write)
    with sqlite_turn(), ThreadPoolExecutor(1) as pool, pytest.raises(DatabaseUnavailable):
        pool.submit(writing.run, "late").result(PATIENCE_S)
    writing.run("next")
    assert "late" not in names(engine)
