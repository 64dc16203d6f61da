"""Dify's flows through the stages: what waits for a person is remembered, and heard by the workflow that asked."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from emulators.running import Emulator
from mindbot_tasks.core.settings import WorkflowSettings
from mindbot_tasks.model.message import Stage
from mindbot_tasks.stores.database import reading
from mindbot_tasks.stores.tables import AnswerRow
from tests.stages.conftest import Configure, Ledger

C, G, R = Stage.CLASSIFY, Stage.GENERATE, Stage.REPLY


@pytest.fixture
def apps(dify: Emulator, configure: Configure) -> None:
    order = {"dify_endpoint": dify.url, "dify_api_key": "app-workflow", "task_patterns": ["approve"]}
    chat = {"dify_endpoint": dify.url, "dify_api_key": "app-chat"}
    configure(
        workflows={
            "orders": WorkflowSettings.model_validate(order),
            "general_chat": WorkflowSettings.model_validate(chat),
        }
    )


def say(ledger: Ledger, text: str, **fields: str) -> tuple[str, str]:
    """Which workflow answered, and what."""
    message_id = ledger.receive(text, **fields)
    assert ledger.run(message_id, C, G, R) == "SUCCESS"
    with reading() as connection:
        row = connection.execute(select(AnswerRow).where(AnswerRow.message_id == message_id)).one()
    return row.workflow, row.text


def test_a_decision_reaches_the_workflow_that_asked_and_only_once(ledger: Ledger, apps: None) -> None:
    assert "Shall this be done" in say(ledger, "approve the order")[1]
    assert say(ledger, "1 but quickly") == ("orders", "Decided: Approve (but quickly)")
    workflow, text = say(ledger, "thank you")
    assert workflow == "general_chat"
    assert "thank you" in text


def test_nobody_else_decides(ledger: Ledger, apps: None) -> None:
    say(ledger, "approve the order", conversation="g", sender_id="user01")
    assert say(ledger, "1", conversation="g", sender_id="user02")[0] == "general_chat"
    assert say(ledger, "2", conversation="g", sender_id="user01") == ("orders", "Decided: Send back")
