"""Short ways to say things to the ledger, for tests."""

from __future__ import annotations

import itertools
from typing import Any

from sqlalchemy import Engine

from mindbot_tasks.model.answer import Answer, Classification
from mindbot_tasks.model.message import Message, Part, Stage
from mindbot_tasks.stores import claims, inbox, workers
from mindbot_tasks.stores.claims import Claim
from mindbot_tasks.stores.database import one_statement
from mindbot_tasks.stores.inbox import Recorded

DEADLINE_MS = 600_000
LEASE_MS = 150_000
GENERAL = Classification("general_chat", 0.9, "nothing else fits")
ANSWER = Answer("forty-two", provider="test", model="test-1")

_numbers = itertools.count(1)


def message(external_id: str | None = None, *, conversation: str = "c1", text: str = "hello", **other: Any) -> Message:
    """A message; without an id it is a new one."""
    return Message(
        platform=other.pop("platform", "chat"),
        bot=other.pop("bot", "default"),
        external_id=external_id or f"m{next(_numbers)}",
        conversation_id=conversation,
        conversation_kind=other.pop("conversation_kind", "one_to_one"),
        sender_id=other.pop("sender_id", "u1"),
        sender_name=other.pop("sender_name", "Somebody"),
        parts=(Part("text", text),),
        address={},
        **other,
    )


def record(engine: Engine, what: Message | None = None, *, now: int | None = None) -> Recorded:
    """Record a message."""
    with one_statement(engine) as connection:
        return inbox.record_once(connection, what or message(), deadline_ms=DEADLINE_MS, now=now)


def worker(engine: Engine, *, now: int | None = None) -> int:
    """A new worker."""
    with one_statement(engine) as connection:
        return workers.register(connection, "test", ["classify", "generate", "reply"], now=now)


def claim(
    engine: Engine,
    message_id: int,
    stage: Stage,
    by: int,
    *,
    now: int | None = None,
    lease_ms: int = LEASE_MS,
    alone: bool = False,
    only_here: bool = False,
) -> Claim | None:
    """Try to take a message."""
    with one_statement(engine) as connection:
        return claims.claim(
            connection,
            message_id,
            stage,
            worker=by,
            lease_ms=lease_ms,
            alone=alone,
            only_here=only_here,
            now=now,
        )


def must_claim(
    engine: Engine, message_id: int, stage: Stage, by: int, *, now: int | None = None, alone: bool = False
) -> Claim:
    """Take a message that is there to be taken."""
    held = claim(engine, message_id, stage, by, now=now, alone=alone)
    assert held is not None
    return held
