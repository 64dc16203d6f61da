"""An engine on each database, and the words the tests of the ledger use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from mindbot_tasks.stores import inbox
from mindbot_tasks.stores.database import open_engine
from tests.conftest import PATIENCE_S
from tests.midnight import one_day

__all__ = ["one_day"]


@pytest.fixture
def engine(database_url: str, unhurried: None) -> Iterator[Engine]:
    """An engine on a fresh, migrated database: SQLite, then PostgreSQL; connections for more threads than any test has.

    As the application opens it, but for its time limits, which a slow machine reaches when many write at once.
    """
    inbox.forget_known()
    engine = open_engine(database_url, durable=False, pool_size=60, statement_timeout_s=PATIENCE_S)
    yield engine
    engine.dispose()
    inbox.forget_known()
