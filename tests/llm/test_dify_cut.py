"""A stream that is cut: the answer is being made all the same, so it is fetched and not paid for twice."""

from __future__ import annotations

import time
from typing import Any

import pytest

from emulators.running import Emulator
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, Unavailable
from mindbot_tasks.llm.dify import modes
from mindbot_tasks.model.answer import Turn
from tests.llm.asking import nobody, question
from tests.llm.dify_apps import CHAT, RUN, app, paths
from tests.slack import at_most

TEXT = "one two three four five six seven eight nine ten"


@pytest.fixture(autouse=True)
def nothing_learnt() -> None:
    modes.forget()


def ask(dify: Emulator, key: str, text: str = TEXT, deadline: Deadline | None = None, **fields: Any) -> str:
    endpoint = RUN if key == "app-workflow" else CHAT
    speaker = app(dify, key, endpoint, text_input="query", history="never")
    return speaker.answer(question(text, **fields), deadline or Deadline(30), nobody).answer.text


@pytest.mark.parametrize(("key", "path"), [("app-workflow", RUN), ("app-chatflow", CHAT)])
@pytest.mark.parametrize("pace", [0, 25])
def test_a_flow_is_attached_to_again(dify: Emulator, key: str, path: str, pace: float) -> None:
    dify.control.pace(tokens_per_second=pace)
    dify.control.fault("cut", path, after_events=4)
    assert ask(dify, key) == f"You said: {TEXT}"
    called = paths(dify)
    assert called.count(path) == 1
    assert sum("/events" in each for each in called) == 1
    assert not any(each.endswith("/stop") for each in called)


def test_being_cut_again_does_not_matter(dify: Emulator) -> None:
    dify.control.pace(tokens_per_second=25)
    dify.control.fault("cut", RUN, after_events=3)
    dify.control.fault("cut", "/v1/workflow/*/events", after_events=1)
    assert ask(dify, "app-workflow") == f"You said: {TEXT}"
    assert paths(dify).count(RUN) == 1


def test_a_run_that_cannot_be_attached_to_is_asked_for(dify: Emulator) -> None:
    dify.control.pace(tokens_per_second=25)
    dify.control.fault("cut", RUN, after_events=3)
    dify.control.fault("status", "/v1/workflow/*/events", status=404, always=True)
    assert ask(dify, "app-workflow") == f"You said: {TEXT}"
    assert sum(each.startswith("/v1/workflows/run/") for each in paths(dify)) > 1


@pytest.mark.parametrize(("key", "known"), [("app-chat", False), ("app-chat", True), ("app-agent", False)])
@pytest.mark.parametrize("fault", [{"action": "cut", "after_events": 3}, {"action": "accept_then_cut"}])
def test_a_chats_answer_is_found_among_its_messages(
    dify: Emulator, key: str, known: bool, fault: dict[str, Any]
) -> None:
    session = ""
    if known:
        session = app(dify, key, CHAT).answer(question("before"), Deadline(30), nobody).session_id
    dify.control.pace(tokens_per_second=25)
    dify.control.fault(path=CHAT, **fault)
    assert ask(dify, key, session_id=session) == f"You said: {TEXT}"
    assert paths(dify).count(CHAT) == 1 + known


def test_what_was_never_begun_is_not_found(dify: Emulator) -> None:
    ask(dify, "app-chat")  # the same words, but answered: another turn of another conversation
    dify.control.fault("drop", CHAT)
    with pytest.raises(Unavailable) as caught:
        ask(dify, "app-chat", "something else")
    assert (caught.value.kind, caught.value.code) == ("connection", "cut")


def test_a_dify_that_is_gone_is_not_waited_for(dify: Emulator) -> None:
    dify.control.fault("cut", CHAT, after_events=2)
    dify.control.fault("drop", "/v1/messages", always=True)
    started = time.monotonic()
    with pytest.raises(Unavailable):
        ask(dify, "app-chat")
    assert time.monotonic() - started < at_most(5)


def test_a_cut_run_that_failed_says_so(dify: Emulator) -> None:
    dify.control.fault("cut", RUN, after_events=2)
    with pytest.raises(Unavailable) as caught:
        ask(dify, "app-workflow", "fail now")
    assert caught.value.code == "workflow_failed"


def test_a_stop_is_noticed_while_the_answer_is_looked_for(dify: Emulator) -> None:
    dify.control.pace(tokens_per_second=1)
    dify.control.fault("cut", CHAT, after_events=2)

    def check() -> None:
        if "/v1/messages" in paths(dify):
            raise Cancelled("stop")

    started = time.monotonic()
    with pytest.raises(Cancelled):
        ask(dify, "app-chat", TEXT * 10, Deadline(120, stop_check=check))
    assert time.monotonic() - started < at_most(5)
    assert any(each.endswith("/stop") for each in paths(dify))


@pytest.mark.parametrize("known", [False, True])
def test_after_the_death_of_a_worker_its_answer_is_found(dify: Emulator, known: bool) -> None:
    session = app(dify, "app-chat", CHAT).answer(question("before"), Deadline(30), nobody).session_id if known else ""
    first = ask(dify, "app-chat", session_id=session)
    assert ask(dify, "app-chat", session_id=session, again=True) == first
    assert paths(dify).count(CHAT) == 1 + known


def test_an_equal_question_is_not_answered_with_an_old_answer(dify: Emulator) -> None:
    ask(dify, "app-chat")
    ask(dify, "app-chat", again=True, history=(Turn("user", TEXT), Turn("assistant", "old")))
    ask(dify, "app-chat", "another question", again=True)
    assert paths(dify).count(CHAT) == 3
