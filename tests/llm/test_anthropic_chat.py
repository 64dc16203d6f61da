"""Anthropic's messages API, and what its errors mean."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.llm.anthropic_chat import AnthropicModel
from mindbot_tasks.model.answer import Turn
from tests.llm.asking import PATIENCE, nobody, question, refused_as
from tests.llm.contract import AnswererContract


@pytest.fixture
def far(anthropic: Emulator) -> Emulator:
    return anthropic


@pytest.fixture
def answerer(far: Emulator) -> AnthropicModel:
    return AnthropicModel(
        "provider:anthropic",
        "claude-test",
        SecretStr("sk-ant-test"),
        far.url,
        max_tokens=100,
        temperature=1.5,
        system_prompt="You are kind.",
        patience=PATIENCE,
    )


class TestContract(AnswererContract):
    pass


def test_the_whole_conversation_is_sent(far: Emulator, answerer: AnthropicModel) -> None:
    answer = answerer.answer(question("and now?"), Deadline(30), nobody).answer
    [call] = far.control.calls()
    assert (call["messages"], call["text"], call["stream"], call["system"]) == (3, "and now?", True, True)
    assert (answer.provider, answer.model) == ("anthropic", "claude-test")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens == call["answer_tokens"]


def test_a_history_that_begins_with_the_bot_or_holds_instructions_is_put_right(
    far: Emulator, answerer: AnthropicModel
) -> None:
    history = (Turn("assistant", "Welcome!"), Turn("system", "Summary so far."), Turn("user", "hi"))
    answerer.answer(question("again", history=history), Deadline(30), nobody)
    assert [call["messages"] for call in far.control.calls()] == [2]


def test_a_base_address_may_end_in_v1(far: Emulator, answerer: AnthropicModel) -> None:
    other = dataclasses.replace(answerer, base_url=f"{far.url}/v1/")
    assert other.answer(question(), Deadline(30), nobody).answer.text


def _error(kind: str, message: str = "what you said") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def test_a_model_that_takes_no_temperature_is_asked_without(far: Emulator, answerer: AnthropicModel) -> None:
    model = dataclasses.replace(answerer, model="newer")
    refusal = _error("invalid_request_error", "`temperature` is not supported by this model")
    far.control.fault("status", status=400, body=refusal, contains='"temperature"', always=True)
    for _ in range(2):
        assert model.answer(question(), Deadline(30), nobody).answer.text
    assert len(far.control.calls()) == 3


def test_more_fields_can_be_configured(far: Emulator, answerer: AnthropicModel) -> None:
    model = dataclasses.replace(answerer, extra={"system": "Be brief."})
    assert model.answer(question(), Deadline(30), nobody).answer.text


@pytest.mark.parametrize(
    ("status", "body", "error", "kind"),
    [
        (400, _error("invalid_request_error"), Rejected, "invalid_request"),
        (400, _error("invalid_request_error", "Your credit balance is too low, what you said"), Rejected, "quota"),
        (401, _error("authentication_error"), Rejected, "auth"),
        (402, _error("billing_error"), Rejected, "quota"),
        (413, _error("request_too_large"), Rejected, "invalid_request"),
        (429, _error("rate_limit_error"), Throttled, "rate_limit"),
        (500, _error("api_error"), Unavailable, "server"),
        (529, _error("overloaded_error"), Unavailable, "server"),
        (529, "<html>", Unavailable, "server"),
        (418, _error("never_heard_of"), Rejected, "invalid_request"),
        (200, _error("overloaded_error"), Unavailable, "server"),
        (200, {"content": [], "stop_reason": "refusal"}, Rejected, "content"),
        (200, {"content": [{"type": "thinking", "thinking": "hm"}], "stop_reason": "end_turn"}, Unavailable, "content"),
        (200, {"content": 5}, Unavailable, "protocol"),
    ],
)
def test_errors_have_a_meaning(
    far: Emulator, answerer: AnthropicModel, status: int, body: Any, error: type[FarSideError], kind: str
) -> None:
    refused_as(error, kind, answerer, far, status, body)


def test_an_error_in_mid_stream_is_an_error(far: Emulator, answerer: AnthropicModel) -> None:
    far.control.fault("error_event", after_events=3, code="overloaded_error")
    with pytest.raises(Unavailable) as caught:
        answerer.answer(question(), Deadline(30), nobody)
    assert caught.value.code == "overloaded_error"


def test_an_answer_in_one_piece_is_taken_too(far: Emulator, answerer: AnthropicModel) -> None:
    body = {"model": "m", "content": [{"type": "text", "text": "all at once"}], "stop_reason": "max_tokens"}
    far.control.fault("status", status=200, body=body, content_type="application/json")
    answer = answerer.answer(question(), Deadline(30), nobody).answer
    assert (answer.text, answer.model, answer.details) == ("all at once", "m", {"finish": "max_tokens"})
