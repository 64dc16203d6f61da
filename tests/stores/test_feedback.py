"""Votes under answers: the last one of each person counts, and each is found with its message."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from mindbot_tasks.model.news import Feedback
from mindbot_tasks.stores import feedback, inbox, trace
from mindbot_tasks.stores.database import open_engine
from tests.stores.words import message


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = open_engine(database_url, durable=False)
    inbox.forget_known()
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def test_the_last_vote_of_each_person_counts(connection: Connection) -> None:
    row = inbox.record_once(connection, message(platform="stooge"), deadline_ms=1000)
    for user, vote in (("a", "up"), ("b", "up"), ("a", "down"), ("a", "down")):
        feedback.record(connection, "stooge", "default", Feedback("card-1", user, vote, row.message_id))  # type: ignore[arg-type]
    told = trace.get_trace(connection, row.message_id)
    assert told is not None
    assert {(vote.user_ref, vote.vote) for vote in told.votes} == {("a", "down"), ("b", "up")}


def test_a_vote_belongs_to_a_message_of_its_own_bot_only(connection: Connection) -> None:
    row = inbox.record_once(connection, message(platform="stooge"), deadline_ms=1000)
    row_id = row.message_id
    for platform, bot, number in (("other", "default", row_id), ("stooge", "b", row_id), ("stooge", "default", 99)):
        feedback.record(connection, platform, bot, Feedback("card-1", "a", "up", number))
    feedback.record(connection, "stooge", "default", Feedback("card-2", "\x00" + "a" * 300, "up"))
    assert feedback.votes_of(connection, row.message_id) == []
