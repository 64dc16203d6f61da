"""The connection to the database: what URLs it takes, and that trouble has one name and comes soon."""

from __future__ import annotations

import pytest

from mindbot_tasks.stores.database import open_engine


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_usual_spelling_of_a_postgresql_url_works(scheme: str) -> None:
    engine = open_engine(f"{scheme}://somebody:secret@127.0.0.1:5432/mindbot")
    assert engine.driver == "psycopg2"
    engine.dispose()
