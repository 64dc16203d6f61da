"""Puts messages into the ledger and moves them on, as the stages would."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import insert, update

from mindbot_tasks import intake
from mindbot_tasks.model.message import Message, Part
from mindbot_tasks.platforms.registry import PLAYGROUND
from mindbot_tasks.stores.clock import DB_NOW
from mindbot_tasks.stores.database import one_statement
from mindbot_tasks.stores.tables import AnswerRow, MessageRow


def a_message(number: int = 1, *, bot: str = "default", conversation: str = "c1", text: str = "hello") -> int:
    """A recorded message; returns our id."""
    return intake.receive(
        [
            Message(
                platform="chat",
                bot=bot,
                external_id=f"{conversation}-{number}",
                conversation_id=conversation,
                conversation_kind="one_to_one",
                sender_id="u1",
                sender_name="Ann",
                parts=(Part("text", text),),
                address={},
            )
        ]
    )[0]


def a_playground_message(conversation: str, number: int = 1) -> int:
    """As `a_message`, but from the playground."""
    return a_message(number, bot=PLAYGROUND, conversation=conversation)


def advance(message_id: int, state: str, **values: Any) -> None:
    """The message has reached this state."""
    with one_statement() as connection:
        connection.execute(
            update(MessageRow)
            .where(MessageRow.id == message_id)
            .values(state=state, step=state, stepped_at=DB_NOW, **values)
        )


def answer(message_id: int, text: str, *, parts: Sequence[Part] = ()) -> None:
    """The message has its answer, and is finished."""
    advance(
        message_id,
        "classified",
        label="general_chat",
        confidence=0.8,
        classification={"reason": "no pattern fits"},
        classified_at=DB_NOW,
    )
    with one_statement() as connection:
        connection.execute(
            insert(AnswerRow).values(
                message_id=message_id,
                text=text,
                parts=[asdict(part) for part in parts],
                provider="offline",
                model="",
                workflow="",
                input_tokens=3,
                output_tokens=5,
                latency_ms=12,
                first_token_ms=4,
                details={},
                created_at=DB_NOW,
            )
        )
    advance(message_id, "answered", answered_at=DB_NOW)
    advance(message_id, "replied", finished_at=DB_NOW)
