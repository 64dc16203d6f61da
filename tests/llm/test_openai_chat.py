"""OpenAI's chat completions, streaming and not, and what its errors mean."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from pydantic import SecretStr

from emulators.openai import THOUGHT
from emulators.running import Emulator, running
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.llm.openai_chat import ChatModel
from tests.llm.asking import PATIENCE, nobody, question
from tests.llm.contract import AnswererContract


@pytest.fixture
def far(openai: Emulator) -> Emulator:
    return openai


@pytest.fixture
def answerer(far: Emulator) -> ChatModel:
    return ChatModel(
        "provider:openai",
        f"{far.url}/v1/chat/completions",
        "some-model",
        api_key=SecretStr("sk-test"),
        max_tokens=100,
        temperature=0.5,
        system_prompt="You are kind.",
        patience=PATIENCE,
    )


class TestContract(AnswererContract):
    pass


def test_the_whole_conversation_is_sent(far: Emulator, answerer: ChatModel) -> None:
    answer = answerer.answer(question("and now?"), Deadline(30), nobody).answer
    [call] = far.control.calls()
    assert (call["messages"], call["text"], call["stream"], call["model"]) == (4, "and now?", True, "some-model")
    assert (answer.provider, answer.model) == ("openai", "some-model")
    assert answer.usage.input_tokens > 0


@pytest.mark.parametrize("text", ["hello", "你好 🌍"])
def test_without_streaming_the_answer_is_the_same(far: Emulator, answerer: ChatModel, text: str) -> None:
    plain = dataclasses.replace(answerer, stream=False)
    seen: list[str] = []
    one = answerer.answer(question(text), Deadline(30), nobody).answer
    other = plain.answer(question(text), Deadline(30), seen.append).answer
    assert (one.text, one.usage) == (other.text, other.usage)
    assert seen == [other.text]


@pytest.mark.parametrize(
    ("status", "body", "error", "kind"),
    [
        (429, {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}, Rejected, "quota"),
        (429, {"error": {"code": None, "type": "insufficient_quota"}}, Rejected, "quota"),
        (429, {"error": {"code": "rate_limit_exceeded", "type": "requests"}}, Throttled, "rate_limit"),
        (429, {"error": {"code": "1113", "message": "balance"}}, Rejected, "quota"),
        (429, {"error": {"code": "1302", "message": "concurrency"}}, Throttled, "rate_limit"),
        (429, {"error": {"code": "1304"}}, Rejected, "quota"),
        (429, {"error": {"code": "1112"}}, Rejected, "auth"),
        (429, {"error": {"code": "1305"}}, Throttled, "rate_limit"),
        (400, {"error": {"code": "1301"}}, Rejected, "content"),
        (400, {"error": {"code": "1211"}}, Rejected, "not_found"),
        (500, {"error": {"code": "1234"}}, Unavailable, "server"),
        (402, {"error": {"message": "Insufficient Balance"}}, Rejected, "quota"),  # DeepSeek
        (429, {"error": {"type": "exceeded_current_quota_error"}}, Rejected, "quota"),  # Moonshot
        (429, {"error": {"type": "rate_limit_reached_error"}}, Throttled, "rate_limit"),
        (429, {"error": {"type": "engine_overloaded_error"}}, Unavailable, "server"),
        (400, {"error": {"code": "Arrearage", "type": "Arrearage"}}, Rejected, "quota"),  # Alibaba Cloud
        (429, {"error": {"code": "Throttling.RateQuota"}}, Throttled, "rate_limit"),
        (400, {"error": {"code": "data_inspection_failed"}}, Rejected, "content"),
        (429, {"error": "slow down"}, Throttled, "rate_limit"),
        (401, {"error": {"code": "invalid_api_key"}}, Rejected, "auth"),
        (403, {"error": {"message": "no"}}, Rejected, "auth"),
        (404, {"error": {"code": "model_not_found"}}, Rejected, "not_found"),
        (400, {"error": {"code": "context_length_exceeded"}}, Rejected, "invalid_request"),
        (400, {"error": {"code": "content_filter"}}, Rejected, "content"),
        (400, {"detail": "vLLM speaks so"}, Rejected, "invalid_request"),
        (409, {"error": {"code": "conflict"}}, Unavailable, "server"),
        (500, {"error": {"code": "whatever"}}, Unavailable, "server"),
        (200, {"error": {"code": "server_error"}}, Unavailable, "server"),
        (200, {"choices": []}, Unavailable, "content"),
        (200, {"choices": [{"message": {"content": None}, "finish_reason": "content_filter"}]}, Rejected, "content"),
        (200, {"choices": ["odd"]}, Unavailable, "protocol"),
        (200, "[]", Unavailable, "protocol"),
        (200, "null", Unavailable, "protocol"),
    ],
)
def test_errors(
    far: Emulator, answerer: ChatModel, status: int, body: Any, error: type[FarSideError], kind: str
) -> None:
    far.control.fault("status", status=status, body=body, content_type="application/json")
    with pytest.raises(error) as caught:
        answerer.answer(question(), Deadline(30), nobody)
    assert type(caught.value) is error
    assert caught.value.kind == kind


@pytest.mark.parametrize("code", ["unsupported_parameter", "1210"])
def test_a_model_that_cannot_be_told_not_to_think_is_asked_without(
    far: Emulator, answerer: ChatModel, code: str
) -> None:
    model = dataclasses.replace(answerer, model=f"always-{code}", thinking={"thinking": {"type": "disabled"}})
    refusal = {"error": {"code": code, "param": "thinking"}}
    far.control.fault("status", status=400, body=refusal, contains='"thinking"', always=True)
    for _ in range(2):
        assert model.answer(question(), Deadline(30), nobody).answer.text
    assert [call.get("thinking") for call in far.control.calls() if call["accepted"]] == [None, None]
    assert len(far.control.calls()) == 3


@pytest.mark.parametrize("stream", [True, False])
def test_what_a_model_thinks_is_not_shown(stream: bool) -> None:
    with running("openai", "--thinks", "--prefix", "/api/paas/v4") as glm:
        url = f"{glm.url}/api/paas/v4/chat/completions"
        model = ChatModel("provider:chatglm", url, "glm-test", stream=stream)
        seen: list[str] = []
        assert THOUGHT not in model.answer(question(), Deadline(30), seen.append).answer.text
        assert not any(THOUGHT in text for text in seen)


def test_more_fields_are_sent_and_thinking_is_switched(far: Emulator, answerer: ChatModel) -> None:
    off = {"thinking": {"type": "disabled"}}
    model = dataclasses.replace(answerer, thinking=off, extra={"user": "bot", "stream_options": {"x": 1}})
    answer = model.answer(question(), Deadline(30), nobody).answer
    [call] = far.control.calls()
    assert (call["thinking"], call["user"]) == (off["thinking"], "bot")
    assert answer.usage.output_tokens > 0  # what we ask for is still asked for


def test_an_error_in_mid_stream_is_seen(far: Emulator, answerer: ChatModel) -> None:
    far.control.fault("error_event", status=500, code="server_error", message="boom")
    with pytest.raises(Unavailable) as caught:
        answerer.answer(question(), Deadline(30), nobody)
    assert caught.value.code == "server_error"


def test_a_model_that_takes_no_temperature_is_asked_without(far: Emulator, answerer: ChatModel) -> None:
    model = dataclasses.replace(answerer, model="thinker")
    refusal = {"error": {"code": "unsupported_parameter", "param": "max_tokens"}}
    far.control.fault("status", status=400, body=refusal, contains='"max_tokens"', always=True)
    for _ in range(2):
        assert model.answer(question(), Deadline(30), nobody).answer.text
    assert len(far.control.calls()) == 3


def test_the_key_is_sent_and_not_shown(far: Emulator, answerer: ChatModel) -> None:
    answerer.answer(question(), Deadline(30), nobody)
    assert far.control.calls()[0]["auth"]
    assert "sk-test" not in repr(answerer)
