"""Dify's service API: apps by key, conversations by user, events in their order, the stop call."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest
import requests

from emulators.running import Emulator, running
from tests.emulators.wire import answer_of, ask, events


def post(http: requests.Session, dify: Emulator, path: str, body: object, key: str = "app-chat") -> requests.Response:
    return http.post(f"{dify.url}{path}", json=body, headers={"Authorization": f"Bearer {key}"})


@pytest.mark.parametrize(
    ("key", "kinds"),
    [
        ("app-chat", ["message", "message_end"]),
        ("app-agent", ["agent_thought", "agent_message", "agent_thought", "message_end"]),
        (
            "app-chatflow",
            ["workflow_started", "node_started", "message", "node_finished", "message_end", "workflow_finished"],
        ),
    ],
)
def test_each_kind_of_app_streams_in_its_order(
    dify: Emulator, http: requests.Session, key: str, kinds: list[str]
) -> None:
    response = ask(http, dify, "how are you 你好", key=key)
    assert response.headers["Content-Type"] == "text/event-stream"
    found = [event["event"] for event in events(response.content)]
    assert [kind for at, kind in enumerate(found) if at == 0 or found[at - 1] != kind] == kinds
    assert answer_of(response.content) == "You said: how are you 你好"
    for field in ("task_id", "conversation_id", "message_id"):
        assert len({event[field] for event in events(response.content)}) == 1


def test_blocking(dify: Emulator, http: requests.Session) -> None:
    answer = ask(http, dify, response_mode="blocking").json()
    assert (answer["event"], answer["mode"], answer["answer"]) == ("message", "chat", "You said: hello")
    assert answer["metadata"]["usage"]["total_tokens"] > 0


def test_an_agent_refuses_blocking(dify: Emulator, http: requests.Session) -> None:
    response = ask(http, dify, key="app-agent", response_mode="blocking")
    assert (response.status_code, response.json()["code"]) == (400, "invalid_param")


def test_a_conversation_goes_on(dify: Emulator, http: requests.Session) -> None:
    first = events(ask(http, dify, "one").content)[0]["conversation_id"]
    assert events(ask(http, dify, "two", conversation_id=first).content)[0]["conversation_id"] == first
    assert events(ask(http, dify, "three").content)[0]["conversation_id"] != first
    calls = dify.control.calls()
    assert [(call["turn"], call["new_conversation"]) for call in calls] == [(1, True), (2, False), (1, True)]
    assert [call["text"] for call in calls if call["conversation_id"] == first] == ["one", "two"]


@pytest.mark.parametrize("stranger", [{"user": "user02"}, {"key": "app-other"}, {"conversation_id": str(uuid.uuid4())}])
def test_somebody_elses_conversation_does_not_exist(
    dify: Emulator, http: requests.Session, stranger: dict[str, str]
) -> None:
    known = events(ask(http, dify).content)[0]["conversation_id"]
    response = ask(http, dify, **{"conversation_id": known, **stranger})
    assert response.status_code == 404
    assert response.json() == {"code": "not_found", "message": "Conversation Not Exists.", "status": 404}
    assert dify.control.calls()[-1]["accepted"] is False


def test_conversations_can_be_forgotten(dify: Emulator, http: requests.Session) -> None:
    known = events(ask(http, dify).content)[0]["conversation_id"]
    assert [kept["id"] for kept in dify.control.call("GET", "/conversations")] == [known]
    assert dify.control.call("POST", "/conversations/forget") == {"forgotten": 1}
    assert ask(http, dify, conversation_id=known).status_code == 404


def test_two_turns_at_once_are_noted(dify: Emulator, http: requests.Session) -> None:
    known = events(ask(http, dify).content)[0]["conversation_id"]
    dify.control.fault("delay", delay_ms=3000, contains="slow")
    with requests.Session() as other:
        slow = threading.Thread(target=ask, args=(other, dify, "slow"), kwargs={"conversation_id": known})
        slow.start()
        dify.control.wait_for(text="slow")
        ask(http, dify, "quick", conversation_id=known)
        slow.join()
    ask(http, dify, "later", conversation_id=known)
    overlapping = {call["text"]: call["overlapping"] for call in dify.control.calls()}
    assert overlapping == {"hello": False, "slow": False, "quick": True, "later": False}


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"query": None}, "invalid_param"),
        ({"query": ""}, "invalid_param"),
        ({"inputs": None}, "invalid_param"),
        ({"user": None}, "invalid_param"),
        ({"response_mode": "both"}, "invalid_param"),
        ({"conversation_id": "not-a-uuid"}, "invalid_param"),
        ({"key": "app-workflow"}, "not_chat_app"),
    ],
)
def test_errors_have_the_envelope(dify: Emulator, http: requests.Session, wrong: dict[str, Any], code: str) -> None:
    response = ask(http, dify, **wrong)
    error = response.json()
    assert (response.status_code, error["code"], error["status"]) == (400, code, 400)
    assert error["message"]


@pytest.mark.parametrize("key", ["", "dataset-1"])
def test_a_key_of_no_app_is_unauthorized(dify: Emulator, http: requests.Session, key: str) -> None:
    assert (ask(http, dify, key=key).status_code, ask(http, dify, key=key).json()["code"]) == (401, "unauthorized")
    for path in ("/v1/workflows/run", "/v1/chat-messages/t/stop"):
        assert post(http, dify, path, {"inputs": {}, "user": "u"}, key).status_code == 401
    for path in ("/v1/info", "/v1/parameters"):
        assert http.get(f"{dify.url}{path}", headers={"Authorization": f"Bearer {key}"}).status_code == 401


def test_a_waiting_stream_pings(dify: Emulator, http: requests.Session) -> None:
    dify.control.pace(delay_ms=450)
    body = ask(http, dify).content
    assert body.startswith(b"event: ping\n\n")
    assert body.count(b"event: ping\n\n") == 4
    assert answer_of(body) == "You said: hello"


def test_message_replace_takes_the_text_back(dify: Emulator, http: requests.Session) -> None:
    dify.control.fault("message_replace", text="(removed)")
    body = ask(http, dify, "something bad").content
    assert b"something" in body
    assert answer_of(body) == "(removed)"
    assert events(body)[-1]["event"] == "message_end"


@pytest.mark.parametrize(("user", "words", "stopped"), [("user01", 400, True), ("user02", 30, False)])
def test_stop_is_for_the_owner(dify: Emulator, http: requests.Session, user: str, words: int, stopped: bool) -> None:
    dify.control.pace(tokens_per_second=20)
    response = ask(http, dify, "word " * words, read_later=True)
    lines = response.iter_lines(chunk_size=1)
    next(lines)
    task_id = dify.control.calls()[-1]["task_id"]
    with requests.Session() as other:
        assert post(other, dify, f"/v1/chat-messages/{task_id}/stop", {"user": user}).json() == {"result": "success"}
        assert post(other, dify, f"/v1/chat-messages/{task_id}/stop", {}).status_code == 400
    rest = b"\n".join(lines)
    assert events(rest)[-1]["event"] == "message_end"
    assert (answer_of(rest).count("word") < words - 1) is stopped
    stop = dify.control.calls(path=f"/v1/chat-messages/{task_id}/stop")[0]
    assert stop["stopped"] is stopped


def test_a_workflow_streams_and_blocks(dify: Emulator, http: requests.Session) -> None:
    body = {"inputs": {"query": "go"}, "user": "u", "response_mode": "streaming"}
    found = events(post(http, dify, "/v1/workflows/run", body, "app-workflow").content)
    assert (found[0]["event"], found[-1]["event"]) == ("workflow_started", "workflow_finished")
    assert "".join(e["data"]["text"] for e in found if e["event"] == "text_chunk") == "You said: go"
    assert found[-1]["data"]["outputs"] == {"text": "You said: go"}
    whole = post(http, dify, "/v1/workflows/run", {**body, "response_mode": "blocking"}, "app-workflow").json()
    assert (whole["data"]["status"], whole["data"]["outputs"]) == ("succeeded", {"text": "You said: go"})


def test_a_workflow_can_be_stopped_by_anybody(dify: Emulator, http: requests.Session) -> None:
    dify.control.pace(delay_ms=2000, tokens_per_second=5)
    body = {"inputs": {"query": "word " * 50}, "user": "u", "response_mode": "streaming"}
    found: list[bytes] = []
    with requests.Session() as other:
        runner = threading.Thread(
            target=lambda: found.append(post(other, dify, "/v1/workflows/run", body, "app-workflow").content)
        )
        runner.start()
        [call] = dify.control.wait_for(path="/v1/workflows/run")
        post(http, dify, f"/v1/workflows/tasks/{call['task_id']}/stop", {"user": "somebody"}, "app-workflow")
        runner.join(timeout=60)
    assert events(found[0])[-1]["event"] == "workflow_finished"
    assert found[0].count(b"text_chunk") == 0


def test_a_chat_app_is_no_workflow(dify: Emulator, http: requests.Session) -> None:
    response = post(http, dify, "/v1/workflows/run", {"inputs": {}, "user": "u"})
    assert (response.status_code, response.json()["code"]) == (400, "not_workflow_app")
    wrong = post(http, dify, "/v1/workflows/run", {"user": "u"}, "app-workflow")
    assert (wrong.status_code, wrong.json()["code"]) == (400, "invalid_param")


@pytest.mark.parametrize(
    ("key", "mode"), [("app-chat", "chat"), ("app-agent", "agent-chat"), ("app-chatflow", "advanced-chat")]
)
def test_info_and_parameters(dify: Emulator, http: requests.Session, key: str, mode: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    assert http.get(f"{dify.url}/v1/info", headers=headers).json()["mode"] == mode
    limits = http.get(f"{dify.url}/v1/parameters", headers=headers).json()["system_parameters"]
    assert limits["file_size_limit"] == 15


def test_an_unknown_path_has_the_envelope_too(dify: Emulator, http: requests.Session) -> None:
    assert http.get(f"{dify.url}/v1/nothing").json()["code"] == "not_found"


def test_apps_by_option(http: requests.Session) -> None:
    with running("dify", "--app", "app-1=workflow", "--app", "app-2") as dify:
        assert ask(http, dify, key="app-1").json()["code"] == "not_chat_app"
        assert ask(http, dify, key="app-2").status_code == 200
        assert ask(http, dify, key="app-3").status_code == 401


def test_an_app_of_an_unknown_mode_is_refused_at_start() -> None:
    with (
        pytest.raises(RuntimeError, match="expected KEY=MODE with MODE one of chat, agent-chat"),
        running("dify", "--app", "app-1=chatty"),
    ):
        pass


def get(http: requests.Session, dify: Emulator, path: str, key: str, **params: str) -> requests.Response:
    return http.get(f"{dify.url}{path}", params=params, headers={"Authorization": f"Bearer {key}"})


def run(http: requests.Session, dify: Emulator, text: str) -> list[dict[str, Any]]:
    body = {"inputs": {"query": text}, "user": "u", "response_mode": "streaming"}
    return events(post(http, dify, "/v1/workflows/run", body, "app-workflow").content)


def test_a_completion_app_answers_without_a_conversation(dify: Emulator, http: requests.Session) -> None:
    body = {"inputs": {"query": "go"}, "user": "u", "response_mode": "streaming"}
    found = events(post(http, dify, "/v1/completion-messages", body, "app-completion").content)
    assert found[-1]["event"] == "message_end"
    assert all("conversation_id" not in event for event in found)
    assert ask(http, dify, key="app-completion").json()["code"] == "not_chat_app"
    assert post(http, dify, "/v1/completion-messages", body).json()["code"] == "not_completion_app"
    assert post(http, dify, "/v1/completion-messages", {**body, "inputs": {}}, "app-completion").status_code == 400


def test_a_run_goes_on_when_nobody_listens(dify: Emulator, http: requests.Session) -> None:
    dify.control.pace(tokens_per_second=4)
    dify.control.fault("cut", "/v1/workflows/run", after_events=3)
    body = {"inputs": {"query": "one two three four five six"}, "user": "u", "response_mode": "streaming"}
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        post(http, dify, "/v1/workflows/run", body, "app-workflow")
    run_id = dify.control.calls()[-1]["workflow_run_id"]
    detail = get(http, dify, f"/v1/workflows/run/{run_id}", "app-workflow").json()
    assert detail["status"] == "running"
    assert isinstance(detail["inputs"], str)
    assert get(http, dify, f"/v1/workflow/{run_id}/events", "app-workflow", user="other").status_code == 404
    rest = events(get(http, dify, f"/v1/workflow/{run_id}/events", "app-workflow", user="u").content)
    assert rest[-1]["data"]["outputs"] == {"text": "You said: one two three four five six"}
    again = events(get(http, dify, f"/v1/workflow/{run_id}/events", "app-workflow", user="u").content)
    assert [event["event"] for event in again] == ["workflow_finished"]


def test_a_form_is_answered_once(dify: Emulator, http: requests.Session) -> None:
    *_, asked, paused = run(http, dify, "approve it")
    assert (asked["event"], paused["event"]) == ("human_input_required", "workflow_paused")
    path = f"/v1/form/human_input/{asked['data']['form_token']}"
    assert [each["id"] for each in get(http, dify, path, "app-workflow").json()["user_actions"]] == [
        "approve",
        "reject",
    ]
    body = {"inputs": {"comment": "fine"}, "action": "approve", "user": "u"}
    assert post(http, dify, path, {**body, "action": "maybe"}, "app-workflow").status_code == 400
    assert post(http, dify, path, body, "app-workflow").json() == {}
    assert post(http, dify, path, body, "app-workflow").status_code == 412
    ended = get(http, dify, f"/v1/workflow/{asked['workflow_run_id']}/events", "app-workflow", user="u")
    assert events(ended.content)[-1]["data"]["outputs"] == {"text": "Decided: Approve (fine)"}


@pytest.mark.parametrize(("text", "status"), [("fail", "failed"), ("partly", "partial-succeeded"), ("go", "succeeded")])
def test_runs_end_as_they_are_told(dify: Emulator, http: requests.Session, text: str, status: str) -> None:
    assert run(http, dify, text)[-1]["data"]["status"] == status


def test_messages_are_listed_newest_first(dify: Emulator, http: requests.Session) -> None:
    first = events(ask(http, dify, "cite one").content)[0]
    cid = first["conversation_id"]
    ask(http, dify, "two", conversation_id=cid)
    listed = get(http, dify, "/v1/messages", "app-chat", user="user01", conversation_id=cid).json()["data"]
    assert [(each["query"], each["answer"]) for each in listed] == [
        ("two", "You said: two"),
        ("cite one", "You said: cite one"),
    ]
    assert listed[1]["retriever_resources"][0]["document_name"] == "Handbook.pdf"
    assert get(http, dify, "/v1/messages", "app-chat", user="other", conversation_id=cid).status_code == 404
    [conversation] = get(http, dify, "/v1/conversations", "app-chat", user="user01").json()["data"]
    assert conversation["id"] == cid
    thumbs = f"/v1/messages/{first['message_id']}/feedbacks"
    assert post(http, dify, thumbs, {"rating": "like", "user": "user01"}).json() == {"result": "success"}
    assert post(http, dify, thumbs, {"rating": "great", "user": "user01"}).status_code == 400
