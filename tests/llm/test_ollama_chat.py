"""Ollama's own API: lines of JSON, pictures, and what its errors mean."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from emulators.ollama import THOUGHT
from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.llm.base import Attachment
from mindbot_tasks.llm.ollama_chat import OllamaModel
from tests.llm.asking import PATIENCE, nobody, once_heard, question
from tests.llm.contract import AnswererContract

PICTURE = Attachment("image", "a.png", "image/png", 3, 7, b"png")


@pytest.fixture
def far(ollama: Emulator) -> Emulator:
    return ollama


@pytest.fixture
def answerer(far: Emulator) -> OllamaModel:
    return OllamaModel(
        "provider:ollama",
        "llama3",
        far.url,
        max_tokens=100,
        temperature=0.5,
        context_tokens=8192,
        system_prompt="You are kind.",
        keep_alive="30m",
        patience=PATIENCE,
        vision=True,
    )


class TestContract(AnswererContract):
    pass


def test_the_whole_conversation_is_sent_with_its_options(far: Emulator, answerer: OllamaModel) -> None:
    answer = answerer.answer(question("and now?"), Deadline(30), nobody).answer
    [call] = far.control.calls()
    assert (call["messages"], call["text"], call["stream"], call["model"]) == (4, "and now?", True, "llama3")
    assert call["options"] == {"num_predict": 100, "temperature": 0.5, "num_ctx": 8192}
    assert (call["keep_alive"], call["think"]) == ("30m", None)
    assert (answer.provider, answer.model, answer.details) == ("ollama", "llama3", {})
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens == call["answer_tokens"]


@pytest.mark.parametrize("thinking", [None, False])
def test_what_it_thinks_is_not_shown(far: Emulator, answerer: OllamaModel, thinking: bool | None) -> None:
    seen: list[str] = []
    thinker = dataclasses.replace(answerer, thinking=thinking)
    assert THOUGHT not in thinker.answer(question(), Deadline(30), seen.append).answer.text
    assert not any(THOUGHT in text for text in seen)
    assert far.control.calls()[0]["think"] is thinking


def test_pictures_go_along_and_a_blind_model_is_asked_again_without(far: Emulator, answerer: OllamaModel) -> None:
    asked = question("what is this?", attachments=(PICTURE,))
    assert "1 picture(s)" in answerer.answer(asked, Deadline(30), nobody).answer.text
    assert far.control.calls()[0]["pictures"] == [3]
    blind = dataclasses.replace(answerer, model="blind-one")
    assert "a.png" in blind.answer(asked, Deadline(30), nobody).answer.text


def test_a_number_of_seconds_is_sent_as_a_number(far: Emulator, answerer: OllamaModel) -> None:
    dataclasses.replace(answerer, keep_alive="-1").answer(question(), Deadline(30), nobody)
    assert far.control.calls()[0]["keep_alive"] == -1


def test_more_fields_can_be_configured(far: Emulator, answerer: OllamaModel) -> None:
    model = dataclasses.replace(answerer, extra={"options": {"top_k": 5}, "keep_alive": 0})
    model.answer(question(), Deadline(30), nobody)
    [call] = far.control.calls()
    assert call["options"] == {"num_predict": 100, "temperature": 0.5, "num_ctx": 8192, "top_k": 5}
    assert call["keep_alive"] == 0


@pytest.mark.parametrize(
    ("status", "body", "error", "kind"),
    [
        (404, {"error": "model 'x' not found"}, Rejected, "not_found"),
        (400, {"error": "what you said"}, Rejected, "invalid_request"),
        (401, {"error": "unauthorized"}, Rejected, "auth"),
        (429, {"error": "what you said"}, Throttled, "rate_limit"),
        (500, {"error": "what you said"}, Unavailable, "server"),
        (503, {"error": "server busy, please try again"}, Unavailable, "server"),
        (502, "<html>", Unavailable, "server"),
        (200, {"error": "what you said"}, Unavailable, "server"),
        (200, "[1]", Unavailable, "protocol"),
        (200, {"message": 5}, Unavailable, "protocol"),
        (200, {"done": True}, Unavailable, "content"),
    ],
)
def test_errors_have_a_meaning(
    far: Emulator, answerer: OllamaModel, status: int, body: Any, error: type[FarSideError], kind: str
) -> None:
    far.control.fault("status", status=status, body=body, content_type="application/json")
    with pytest.raises(error) as caught:
        answerer.answer(question(), Deadline(30), nobody)
    assert type(caught.value) is error
    assert caught.value.kind == kind
    assert "what you said" not in str(caught.value)


def test_an_error_in_mid_stream_is_an_error(far: Emulator, answerer: OllamaModel) -> None:
    far.control.fault("error_event", after_events=3)
    with pytest.raises(Unavailable):
        answerer.answer(question("many words to say"), Deadline(30), nobody)


def test_whoever_goes_early_closes_the_connection_and_so_stops_the_model(far: Emulator, answerer: OllamaModel) -> None:
    far.control.pace(tokens_per_second=5)
    with pytest.raises(Cancelled):
        answerer.answer(question("tell me a lot of words please " * 5), *once_heard(Cancelled))
    assert far.control.wait_for(outcome="client_gone")
