"""Questions, deadlines and listeners for the tests of answerers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.core.http import Patience
from mindbot_tasks.llm.base import Answerer, OnText, Question
from mindbot_tasks.model.answer import Classification, Turn

#: with a far side on this machine, which may be a slow one
PATIENCE = Patience(20, 20, 20)


def question(text: str = "hello", **fields: Any) -> Question:
    values: dict[str, Any] = {
        "message_id": 1,
        "text": text,
        "history": (Turn("user", "before"), Turn("assistant", "and after")),
        "classification": Classification("general_chat", 0.5, "no pattern matches"),
        "user_key": "dingtalk:user01",
        "conversation_key": "dingtalk:default:cid1",
        "language": "en",
    }
    return Question(**(values | fields))


def refused_as(error: type[FarSideError], kind: str, answerer: Answerer, far: Emulator, status: int, body: Any) -> None:
    """The answerer raises this error for this answer, and the vendor's own words stay out of it."""
    far.control.fault("status", status=status, body=body, content_type="application/json")
    with pytest.raises(error) as caught:
        answerer.answer(question(), Deadline(30), nobody)
    assert caught.value.kind == kind
    assert "what you said" not in str(caught.value)


def nobody(_: str) -> None:
    """Does not listen."""


def stopping(exc: type[Exception], after_s: float, total_s: float = 30) -> Deadline:
    """A deadline that raises `exc` after so many seconds."""
    until = time.monotonic() + after_s

    def check() -> None:
        if time.monotonic() > until:
            raise exc("stop")

    return Deadline(total_s, stop_check=check)


def once_heard(exc: type[Exception]) -> tuple[Deadline, OnText]:
    """A deadline that raises `exc` as soon as a part of the answer was heard, and who has to hear it."""
    heard = threading.Event()

    def check() -> None:
        if heard.is_set():
            raise exc("stop")

    return Deadline(60, stop_check=check), lambda _: heard.set()


def took_s(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started
