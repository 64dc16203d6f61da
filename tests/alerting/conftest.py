"""A world of alerts on each database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from mindbot_tasks.stores.database import open_engine
from tests.alerting.world import World
from tests.conftest import PATIENCE_S


@pytest.fixture
def engine(database_url: str, unhurried: None) -> Iterator[Engine]:
    """SQLite, then PostgreSQL."""
    engine = open_engine(database_url, durable=False, pool_size=20, statement_timeout_s=PATIENCE_S)
    yield engine
    engine.dispose()


@pytest.fixture
def sqlite_engine(sqlite_url: str, unhurried: None) -> Iterator[Engine]:
    """SQLite alone, for what takes long and asks nothing of the database."""
    engine = open_engine(sqlite_url, durable=False, pool_size=20, statement_timeout_s=PATIENCE_S)
    yield engine
    engine.dispose()


@pytest.fixture
def world(engine: Engine) -> World:
    return World(engine)
