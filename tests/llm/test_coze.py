"""A Coze bot: chat v3, its conversations and its codes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.llm.coze import CozeBot
from tests.llm.asking import PATIENCE, nobody, once_heard, question, refused_as
from tests.llm.contract import AnswererContract


@pytest.fixture
def far(coze: Emulator) -> Emulator:
    return coze


@pytest.fixture
def answerer(far: Emulator) -> CozeBot:
    return CozeBot("provider:coze", "bot-1", SecretStr("pat_test"), f"{far.url}/v1", patience=PATIENCE)


class TestContract(AnswererContract):
    path = "/v3/chat"


def test_the_conversation_goes_on(far: Emulator, answerer: CozeBot) -> None:
    first = answerer.answer(question("one"), Deadline(30), nobody)
    second = answerer.answer(question("two", session_id=first.session_id), Deadline(30), nobody)
    calls = far.control.calls()
    assert [call["new"] for call in calls] == [True, False]
    assert first.session_id == second.session_id == calls[1]["conversation_id"]
    assert calls[1]["user"] == "dingtalk:user01"
    assert second.answer.usage.output_tokens == calls[1]["answer_tokens"]


def test_a_conversation_that_is_gone_is_begun_anew(far: Emulator, answerer: CozeBot) -> None:
    spoken = answerer.answer(question("one", session_id="123"), Deadline(30), nobody)
    assert spoken.session_id not in ("", "123")
    assert spoken.answer.text


def test_whoever_goes_early_cancels(far: Emulator, answerer: CozeBot) -> None:
    far.control.pace(tokens_per_second=5)
    with pytest.raises(Cancelled):
        answerer.answer(question("tell me a lot of words please " * 5), *once_heard(Cancelled))
    [call] = far.control.wait_for(path="/v3/chat/cancel")
    assert call["chat_id"]


@pytest.mark.parametrize(
    ("status", "body", "error", "kind"),
    [
        (401, {"code": 4100, "msg": "what you said"}, Rejected, "auth"),
        (200, {"code": 4100, "msg": "what you said"}, Rejected, "auth"),
        (200, {"code": 4199, "msg": "what you said"}, Rejected, "auth"),
        (200, {"code": 4000, "msg": "what you said"}, Rejected, "invalid_request"),
        (200, {"code": 4015, "msg": "what you said"}, Rejected, "not_found"),
        (200, {"code": 5000, "msg": "what you said"}, Unavailable, "server"),
        (200, {"code": 99, "msg": "what you said"}, Unavailable, "server"),
        (429, {"code": 4013, "msg": "what you said"}, Throttled, "rate_limit"),
        (502, "<html>", Unavailable, "server"),
        (200, [1], Unavailable, "protocol"),
    ],
)
def test_errors_have_a_meaning(
    far: Emulator, answerer: CozeBot, status: int, body: Any, error: type[FarSideError], kind: str
) -> None:
    refused_as(error, kind, answerer, far, status, body)


def test_an_error_in_mid_stream_is_an_error(far: Emulator, answerer: CozeBot) -> None:
    far.control.fault("error_event", after_events=3)
    with pytest.raises(Unavailable):
        answerer.answer(question(), Deadline(30), nobody)
    assert not far.control.calls(path="/v3/chat/cancel")
