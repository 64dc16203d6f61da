"""Examples that reactions leave behind, and versions of the classifier, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, update

from mindbot_tasks.chat.learned import current
from mindbot_tasks.model.answer import Classification
from mindbot_tasks.model.message import Stage, State
from mindbot_tasks.model.news import Feedback
from mindbot_tasks.stores import feedback, inbox, learning, retention, steps, workers
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import one_statement, open_engine, reading, transaction
from mindbot_tasks.stores.tables import MessageRow
from tests.conftest import PATIENCE_S
from tests.stores.words import ANSWER, claim, message, must_claim, record, worker


@pytest.fixture
def engine(database_url: str, unhurried: None) -> Iterator[Engine]:
    inbox.forget_known()
    opened = open_engine(database_url, durable=False, statement_timeout_s=PATIENCE_S)
    yield opened
    opened.dispose()


def answered(engine: Engine, text: str, label: str, *, workflow: str = "", **other: str) -> int:
    """A message that was classified, answered and replied."""
    message_id = record(engine, message(text=text, **other)).message_id
    by = worker(engine)
    held = must_claim(engine, message_id, Stage.CLASSIFY, by)
    with one_statement(engine) as connection:
        steps.save_classification(connection, held, Classification(label, 0.8, "because"))
    held = must_claim(engine, message_id, Stage.GENERATE, by)
    with transaction(engine) as connection:
        steps.save_answer(connection, held, replace(ANSWER, workflow=workflow))
    held = must_claim(engine, message_id, Stage.REPLY, by)
    with one_statement(engine) as connection:
        steps.finish(connection, held, State.REPLIED, sent_parts=1, sent_id="x")
    return message_id


def noted(engine: Engine) -> dict[int, tuple[str, str]]:
    with reading(engine) as connection:
        return {one.message_id: (one.label, one.source) for one in learning.examples(connection)}


def vote(engine: Engine, message_id: int, what: str, user: str = "u1") -> None:
    with transaction(engine) as connection:
        feedback.record(connection, "chat", "default", Feedback("card", user, what, message_id))  # type: ignore[arg-type]


def test_a_liked_answer_of_the_right_workflow_is_an_example_until_it_is_disliked(engine: Engine) -> None:
    liked = answered(engine, "debug this", "code_analysis", workflow="code_analysis")
    by_a_variant = answered(engine, "and that", "code_analysis", workflow="code_analysis/b")
    by_a_model = answered(engine, "and this", "code_analysis")
    for one in (liked, by_a_variant, by_a_model):
        vote(engine, one, "up")
    assert noted(engine) == {liked: ("code_analysis", "thumb"), by_a_variant: ("code_analysis", "thumb")}
    vote(engine, liked, "down")
    assert noted(engine) == {by_a_variant: ("code_analysis", "thumb")}


def test_a_correction_wins_over_what_was_concluded_and_a_later_one_over_an_earlier(engine: Engine) -> None:
    one = answered(engine, "debug this", "code_analysis", workflow="code_analysis")
    vote(engine, one, "up")
    with transaction(engine) as connection:
        assert learning.give_label(connection, one, "research", "reask", "")
        assert not learning.give_label(connection, 999, "research", "correction", "ann")
    assert noted(engine) == {one: ("research", "reask")}
    with transaction(engine) as connection:
        learning.give_label(connection, one, "data_analysis", "correction", "ann")
        learning.give_label(connection, one, "creative_writing", "correction", "ben")
        learning.give_label(connection, one, "research", "reask", "")
    assert noted(engine) == {one: ("creative_writing", "correction")}
    vote(engine, one, "up", "u2")
    assert noted(engine) == {one: ("creative_writing", "correction")}


def test_an_example_goes_with_its_message(engine: Engine) -> None:
    one = answered(engine, "debug this", "code_analysis")
    with transaction(engine) as connection:
        learning.give_label(connection, one, "research", "correction", "ann")
        connection.execute(update(MessageRow).values(finished_at=DB_NOW - 10_000))
    with transaction(engine) as connection:
        assert retention.delete_finished(connection, older_than_ms=5_000, limit=10) == 1
    assert noted(engine) == {}


def test_what_was_answered_lately_is_told_oldest_first(engine: Engine) -> None:
    old = answered(engine, "old", "research")
    with transaction(engine) as connection:
        connection.execute(update(MessageRow).where(MessageRow.id == old).values(received_at=DB_NOW - 36_000_000))
    first = answered(engine, "first", "research", workflow="research")
    second = answered(engine, "second", "data_analysis")
    vote(engine, second, "down")
    with reading(engine) as connection:
        found = learning.answered_since(connection, 3_600_000)
    assert [(one.message_id, one.text, one.workflow, one.disliked) for one in found] == [
        (first, "first", "research", False),
        (second, "second", "", True),
    ]


def test_the_version_activated_last_is_active_and_workers_hear_of_it_as_they_say_they_live(engine: Engine) -> None:
    by = worker(engine)

    def heard() -> int:
        with one_statement(engine) as connection:
            return workers.beat(connection, by).classifier

    assert heard() == 0
    with transaction(engine) as connection:
        first, second = (learning.add_version(connection, data, {"examples": 1}) for data in (b"1", b"2"))
    assert heard() == 0
    for active in (second, first, second):
        with transaction(engine) as connection:
            assert learning.activate(connection, active)
        assert heard() == active
    with transaction(engine) as connection:
        assert not learning.activate(connection, 999)
        assert learning.data_of(connection, second) == b"2"
        third = learning.add_version(connection, b"3", {})
        assert learning.forget_versions(connection, keep=1) == 1
        assert [(one.version, one.active) for one in learning.versions(connection)] == [(third, False), (second, True)]
        assert learning.activate(connection, 0)
    assert heard() == 0


def test_a_process_follows_the_active_version_and_keeps_the_last_one_when_it_cannot_be_read(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mindbot_tasks.stores.database.get_engine", lambda: engine)
    good = current.shipped().dumps()
    with transaction(engine) as connection:
        first, bad = (learning.add_version(connection, data, {}) for data in (good, b"no model"))
    try:
        current.follow(first)
        assert current.version() == first
        trained = current.in_use()
        assert trained is not current.shipped()
        current.follow(bad)
        assert current.in_use() is trained
        current.follow(0)
        assert current.in_use() is current.shipped()
    finally:
        current.forget()


def test_a_claim_brings_along_what_the_same_person_asked_before(engine: Engine) -> None:
    answered(engine, "somebody else's", "research", sender_id="other")
    answered(engine, "a table", "data_analysis")
    answered(engine, "/help", "/limited")
    answered(engine, "a poem", "creative_writing")
    answered(engine, "elsewhere", "code_analysis", conversation="c2")
    held = claim(engine, record(engine).message_id, Stage.CLASSIFY, worker(engine))
    assert held is not None
    assert [label for label, _ in held.recent] == ["creative_writing", "data_analysis"]
    assert all(0 <= age_ms < 600_000 for _, age_ms in held.recent)
