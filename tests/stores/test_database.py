"""The connection to the database: what URLs it takes, and that trouble has one name and comes soon."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL, Engine, make_url, text
from sqlalchemy.exc import DBAPIError

from mindbot_tasks.core.errors import DatabaseUnavailable, OtherTables
from mindbot_tasks.stores import database
from mindbot_tasks.stores.database import answer_within, one_statement, open_engine, reading, transaction
from tests.conftest import PATIENCE_S
from tests.slack import at_most


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


def test_a_server_that_is_not_there_is_noticed_at_once(closed_port: int) -> None:
    assert seconds_until_unavailable(f"postgresql://somebody@127.0.0.1:{closed_port}/mindbot") < at_most(1)


def test_a_server_that_accepts_but_never_answers_is_given_up_after_three_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        assert seconds_until_unavailable(f"postgresql://somebody@127.0.0.1:{port}/mindbot") < at_most(3.5)


class Wire:
    """A port of ours through which a PostgreSQL server is reached, until it is cut."""

    def __init__(self, url: URL) -> None:
        self._folder = str(url.query.get("host") or "")
        self._target = (url.host or "127.0.0.1", url.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.url = url.set(host="127.0.0.1", port=self._listener.getsockname()[1], query={})
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._folder:
                    far = socket.socket(socket.AF_UNIX)
                    far.connect(f"{self._folder}/.s.PGSQL.5432")
                else:
                    far = socket.create_connection(self._target)
                self._ends += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    @staticmethod
    def _pump(one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)

    def cut(self) -> None:
        """As if the server's machine had lost its power, and its address were answered by the next router."""
        for end in [self._listener, *self._ends]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._thread.join(5)


@pytest.mark.postgres
@pytest.mark.parametrize("block", [one_statement, reading, transaction])
def test_a_server_lost_under_an_open_connection_is_unavailable_at_once(postgresql_url: str, block: Any) -> None:
    wire = Wire(make_url(postgresql_url))
    engine = open_engine(wire.url.render_as_string(hide_password=False))
    try:
        with block(engine) as connection:
            connection.execute(text("SELECT 1"))
        wire.cut()
        for _ in range(2):  # on the old connection, and then on a new one
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailable), block(engine) as connection:
                connection.execute(text("SELECT 1"))
            assert time.monotonic() - started < at_most(3)
    finally:
        engine.dispose()


@pytest.mark.postgres
def test_a_server_that_hangs_in_a_statement_keeps_a_webhook_no_longer_than_it_may_take(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            with reading(engine) as connection:
                connection.execute(text("SELECT pg_sleep(60)"))
        except DatabaseUnavailable as exc:
            failed.append(exc)

    answer_within(0.3)
    try:
        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(at_most(3))
        assert not asking.is_alive(), "it waits for ever"
        assert len(failed) == 1
        answer_within(PATIENCE_S)  # what follows is no longer about time
        with reading(engine) as connection:
            assert connection.execute(text("SELECT 1")).scalar() == 1, "the next one gets a connection that works"
    finally:
        answer_within(None)
        engine.dispose()


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
                assert time.monotonic() - started < at_most(3)
            other.execute("ROLLBACK")
            with transaction(engine) as connection:
                connection.execute(text("DELETE FROM duties"))
        finally:
            engine.dispose()


def test_a_file_that_is_damaged_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "mindbot.db").write_bytes(b"no database " * 1000)
    engine = open_engine(f"sqlite:///{tmp_path / 'mindbot.db'}")
    with pytest.raises(DatabaseUnavailable, match=r"cannot be used \(file is not a database\)"), reading(engine):
        pass
    engine.dispose()


def test_a_server_that_only_reads_as_a_standby_does_is_unavailable(postgresql_url: str) -> None:
    engine = open_engine(postgresql_url)

    def write_to_a_standby() -> None:
        with transaction(engine) as connection:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            connection.execute(text("CREATE TABLE never (id int)"))

    with pytest.raises(DatabaseUnavailable, match=r"cannot be used \(ReadOnlySqlTransaction 25006\)"):
        write_to_a_standby()
    engine.dispose()


@pytest.mark.parametrize("statement", ["SELECT id FROM no_such_table", "SELECT no_such_column FROM messages"])
def test_tables_of_another_version_are_as_a_database_that_is_away(database_url: str, statement: str) -> None:
    """A message that comes between the start of a new version and its migration is refused, and sent again."""
    engine = open_engine(database_url)
    with pytest.raises(OtherTables, match="mindbot db upgrade"), reading(engine) as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_a_thread_that_waits_too_long_for_its_turn_gives_up(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_patience_s", 0.3)
    engine = open_engine(sqlite_url)
    try:
        with one_statement(engine):
            started = time.monotonic()
            with pytest.raises(DatabaseUnavailable), one_statement(engine):
                pytest.fail("two writers at once")
            assert 0.3 <= time.monotonic() - started < at_most(1)
    finally:
        engine.dispose()


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_a_process_forked_while_another_thread_writes_can_write(sqlite_url: str, unhurried: None) -> None:
    """The child has a copy of the lock, and nobody in it who would ever release it."""
    engine = open_engine(sqlite_url)
    with one_statement(engine):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                mine = open_engine(sqlite_url)
                with one_statement(mine) as connection:
                    connection.execute(text("SELECT 1"))
                status = 0
            finally:
                os._exit(status)  # whatever went wrong: the tests that follow are the parent's
        time.sleep(0.3)  # it waits for our turn to end, as every other process does
    _, status = os.waitpid(child, 0)
    engine.dispose()
    assert os.waitstatus_to_exitcode(status) == 0


def test_a_mistake_in_a_statement_is_not_called_an_outage(engine: Engine) -> None:
    with pytest.raises(DBAPIError), one_statement(engine) as connection:
        connection.execute(text("SELEKT 1"))


def test_a_transaction_that_fails_leaves_nothing(engine: Engine) -> None:
    def fail() -> None:
        with transaction(engine) as connection:
            connection.execute(text("INSERT INTO duties (name, ran_at) VALUES ('x', 1)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with reading(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM duties")).scalar() == 0


def test_a_durable_transaction_waits_for_the_disk_also_where_others_do_not(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mindbot_tasks.stores.database._records", False)
    engine = open_engine(sqlite_url, durable=False, pool_size=1)
    try:
        for durable, synchronous in ((False, 1), (True, 2), (False, 1)):
            with transaction(engine, durable=durable) as connection:
                assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == synchronous
    finally:
        engine.dispose()
