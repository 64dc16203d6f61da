"""Brings the database to the schema of this version; safe to run twice and from several machines at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from mindbot_tasks.core.errors import SettingsError
from mindbot_tasks.core.settings import get_settings
from mindbot_tasks.stores.database import _as_unavailable, open_engine

#: any number, as long as nobody else takes a PostgreSQL advisory lock by it
_ADVISORY_LOCK = 0x6D696E64


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A connection that is the only one migrating."""
    with _as_unavailable(), engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _ADVISORY_LOCK})
            connection.commit()
            try:
                yield connection
            finally:
                connection.rollback()
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _ADVISORY_LOCK})
                connection.commit()
        else:
            with connection.execution_options(immediate=True).begin():
                yield connection


def upgrade(url: str | None = None, *, to: str = "head") -> tuple[str | None, str | None]:
    """Migrate; returns the revision before and after.

    Raises DatabaseUnavailable, or SettingsError for a folder that cannot be made.
    """
    url = url or get_settings().database_url.get_secret_value()
    engine = open_engine(url, statement_timeout_s=600)
    if engine.dialect.name == "sqlite" and engine.url.database:
        try:
            Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise SettingsError(f"the folder of the database cannot be made: {exc.strerror}: {exc.filename}") from exc
    try:
        with _alone(engine) as connection:
            before = MigrationContext.configure(connection).get_current_revision()
            command.upgrade(alembic_config(connection), to)
            after = MigrationContext.configure(connection).get_current_revision()
            if connection.dialect.name == "postgresql":
                connection.commit()
    finally:
        engine.dispose()
    return before, after


def downgrade(url: str, *, to: str) -> None:
    """Go back to revision `to`; loses what only the newer schema can hold."""
    engine = open_engine(url, statement_timeout_s=600)
    try:
        with _alone(engine) as connection:
            command.downgrade(alembic_config(connection), to)
            if connection.dialect.name == "postgresql":
                connection.commit()
    finally:
        engine.dispose()


def head() -> str | None:
    """The revision that this version of the code needs."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config).get_current_head()
