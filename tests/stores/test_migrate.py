"""The schema: migrations run twice, back and forth, at the same time, and end where the models are."""

from __future__ import annotations

import threading

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from mindbot_tasks.stores import migrate
from mindbot_tasks.stores.database import open_engine
from mindbot_tasks.stores.every_table import METADATA
from tests.conftest import PATIENCE_S
from tests.stores.words import record


def tables(url: str) -> set[str]:
    engine = open_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def test_the_second_upgrade_has_nothing_to_do(empty_database_url: str) -> None:
    assert migrate.upgrade(empty_database_url) == (None, migrate.head())
    assert migrate.upgrade(empty_database_url) == (migrate.head(), migrate.head())


def test_down_to_nothing_and_up_again(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    migrate.downgrade(empty_database_url, to="base")
    assert tables(empty_database_url) == set()
    migrate.upgrade(empty_database_url)
    assert tables(empty_database_url) == set(METADATA.tables)
    engine = open_engine(empty_database_url)
    assert record(engine).fresh
    engine.dispose()


def test_the_migrations_lead_to_what_the_models_say(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, METADATA)
    engine.dispose()
    assert differences == []


def test_two_machines_may_upgrade_at_once(empty_database_url: str) -> None:
    gate = threading.Barrier(2)
    results: list[tuple[str | None, str | None]] = []

    def upgrade() -> None:
        gate.wait(PATIENCE_S)
        results.append(migrate.upgrade(empty_database_url))

    threads = [threading.Thread(target=upgrade) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(results, key=str) == [(migrate.head(), migrate.head()), (None, migrate.head())]
    assert tables(empty_database_url) == set(METADATA.tables)
