"""Dify's chat-messages: conversations, events, errors, and being told to stop."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import (
    Cancelled,
    DeadlineExceeded,
    Draining,
    FarSideError,
    Rejected,
    Throttled,
    Unavailable,
)
from mindbot_tasks.llm.dify.address import base_of
from mindbot_tasks.llm.dify.app import DifyApp
from tests.llm.asking import PATIENCE, nobody, once_heard, question
from tests.llm.contract import AnswererContract

CHAT = "/v1/chat-messages"


@pytest.fixture
def far(dify: Emulator) -> Emulator:
    return dify


@pytest.fixture
def answerer(far: Emulator) -> DifyApp:
    return app(far, "app-chat")


def app(far: Emulator, key: str) -> DifyApp:
    return DifyApp("workflow:general_chat", far.url + CHAT, SecretStr(key), workflow="general_chat", patience=PATIENCE)


class TestContract(AnswererContract):
    path = CHAT
    recovers = True


@pytest.mark.parametrize("key", ["app-chat", "app-agent", "app-chatflow"])
def test_every_kind_of_chat_app_answers(far: Emulator, key: str) -> None:
    spoken = app(far, key).answer(question("good morning"), Deadline(30), nobody)
    assert spoken.answer.text.count("good morning") == 1
    assert (spoken.answer.provider, spoken.answer.workflow) == ("dify", "general_chat")
    assert uuid.UUID(spoken.session_id)


def test_a_conversation_goes_on(far: Emulator, answerer: DifyApp) -> None:
    first = answerer.answer(question(), Deadline(30), nobody)
    second = answerer.answer(question(session_id=first.session_id), Deadline(30), nobody)
    assert second.session_id == first.session_id
    assert len(far.control.calls()) == 2


def test_a_forgotten_conversation_is_begun_anew_once(far: Emulator, answerer: DifyApp) -> None:
    first = answerer.answer(question(), Deadline(30), nobody)
    far.control.call("POST", "/conversations/forget")
    second = answerer.answer(question(session_id=first.session_id), Deadline(30), nobody)
    assert second.session_id not in ("", first.session_id)
    assert [call["status"] for call in far.control.calls()] == [200, 404, 200]


def test_another_users_conversation_is_not_continued(far: Emulator, answerer: DifyApp) -> None:
    first = answerer.answer(question(), Deadline(30), nobody)
    second = answerer.answer(question(session_id=first.session_id, user_key="dingtalk:user02"), Deadline(30), nobody)
    assert second.session_id != first.session_id


@pytest.mark.parametrize("code", ["conversation_completed", "completion_request_error"])
def test_a_spent_conversation_is_begun_anew(far: Emulator, answerer: DifyApp, code: str) -> None:
    first = answerer.answer(question(), Deadline(30), nobody)
    far.control.fault("status", CHAT, status=400, body={"code": code, "message": "x", "status": 400})
    second = answerer.answer(question(session_id=first.session_id), Deadline(30), nobody)
    assert second.session_id != first.session_id


def test_without_a_conversation_not_found_is_final(far: Emulator, answerer: DifyApp) -> None:
    far.control.fault(
        "status", CHAT, status=404, body={"code": "not_found", "message": "x", "status": 404}, always=True
    )
    with pytest.raises(Rejected):
        answerer.answer(question(), Deadline(30), nobody)
    assert len(far.control.calls()) == 1


def test_an_id_that_is_no_uuid_is_not_sent(far: Emulator, answerer: DifyApp) -> None:
    assert uuid.UUID(answerer.answer(question(session_id="none of Dify's"), Deadline(30), nobody).session_id)
    assert len(far.control.calls()) == 1


@pytest.mark.parametrize(
    ("status", "code", "error", "kind"),
    [
        (400, "invalid_param", Rejected, "invalid_request"),
        (400, "not_chat_app", Rejected, "invalid_request"),
        (400, "app_unavailable", Rejected, "not_found"),
        (400, "provider_not_initialize", Rejected, "auth"),
        (400, "provider_quota_exceeded", Rejected, "quota"),
        (400, "completion_request_error", Unavailable, "server"),
        (401, "unauthorized", Rejected, "auth"),
        (403, "forbidden", Rejected, "auth"),
        (429, "too_many_requests", Throttled, "rate_limit"),
        (429, "rate_limit_error", Rejected, "quota"),
        (429, "something_new", Throttled, "rate_limit"),
        (418, "something_new", Rejected, "invalid_request"),
        (500, "internal_server_error", Unavailable, "server"),
    ],
)
def test_errors_mean_the_same_before_and_in_the_stream(
    far: Emulator, answerer: DifyApp, status: int, code: str, error: type[FarSideError], kind: str
) -> None:
    far.control.fault("status", CHAT, status=status, body={"code": code, "message": "x", "status": status})
    far.control.fault("error_event", CHAT, status=status, code=code, message="x", after_events=1)
    for _ in range(2):
        with pytest.raises(error) as caught:
            answerer.answer(question(), Deadline(30), nobody)
        assert type(caught.value) is error
        assert (caught.value.kind, caught.value.code) == (kind, code)


def test_moderation_takes_everything_back(far: Emulator, answerer: DifyApp) -> None:
    far.control.fault("message_replace", CHAT, text="I cannot say that.")
    seen: list[str] = []
    assert answerer.answer(question(), Deadline(30), seen.append).answer.text == "I cannot say that." == seen[-1]


@pytest.mark.parametrize("exc", [Draining, Cancelled, DeadlineExceeded])
def test_dify_is_told_to_stop_by_the_same_user(far: Emulator, answerer: DifyApp, exc: type[Exception]) -> None:
    far.control.fault("answer", CHAT, text="word " * 200)
    far.control.pace(tokens_per_second=20)
    deadline, hearing = (Deadline(3), nobody) if exc is DeadlineExceeded else once_heard(exc)
    with pytest.raises(exc):
        answerer.answer(question(), deadline, hearing)
    stops = [call for call in far.control.calls() if call["path"].endswith("/stop")]
    assert len(stops) == 1
    assert stops[0]["status"] == 200


def test_a_finished_answer_is_not_stopped(far: Emulator, answerer: DifyApp) -> None:
    answerer.answer(question(), Deadline(30), nobody)
    assert [call["path"] for call in far.control.calls()] == [CHAT]


def stream(*events: dict[str, Any]) -> str:
    return "".join(f"data: {orjson.dumps(event).decode()}\n\n" for event in events)


@pytest.mark.parametrize(
    ("events", "text"),
    [
        ([{"event": "message", "answer": "a"}, {"event": "message_end"}], "a"),
        (
            [{"event": "agent_message", "answer": "a"}, {"event": "message", "answer": "ab"}, {"event": "message_end"}],
            "ab",
        ),
        (
            [
                {"event": "text_chunk", "data": {"text": "a"}},
                {"event": "workflow_finished", "data": {"status": "succeeded"}},
            ],
            "a",
        ),
        ([{"event": "workflow_finished", "data": {"status": "succeeded", "outputs": {"answer": "a"}}}], "a"),
        (
            [
                {"event": "reasoning_chunk", "data": {"reasoning": "hm"}},
                {"event": "message", "answer": "a"},
                {"event": "message_end"},
            ],
            "a",
        ),
        ([{"event": "tts_message", "audio": "xx"}, {"event": "message", "answer": "a"}, {"event": "message_end"}], "a"),
    ],
)
def test_kinds_of_streams(far: Emulator, answerer: DifyApp, events: list[dict[str, Any]], text: str) -> None:
    far.control.fault("status", CHAT, status=200, body=stream(*events), content_type="text/event-stream")
    assert answerer.answer(question(), Deadline(30), nobody).answer.text == text


@pytest.mark.parametrize(
    ("events", "error"),
    [
        ([{"event": "workflow_finished", "data": {"status": "failed"}}], Unavailable),
        ([{"event": "message", "answer": "a"}], Unavailable),
        ([{"event": "message_end"}], Unavailable),
        ([{"event": "message", "answer": 7}, {"event": "message_end"}], Unavailable),
        ([{"event": "message", "answer": "a"}, {"event": "message_end", "metadata": {"usage": "many"}}], Unavailable),
    ],
)
def test_streams_without_an_answer(
    far: Emulator, answerer: DifyApp, events: list[dict[str, Any]], error: type[FarSideError]
) -> None:
    far.control.fault("status", CHAT, status=200, body=stream(*events), content_type="text/event-stream")
    with pytest.raises(error):
        answerer.answer(question(), Deadline(30), nobody)


def test_citations_and_pictures_come_along(far: Emulator, answerer: DifyApp) -> None:
    found = {"position": 1, "document_name": "Handbook", "score": 0.9, "content": "long"}
    body = stream(
        {"event": "message_file", "type": "image", "belongs_to": "assistant", "url": "https://files.example/1.png"},
        {"event": "message", "answer": "see"},
        {"event": "message_end", "metadata": {"retriever_resources": [found]}},
    )
    far.control.fault("status", CHAT, status=200, body=body, content_type="text/event-stream")
    answer = answerer.answer(question(), Deadline(30), nobody).answer
    assert answer.details["citations"] == [{"position": 1, "document_name": "Handbook", "score": 0.9}]
    assert [(part.kind, part.data["url"]) for part in answer.parts] == [("image", "https://files.example/1.png")]


@pytest.mark.parametrize(
    "endpoint",
    ["https://d.example", "https://d.example/v1", "https://d.example/v1/", "https://d.example/v1/chat-messages"],
)
def test_the_endpoint_may_be_the_base_address(endpoint: str) -> None:
    assert base_of(endpoint) == "https://d.example/v1"


def test_the_key_is_not_shown(answerer: DifyApp) -> None:
    assert "app-chat" not in repr(dataclasses.replace(answerer, api_key=SecretStr("app-chat")))
