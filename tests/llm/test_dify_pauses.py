"""Flows that wait for a person: the user is told, the user's words decide, and nothing hangs."""

from __future__ import annotations

import time
import uuid
from typing import Any

import pytest

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.llm.base import Spoken
from mindbot_tasks.llm.dify import modes, sessions
from mindbot_tasks.llm.dify.pauses import Decision, Form, decision, read_form
from mindbot_tasks.llm.dify.sessions import Session
from mindbot_tasks.llm.workflows import waiting_label
from tests.llm.asking import nobody, question
from tests.llm.dify_apps import CHAT, RUN, app, paths


@pytest.fixture(autouse=True)
def nothing_learnt() -> None:
    modes.forget()


def say(dify: Emulator, key: str, text: str, session_id: str = "", **fields: Any) -> Spoken:
    endpoint = RUN if key == "app-workflow" else CHAT
    speaker = app(dify, key, endpoint, text_input="query", history="never")
    return speaker.answer(question(text, session_id=session_id, **fields), Deadline(10), nobody)


@pytest.mark.parametrize("key", ["app-workflow", "app-chatflow"])
@pytest.mark.parametrize(
    ("answer", "decided"),
    [("approve", "Approve"), ("2 too dear", "Send back (too dear)"), ("Send back: no", "Send back (no)")],
)
def test_the_user_is_asked_and_the_run_goes_on(dify: Emulator, key: str, answer: str, decided: str) -> None:
    asked = say(dify, key, "approve the order")
    assert "Shall this be done: approve the order? [comment]" in asked.answer.text
    assert "1. Approve; 2. Send back" in asked.answer.text
    assert asked.answer.details["paused"] is True
    assert waiting_label({"workflow:flow": asked.session_id}) == "flow"
    done = say(dify, key, answer, asked.session_id)
    assert done.answer.text == f"Decided: {decided}"
    assert waiting_label({"workflow:flow": done.session_id}) == ""
    if key == "app-chatflow":  # and the conversation goes on
        assert say(dify, key, "hello", done.session_id).session_id == done.session_id
        assert uuid.UUID(done.session_id)


def test_unclear_words_are_asked_back_and_decide_nothing(dify: Emulator) -> None:
    asked = say(dify, "app-workflow", "approve it")
    again = say(dify, "app-workflow", "hm, perhaps", asked.session_id)
    assert "could not match" in again.answer.text
    assert waiting_label({"workflow:flow": again.session_id}) == "flow"
    assert say(dify, "app-workflow", "1", again.session_id).answer.text == "Decided: Approve"


@pytest.mark.parametrize("word", ["cancel", "取消"])
def test_the_user_may_leave_it(dify: Emulator, word: str) -> None:
    asked = say(dify, "app-workflow", "approve it")
    left = say(dify, "app-workflow", word, asked.session_id)
    assert "nothing was decided" in left.answer.text
    assert waiting_label({"workflow:flow": left.session_id}) == ""
    assert not any(call["method"] == "POST" for call in dify.control.calls() if "/form/" in call["path"])


def test_a_form_that_somebody_else_has_answered_is_gone(dify: Emulator) -> None:
    asked = say(dify, "app-workflow", "approve it")
    say(dify, "app-workflow", "approve", asked.session_id)
    late = say(dify, "app-workflow", "reject", asked.session_id)
    assert "run out" in late.answer.text
    assert waiting_label({"workflow:flow": late.session_id}) == ""


def test_a_decision_by_mail_is_told_and_not_waited_for(dify: Emulator) -> None:
    asked = say(dify, "app-chatflow", "approve by mail")
    assert "asked elsewhere" in asked.answer.text
    assert waiting_label({"workflow:flow": asked.session_id}) == ""
    assert say(dify, "app-chatflow", "hello", asked.session_id).answer.text == "You said: hello"


def test_an_empty_pause_event_is_told_too(dify: Emulator) -> None:
    body = 'data: {"event": "workflow_started", "workflow_run_id": "r"}\n\ndata: {"event": "human_input_required"}\n\n'
    dify.control.fault("status", CHAT, status=200, body=body, content_type="text/event-stream")
    asked = say(dify, "app-chatflow", "go")
    assert asked.answer.text.startswith("The workflow needs your decision.")


def test_a_form_that_has_ended_is_a_new_question() -> None:
    session = Session("", "", "run", "token", int(time.time()) - 1)
    assert waiting_label({"workflow:flow": sessions.write(session)}) == ""


@pytest.mark.parametrize(
    "session",
    [
        Session(),
        Session(conversation_id="5f6a0e6c-0000-4000-8000-000000000001"),
        Session("abc", "5f6a0e6c-0000-4000-8000-000000000001"),
        Session("", "", "5f6a0e6c-0000-4000-8000-000000000002", "tok", 1_900_000_000),
        Session("abc", "5f6a0e6c-0000-4000-8000-000000000001", "run", "tok-_.=", 1_900_000_000),
    ],
)
def test_what_is_remembered_is_read_back(session: Session) -> None:
    assert sessions.read(sessions.write(session)) == session


def test_a_token_that_does_not_fit_is_not_remembered() -> None:
    assert sessions.write(Session("a", "", "run", "t" * 300, 1)) == "a~"
    assert sessions.write(Session("a", "", "run", "t~t", 1)) == "a~"


FORM = Form("t", actions=(("yes", "Yes"), ("no", "No, thanks")), fields=("comment",))


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        (FORM, "yes", Decision("yes", {"comment": ""})),
        (FORM, "1", Decision("yes", {"comment": ""})),
        (FORM, "no, thanks too late", Decision("no", {"comment": "too late"})),
        (FORM, "2\nline one\nline two", Decision("no", {"comment": "line one\nline two"})),
        (FORM, "yesterday", None),
        (FORM, "12", None),
        (FORM, "", None),
        (Form("t", actions=(("ok", "同意"),)), "同意", Decision("ok", {})),
        (Form("t", actions=(("ok", "同意"),)), "不", None),
        (Form("t", fields=("a", "b")), "one\ntwo", Decision("submit", {"a": "one", "b": "two"})),
        (Form("t", actions=(("send", "Send"),), fields=("a",)), "just words", Decision("send", {"a": "just words"})),
        (Form("t", actions=(("go", "Go"),), fields=("a",), defaults={"a": "x"}), "go", Decision("go", {"a": "x"})),
    ],
)  # fmt: skip
def test_words_become_a_decision(form: Form, text: str, expected: Decision | None) -> None:
    assert decision(form, text) == expected


@pytest.mark.parametrize("told", [None, {}, [], {"inputs": 3, "actions": [None, {"id": ""}]}, {"expiration_time": "x"}])
def test_strange_forms_are_read(told: Any) -> None:
    assert read_form(told).actions == ()


def test_asking_costs_one_run(dify: Emulator) -> None:
    asked = say(dify, "app-workflow", "approve it")
    say(dify, "app-workflow", "1", asked.session_id)
    assert paths(dify).count(RUN) == 1
