"""The PostgreSQL database that tests are lent one after the other: nobody finds anything of the one before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text

from tests.conftest import _Lent

pytestmark = pytest.mark.postgres

PERSON = "INSERT INTO users (platform, external_id, name, created_at, seen_at) VALUES ('p', 'u', '', 0, 0) RETURNING id"


@pytest.fixture
def lent(postgresql_server: str, _migrated_postgresql: str) -> Iterator[_Lent]:
    lent = _Lent(postgresql_server, _migrated_postgresql)
    yield lent
    lent.drop()
    lent.admin.dispose()


def test_it_is_empty_and_numbers_start_anew_also_when_a_connection_was_left_open(lent: _Lent) -> None:
    engine = create_engine(lent.take())
    left_open = engine.connect()
    assert left_open.execute(text(PERSON)).scalar() == 1
    left_open.commit()
    left_open.execute(text("UPDATE users SET name = 'locked'"))
    name = lent.name
    lent.give_back()
    with create_engine(lent.take()).connect() as connection:
        assert lent.name == name
        assert connection.execute(text("SELECT count(*) FROM users")).scalar() == 0
        assert connection.execute(text(PERSON)).scalar() == 1
    left_open.invalidate()


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TABLE left_over (id int)",
        "ALTER TABLE users DROP COLUMN name",
        "ALTER TABLE users ADD COLUMN more int",
        "DROP FUNCTION messages_following CASCADE",
        "ALTER DATABASE {name} SET synchronous_commit = off",
    ],
)
def test_after_more_than_changed_rows_the_next_one_gets_another(lent: _Lent, change: str) -> None:
    with create_engine(lent.take(), isolation_level="AUTOCOMMIT").connect() as connection:
        name = lent.name
        connection.execute(text(change.format(name=name)))
    lent.give_back()
    lent.take()
    assert lent.name != name
