"""Google's Gemini API, and what its errors mean."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.llm.gemini_chat import GeminiModel
from mindbot_tasks.model.answer import Turn
from tests.llm.asking import PATIENCE, nobody, question, refused_as
from tests.llm.contract import AnswererContract


@pytest.fixture
def far(gemini: Emulator) -> Emulator:
    return gemini


@pytest.fixture
def answerer(far: Emulator) -> GeminiModel:
    return GeminiModel(
        "provider:google",
        "models/gemini-test",
        SecretStr("AIza-test"),
        far.url,
        max_tokens=100,
        temperature=0.5,
        system_prompt="You are kind.",
        patience=PATIENCE,
    )


class TestContract(AnswererContract):
    pass


def test_the_whole_conversation_is_sent(far: Emulator, answerer: GeminiModel) -> None:
    history = (Turn("system", "Summary so far."), Turn("user", "before"), Turn("assistant", "and after"))
    answer = answerer.answer(question("and now?", history=history), Deadline(30), nobody).answer
    [call] = far.control.calls()
    assert (call["model"], call["messages"], call["text"], call["system"]) == ("gemini-test", 3, "and now?", True)
    assert (answer.provider, answer.model) == ("google", "gemini-test")
    assert answer.usage.output_tokens == call["answer_tokens"]


def _error(status: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": 0, "message": "what you said", "status": status, "details": list(details)}}


@pytest.mark.parametrize(
    ("status", "body", "error", "kind"),
    [
        (400, _error("INVALID_ARGUMENT"), Rejected, "invalid_request"),
        (400, [_error("INVALID_ARGUMENT")], Rejected, "invalid_request"),
        (401, _error("UNAUTHENTICATED"), Rejected, "auth"),
        (403, _error("PERMISSION_DENIED"), Rejected, "auth"),
        (404, _error("NOT_FOUND"), Rejected, "not_found"),
        (400, _error("INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}), Rejected, "auth"),
        (429, _error("RESOURCE_EXHAUSTED"), Throttled, "rate_limit"),
        (429, _error("RESOURCE_EXHAUSTED", {"violations": [{"quotaId": "RequestsPerDay"}]}), Rejected, "quota"),
        (429, _error("RESOURCE_EXHAUSTED", {"violations": [{"quotaId": "PerMinute"}, 5]}), Throttled, "rate_limit"),
        (429, _error("RESOURCE_EXHAUSTED", {"violations": 5}), Throttled, "rate_limit"),
        (503, _error("UNAVAILABLE"), Unavailable, "server"),
        (500, "<html>", Unavailable, "server"),
        (200, _error("INTERNAL"), Unavailable, "server"),
        (200, {"promptFeedback": {"blockReason": "SAFETY"}}, Rejected, "content"),
        (200, {"candidates": [{"finishReason": "SAFETY"}]}, Rejected, "content"),
        (200, {"candidates": [{"content": {"parts": [{"text": "hm", "thought": True}]}, "finishReason": "STOP"}]},
         Unavailable, "content"),
        (200, {"candidates": {"a": 1}}, Unavailable, "protocol"),
    ],
)  # fmt: skip
def test_errors_have_a_meaning(
    far: Emulator, answerer: GeminiModel, status: int, body: Any, error: type[FarSideError], kind: str
) -> None:
    refused_as(error, kind, answerer, far, status, body)


def test_the_wait_stands_in_the_body(far: Emulator, answerer: GeminiModel) -> None:
    wait = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17.5s"}
    far.control.fault("status", status=429, body=_error("RESOURCE_EXHAUSTED", wait))
    with pytest.raises(Throttled) as caught:
        answerer.answer(question(), Deadline(30), nobody)
    assert caught.value.retry_after_s == 17.5


def test_the_key_is_no_part_of_the_address(far: Emulator, answerer: GeminiModel) -> None:
    answerer.answer(question(), Deadline(30), nobody)
    assert "AIza" not in str(far.control.calls())
