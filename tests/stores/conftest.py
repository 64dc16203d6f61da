"""An engine on each database, and the words the tests of the ledger use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from mindbot_tasks.stores import inbox
from mindbot_tasks.stores.database import open_engine


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on a fresh, migrated database, as the application opens it: SQLite, then PostgreSQL."""
    inbox.forget_known()
    engine = open_engine(database_url, durable=False, pool_size=20)
    yield engine
    engine.dispose()
    inbox.forget_known()
