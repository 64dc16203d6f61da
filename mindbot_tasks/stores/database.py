"""The database connection of this process: SQLite in WAL mode or PostgreSQL, with time limits on everything."""

from __future__ import annotations

import contextlib
import os
import select
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import orjson
import psycopg2
import psycopg2.extensions
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mindbot_tasks.core.errors import DatabaseUnavailable, OtherTables
from mindbot_tasks.core.once import Once
from mindbot_tasks.core.settings import get_settings

#: SQLite has one writer; queueing inside the process is fair and cheap, its own busy handler is neither
_sqlite_writer = threading.Lock()
#: seconds until a call gives up: on a statement, on a free connection, on its turn to write
_PATIENCE_S = 5.0
_patience_s = _PATIENCE_S
#: how long SQLite itself waits for the other processes, where somebody waits for us and `in_turn` is asked again at
#: once; elsewhere SQLite sleeps longer and longer between its own tries
_HASTY_S = 0.005


def _new_writer() -> None:
    """In a forked child: a thread that held the lock does not exist here, so nobody would ever give it back."""
    global _sqlite_writer
    _sqlite_writer = threading.Lock()


os.register_at_fork(after_in_child=_new_writer)


def _dumps(value: Any) -> str:
    return orjson.dumps(value).decode()


def open_engine(url: str, *, durable: bool = True, pool_size: int = 10, statement_timeout_s: float = 5.0) -> Engine:
    """An engine for `url`.

    durable: for SQLite, a commit survives a power cut (PostgreSQL's does anyway). Statements give up after
    `statement_timeout_s` seconds; a connection is tried for 3 seconds at the most.
    """
    address = _with_driver(url)
    if address.get_backend_name() == "sqlite":
        return _open_sqlite(address, durable=durable, pool_size=pool_size, busy_s=statement_timeout_s)
    timeout_ms = int(statement_timeout_s * 1000)
    return create_engine(
        address,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=min(3, statement_timeout_s),
        pool_recycle=1800,
        hide_parameters=True,  # they are messages
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        connect_args={
            "connect_timeout": 3,
            "application_name": "mindbot",
            "keepalives_idle": 15,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
            "options": f"-c statement_timeout={timeout_ms} -c lock_timeout={timeout_ms} "
            "-c idle_in_transaction_session_timeout=30000",
        },
    )


def _with_driver(url: str) -> URL:
    """The driver we ship: hosters write postgres://, and SQLAlchemy takes postgresql:// for psycopg 3."""
    scheme, separator, rest = url.partition("://")
    if scheme in ("postgres", "postgresql"):
        return make_url(f"postgresql+psycopg2{separator}{rest}")
    return make_url(url)


def _open_sqlite(url: URL, *, durable: bool, pool_size: int, busy_s: float) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size * 4,
        pool_timeout=3,
        hide_parameters=True,  # they are messages
        json_serializer=_dumps,
        json_deserializer=orjson.loads,
        connect_args={"timeout": busy_s, "check_same_thread": False, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _record: Any) -> None:
        # the driver must not open transactions by itself: single statements commit alone, and transactions begin
        # IMMEDIATE, because one that starts with a read cannot wait for the lock later ("database is locked" at once)
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA temp_store=MEMORY")
        cursor.execute("PRAGMA cache_size=-8000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("immediate"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


_records = True


def only_advance() -> None:
    """This process records no messages: after a power cut, the steps it took may be taken again.

    With SQLite that saves a wait for the disk at every step. Killing processes loses nothing either way, and PostgreSQL
    always waits.
    """
    global _records
    _records = False


def answer_within(seconds: float | None) -> None:
    """Whoever calls this process waits for an answer: no database may keep it longer, not even one that hangs.

    None: nobody waits, be as patient as a worker.

    A hanging server sends no time-out of its own, so psycopg2 waits by a function of ours.
    """
    global _patience_s
    _patience_s = _PATIENCE_S if seconds is None else seconds
    psycopg2.extensions.set_wait_callback(None if seconds is None else _wait)


def _wait(connection: Any) -> None:
    ends_at = time.monotonic() + _patience_s
    poll = select.poll()
    while (wanted := connection.poll()) != psycopg2.extensions.POLL_OK:
        mask = select.POLLIN if wanted == psycopg2.extensions.POLL_READ else select.POLLOUT
        poll.register(connection.fileno(), mask)
        left_s = ends_at - time.monotonic()
        if left_s <= 0 or not poll.poll(left_s * 1000):
            # psycopg2 then closes the connection; `connection.close()` here would wait for a lock that our caller holds
            raise psycopg2.OperationalError("the database did not answer in time")


def _make_engine() -> Engine:
    """The engine of this process; thrown away in a forked child by `forget_engine`."""
    return open_engine(
        get_settings().database_url.get_secret_value(), durable=_records, statement_timeout_s=_patience_s
    )


get_engine = Once(_make_engine)


def _make_engine_in_turn() -> Engine:
    """For those who ask again by themselves while another process writes, and do it faster than SQLite does."""
    url = get_settings().database_url.get_secret_value()
    if _patience_s >= _PATIENCE_S or make_url(url).get_backend_name() != "sqlite":
        return get_engine()
    return open_engine(url, durable=_records, statement_timeout_s=_HASTY_S)


_engine_in_turn = Once(_make_engine_in_turn)


def patience_s() -> float:
    """Seconds until a call gives up in this process."""
    return _patience_s


def is_busy(exc: DatabaseUnavailable) -> bool:
    """Whether another process was writing: SQLite is well, and asking again helps."""
    return getattr(getattr(exc.__cause__, "orig", None), "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


def forget_engine(*, close: bool = False) -> None:
    """After a fork: the parent's connections are not ours. close: they are ours, and nobody needs them any more."""
    for once in (_engine_in_turn, get_engine):
        engine = once.forget()
        if engine is not None:
            engine.dispose(close=close)


@contextlib.contextmanager
def _as_unavailable() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as exc:
        original = getattr(exc, "orig", None)
        if str(original).startswith(_NO_TABLE[:2]):
            raise _other_tables(exc) from exc
        if getattr(original, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
            raise  # a mistake in the statement, not in the database
        raise DatabaseUnavailable(f"the database does not answer ({_reason(exc)})") from exc
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise DatabaseUnavailable("the connection to the database was lost") from exc
        if getattr(exc.orig, "pgcode", None) in _NO_TABLE:
            raise _other_tables(exc) from exc
        if _is_unfit(exc):
            raise DatabaseUnavailable(f"the database cannot be used ({_reason(exc)})") from exc
        raise


#: how SQLite and PostgreSQL say that a table or a column is missing
_NO_TABLE = ("no such table", "no such column", "42P01", "42703")


def _other_tables(exc: Exception) -> OtherTables:
    """Whoever writes waits for the migration as for a database that is down; the reason tells of which kind it is."""
    return OtherTables(f"its tables are not those of this version ({_reason(exc)}): mindbot db upgrade")


def _is_unfit(exc: DBAPIError) -> bool:
    """Whether it answers but cannot serve: it is damaged, or a PostgreSQL that only reads, as a standby does."""
    code = getattr(exc.orig, "sqlite_errorcode", 0) & 0xFF
    state = getattr(exc.orig, "pgcode", None) or ""
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or state == "25006" or state.startswith("XX")


def _reason(exc: Exception) -> str:
    """What the database says, where that is one of its own few sentences; else the kind of error and its code."""
    original = getattr(exc, "orig", None)
    if isinstance(original, sqlite3.Error):
        return str(original)
    name = type(original or exc).__name__
    return f"{name} {code}" if (code := getattr(original, "pgcode", None)) else name


@contextlib.contextmanager
def sqlite_turn() -> Iterator[None]:
    """This thread's turn to write. Raises DatabaseUnavailable when the others take too long."""
    writer = _sqlite_writer
    if not writer.acquire(timeout=_patience_s):
        raise DatabaseUnavailable("the database is busy with other writers")
    try:
        yield
    finally:
        writer.release()


@contextlib.contextmanager
def in_turn(*, transaction: bool) -> Iterator[Connection]:
    """For SQLite, within `sqlite_turn`: a connection on which statements commit alone, or all at the end."""
    with _as_unavailable(), _engine_in_turn().connect() as connection:
        if not transaction:
            yield connection
            return
        connection = connection.execution_options(immediate=True)
        with connection.begin():
            yield connection


@contextlib.contextmanager
def _synchronous(connection: Connection, *, full: bool) -> Iterator[None]:
    """SQLite waits for the disk at the commits in the block, although it does not elsewhere in this process."""
    if not full:
        yield
        return
    raw = connection.connection  # beside SQLAlchemy, for which any statement begins a transaction
    raw.cursor().execute("PRAGMA synchronous=FULL").close()
    try:
        yield
    finally:
        raw.cursor().execute("PRAGMA synchronous=NORMAL").close()


@contextlib.contextmanager
def one_statement(engine: Engine | None = None) -> Iterator[Connection]:
    """A connection on which each statement commits by itself: one round trip, not three. Raises DatabaseUnavailable."""
    engine = engine or get_engine()
    with _as_unavailable():
        if engine.dialect.name == "sqlite":
            with sqlite_turn(), engine.connect() as connection:
                yield connection
        else:
            with engine.connect() as connection:
                yield connection.execution_options(isolation_level="AUTOCOMMIT")


@contextlib.contextmanager
def reading(engine: Engine | None = None) -> Iterator[Connection]:
    """A connection for queries. Raises DatabaseUnavailable."""
    engine = engine or get_engine()
    with _as_unavailable(), engine.connect() as connection:
        yield (
            connection
            if engine.dialect.name == "sqlite"
            else connection.execution_options(isolation_level="AUTOCOMMIT")
        )


@contextlib.contextmanager
def transaction(engine: Engine | None = None, *, durable: bool = False) -> Iterator[Connection]:
    """A transaction that commits at the end of the block. Raises DatabaseUnavailable.

    durable: the commit survives a power cut also in a process that otherwise only advances (`only_advance`).
    """
    engine = engine or get_engine()
    with _as_unavailable():
        if engine.dialect.name == "sqlite":
            with sqlite_turn(), engine.connect() as connection, _synchronous(connection, full=durable and not _records):
                connection = connection.execution_options(immediate=True)
                with connection.begin():
                    yield connection
        else:
            with engine.begin() as connection:
                yield connection
