"""Votes under answers of Dify reach the app that gave them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select, update

from emulators.running import Emulator
from mindbot_tasks import tally as stage
from mindbot_tasks.core.settings import ProviderSettings, WorkflowSettings
from mindbot_tasks.model.message import Stage
from mindbot_tasks.model.news import Feedback
from mindbot_tasks.stores import feedback
from mindbot_tasks.stores.database import one_statement, reading, transaction
from mindbot_tasks.stores.tables import DutyRow, FeedbackRow
from tests.stages.conftest import Configure, Ledger

C, G, R = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY


@pytest.fixture
def dify(dify: Emulator, configure: Configure) -> Emulator:
    chat = {"dify_endpoint": dify.url, "dify_api_key": "app-chat", "task_patterns": ["chat"]}
    configure(
        workflows={"orders": WorkflowSettings.model_validate(chat)},
        providers={"dify": ProviderSettings.model_validate({"base_url": dify.url, "api_key": "app-chat-basic"})},
    )
    return dify


def answered(ledger: Ledger, text: str = "chat with me") -> int:
    message_id = ledger.receive(text)
    assert ledger.run(message_id, C, G, R) == "SUCCESS"
    return message_id


def vote(message_id: int, what: Any = "up", answer_ref: str = "card-1") -> None:
    with transaction() as connection:
        feedback.record(connection, "stooge", "default", Feedback(answer_ref, "u9", what, message_id))


def tally() -> None:
    """As if the slot of the last time were over."""
    with one_statement() as connection:
        connection.execute(update(DutyRow).values(ran_at=0))
    stage.tally.run()


def told(dify: Emulator) -> list[str]:
    return [call["rating"] for call in dify.control.calls() if "/feedbacks" in call["path"] and call.get("rating")]


def left() -> list[tuple[bool, int]]:
    with reading() as connection:
        rows = connection.execute(select(FeedbackRow.tell_at, FeedbackRow.tell_tries).order_by(FeedbackRow.id))
        return [(at is not None, tries) for at, tries in rows]


@pytest.mark.parametrize("text", ["chat with me", "something else"], ids=["a workflow", "the provider"])
def test_a_vote_is_told_once_and_told_again_when_it_changes(ledger: Ledger, dify: Emulator, text: str) -> None:
    message_id = answered(ledger, text)
    vote(message_id)
    tally()
    tally()
    assert told(dify) == ["like"]
    vote(message_id, "down")
    tally()
    assert told(dify) == ["like", "dislike"]
    assert left() == [(False, 0)]


def test_a_vote_that_cannot_be_told_now_is_told_later_and_a_refused_one_never(ledger: Ledger, dify: Emulator) -> None:
    message_id = answered(ledger)
    dify.control.fault("status", status=500, contains="rating")
    vote(message_id)
    tally()
    assert left() == [(True, 1)]
    with one_statement() as connection:
        connection.execute(update(FeedbackRow).values(tell_at=1))
    tally()
    assert (told(dify), left()) == (["like"], [(False, 1)])
    dify.control.fault("status", status=404, contains="rating")
    vote(message_id, "down")
    tally()
    assert (told(dify), left()) == (["like"], [(False, 0)])


def test_votes_for_answers_of_others_are_told_to_nobody(ledger: Ledger, dify: Emulator, configure: Configure) -> None:
    message_id = answered(ledger)
    vote(message_id)
    dify_elsewhere = {"dify_endpoint": dify.url, "dify_api_key": "app-chat-other"}
    configure(workflows={"orders": WorkflowSettings.model_validate(dify_elsewhere)}, providers={})
    tally()
    assert (told(dify), left()) == ([], [(False, 0)])
