"""Dify's kinds of apps: how they are found out, what goes into them, what comes out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from emulators.running import Emulator, running
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import FarSideError, Rejected, Unavailable
from mindbot_tasks.llm.base import Attachment
from mindbot_tasks.llm.dify import modes
from mindbot_tasks.llm.dify.inputs import Field, placed, read_parameters, text_field
from mindbot_tasks.llm.dify.outputs import files_in, sources, text_of
from mindbot_tasks.model.answer import Turn
from tests.llm.asking import nobody, question
from tests.llm.dify_apps import CHAT, RUN, app, paths

FLOW = "app-workflow"


@pytest.fixture(scope="module")
def taking_files() -> Iterator[Emulator]:
    options = ["--app", "app-w=workflow:topic", "--app", "app-f=advanced-chat", "--app", "app-c=completion"]
    with running("dify", *options, "--upload", "image", "--upload", "document") as emulator:
        yield emulator


@pytest.fixture(autouse=True)
def nothing_learnt() -> None:
    modes.forget()


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("app-chat", CHAT),
        ("app-agent", CHAT),
        ("app-chatflow", CHAT),
        ("app-completion", "/v1/completion-messages"),
        (FLOW, RUN),
    ],
)
def test_a_base_address_is_enough_and_the_kind_is_asked_for_once(dify: Emulator, key: str, path: str) -> None:
    for _ in range(2):
        assert "good morning" in app(dify, key).answer(question("good morning"), Deadline(30), nobody).answer.text
    called = paths(dify)
    assert (called.count("/v1/info"), called.count(path)) == (1, 2)
    assert called.count("/v1/parameters") == (1 if key in (FLOW, "app-completion") else 0)


def test_a_configured_mode_is_not_asked_for(dify: Emulator) -> None:
    app(dify, FLOW, mode="workflow", text_input="query").answer(question(), Deadline(30), nobody)
    assert paths(dify) == [RUN]


@pytest.mark.parametrize(
    ("endpoint", "key", "path"),
    [(CHAT, FLOW, RUN), (RUN, "app-chat", CHAT), ("/v1/completion-messages", "app-chatflow", CHAT)],
)
def test_a_wrong_address_is_corrected_once(dify: Emulator, endpoint: str, key: str, path: str) -> None:
    for _ in range(2):
        app(dify, key, endpoint, text_input="query").answer(question(), Deadline(30), nobody)
    assert paths(dify) == [endpoint, "/v1/info", path, path]


def test_a_kind_that_cannot_be_found_out_chats(dify: Emulator) -> None:
    dify.control.fault("status", "/v1/info", status=500)
    assert app(dify, "app-chat").answer(question(), Deadline(30), nobody).answer.text
    assert paths(dify) == ["/v1/info", CHAT]


def test_a_wrong_key_is_refused_at_the_first_question(dify: Emulator) -> None:
    with pytest.raises(Rejected) as caught:
        app(dify, "wrong").answer(question(), Deadline(30), nobody)
    assert (caught.value.kind, paths(dify)) == ("auth", ["/v1/info"])


def test_a_workflow_gets_what_its_templates_say(dify: Emulator) -> None:
    inputs = {"query": "Q: {text} ({language}, {platform}) {braces}", "who": "{user}", "before": "{history}"}
    said = app(dify, FLOW, inputs=inputs).answer(question("why"), Deadline(30), nobody).answer.text
    assert said == "You said: Q: why (en, dingtalk) {braces}"
    given = dify.control.calls(path=RUN)[-1]["inputs"]
    assert (given["who"], given["before"]) == ("dingtalk:user01", "User: before\nAssistant: and after")
    assert "/v1/parameters" not in paths(dify)


def test_the_variable_for_the_question_is_learnt(taking_files: Emulator) -> None:
    taking_files.control.reset()
    said = app(taking_files, "app-w").answer(question("why"), Deadline(30), nobody).answer.text
    assert said == "You said: why"
    assert taking_files.control.calls(path=RUN)[-1]["inputs"] == {"topic": "why"}


def test_a_pinned_version_is_run(dify: Emulator) -> None:
    version = "5f6a0e6c-0000-4000-8000-000000000001"
    app(dify, FLOW, workflow_id=version, text_input="query").answer(question(), Deadline(30), nobody)
    assert paths(dify) == ["/v1/info", f"/v1/workflows/{version}/run"]


def test_a_new_conversation_is_told_what_was_said_before(dify: Emulator) -> None:
    chat = app(dify, "app-chat", CHAT)
    first = chat.answer(question("and now?"), Deadline(30), nobody)
    chat.answer(question("go on", session_id=first.session_id), Deadline(30), nobody)
    chat.answer(question("first words", history=()), Deadline(30), nobody)
    app(dify, "app-chat", CHAT, history="never").answer(question("alone"), Deadline(30), nobody)
    noted, *others = [call["text"] for call in dify.control.calls()]
    assert "User: before\nAssistant: and after" in noted
    assert noted.endswith("\n\nand now?")
    assert others == ["go on", "first words", "alone"]


def test_a_picture_among_the_outputs_comes_along(dify: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mindbot_tasks.llm.dify.files.keep", lambda parts, *_: list(parts))
    answer = app(dify, FLOW).answer(question("draw a cat"), Deadline(30), nobody).answer
    assert answer.text == "You said: draw a cat"
    [part] = answer.parts
    assert (part.kind, part.data) == (
        "image", {"url": f"{dify.url}/files/tools/drawing.png?sign=good", "name": "drawing.png"}
    )  # fmt: skip


@pytest.mark.parametrize(("shown", "lines"), [(True, "\n\nSources:\n1. Handbook.pdf (Manuals)"), (False, "")])
def test_sources_are_kept_and_shown_if_wanted(dify: Emulator, shown: bool, lines: str) -> None:
    answer = app(dify, "app-chat", CHAT, show_sources=shown, history="never").answer(
        question("cite it"), Deadline(30), nobody
    ).answer  # fmt: skip
    assert answer.text == f"You said: cite it{lines}"
    [kept] = answer.details["citations"]  # type: ignore[misc, union-attr]
    assert (kept["document_name"], kept["segment_id"], "content" in kept) == ("Handbook.pdf", "s1", False)


@pytest.mark.parametrize(("key", "code"), [(FLOW, "workflow_failed"), ("app-chatflow", "completion_request_error")])
def test_a_failed_run_is_a_failure_and_chatflows_say_why(dify: Emulator, key: str, code: str) -> None:
    with pytest.raises(Unavailable) as caught:
        app(dify, key, history="never").answer(question("fail please"), Deadline(30), nobody)
    assert (caught.value.kind, caught.value.code) == ("server", code)


def test_a_run_that_succeeded_in_part_answers_and_says_so(dify: Emulator) -> None:
    answer = app(dify, FLOW).answer(question("partly done"), Deadline(30), nobody).answer
    assert (answer.text, answer.details["status"]) == ("You said: partly done", "partial-succeeded")


def test_a_stopped_run_is_no_answer_and_not_tried_again(dify: Emulator) -> None:
    dify.control.fault(
        "status", RUN, status=200, content_type="text/event-stream",
        body='data: {"event": "workflow_finished", "data": {"status": "stopped", "outputs": {}}}\n\n',
    )  # fmt: skip
    with pytest.raises(Rejected) as caught:
        app(dify, FLOW).answer(question(), Deadline(30), nobody)
    assert caught.value.code == "workflow_stopped"


@pytest.mark.parametrize("key", [FLOW, "app-completion"])
def test_other_kinds_are_told_to_stop_at_their_own_address(dify: Emulator, key: str) -> None:
    app(dify, key).answer(question(), Deadline(30), nobody)  # what is asked for once is known then
    dify.control.pace(tokens_per_second=5)
    with pytest.raises(FarSideError):
        app(dify, key).answer(question("word " * 60), Deadline(3), nobody)
    [stop] = [call for call in dify.control.calls() if call["path"].endswith("/stop")]
    assert stop["stopped"] is True
    assert stop["path"].startswith("/v1/workflows/tasks/" if key == FLOW else "/v1/completion-messages/")


FILES = (
    Attachment("image", "cat.png", "image/png", 3, 1, b"abc"),
    Attachment("file", "a.pdf", "application/pdf", 3, 2, b"pdf"),
    Attachment("voice", "v.mp3", "audio/mpeg", 3, 3, b"mp3"),
    Attachment("file", "b.xyz", "application/x-xyz", 3, 4, b"xyz"),
)


@pytest.mark.parametrize(("key", "path"), [("app-w", RUN), ("app-f", CHAT), ("app-c", "/v1/completion-messages")])
def test_files_go_where_the_app_wants_them(taking_files: Emulator, key: str, path: str) -> None:
    taking_files.control.reset()
    app(taking_files, key, history="never").answer(question("look", attachments=FILES), Deadline(30), nobody)
    calls = taking_files.control.calls()
    [asked] = [call for call in calls if call["path"] == path]
    assert {call["user"] for call in calls if call["path"] == "/v1/files/upload" and call["status"] == 201} == {
        asked["user"]
    }
    if key != "app-c":
        assert asked["files"] == ["image", "document"]
    if key == "app-w":
        assert [file["type"] for file in asked["inputs"]["documents"]] == ["image", "document"]
    assert "v.mp3" in asked["text"]  # what the app does not want, or refuses, is told in words
    assert "b.xyz" in asked["text"]


def test_a_file_above_the_limit_is_not_uploaded(taking_files: Emulator) -> None:
    taking_files.control.reset()
    limits = {"file_upload": {"enabled": True, "allowed_file_types": ["image"]},
              "system_parameters": {"image_file_size_limit": 1}}  # fmt: skip
    taking_files.control.fault("status", "/v1/parameters", status=200, body=limits)
    big = Attachment("image", "big.png", "image/png", 2_000_000, 1, b"x" * 1_100_000)
    app(taking_files, "app-f", history="never").answer(question("look", attachments=(big,)), Deadline(30), nobody)
    assert "/v1/files/upload" not in paths(taking_files)
    assert "big.png" in taking_files.control.calls(path=CHAT)[-1]["text"]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([], "query"),
        ([("file", "query")], "query"),
        ([("text-input", "title"), ("paragraph", "body")], "body"),
        ([("text-input", "a"), ("paragraph", "b"), ("text-input", "Question")], "Question"),
        ([("select", "lang"), ("text-input", "word")], "word"),
    ],
)
def test_the_likely_variable_gets_the_question(fields: list[tuple[str, str]], found: str) -> None:
    assert text_field([Field(name, kind) for kind, name in fields]) == found


def test_single_files_and_lists_are_filled_in_order() -> None:
    file = {"type": "image"}
    fields = [Field("one", "file", types=frozenset({"image"})), Field("more", "file-list", types=frozenset({"image"}))]
    assert placed([file, file], fields[:1]) == ({"one": file}, [file])
    assert placed([file, file], fields) == ({"one": file, "more": [file]}, [])
    assert placed([file], fields, "more") == ({"more": [file]}, [])


@pytest.mark.parametrize("told", [None, [], {"user_input_form": [3, {"file": None}, {"x": {"variable": 4}}]},
                                  {"system_parameters": {"file_size_limit": "many"}, "file_upload": 7}])  # fmt: skip
def test_strange_parameters_are_overlooked(told: Any) -> None:
    assert read_parameters(told).fields == ()


@pytest.mark.parametrize(
    ("outputs", "key", "text"),
    [
        ({"text": "a"}, "", "a"),
        ({"text": "a", "summary": "b"}, "summary", "b"),
        ({"text": "a"}, "missing", "a"),
        ({"data": {"rows": [1, 2]}}, "", '{"rows":[1,2]}'),
        ({"one": "1", "two": 2}, "", "one: 1\ntwo: 2"),
        ({"file": {"url": "u", "mime_type": "image/png"}}, "", ""),
        ({}, "", ""),
        (None, "", ""),
        ("plain", "", "plain"),
    ],
)
def test_outputs_become_a_text(outputs: Any, key: str, text: str) -> None:
    assert text_of(outputs, key) == text


def test_files_are_found_in_lists_and_not_for_ever() -> None:
    file = {"url": "u", "mime_type": "image/png"}
    nested: Any = file
    for _ in range(20):
        nested = [nested]
    assert files_in({"a": [file, {"b": file}], "c": nested}) == [file, file]


def test_each_document_is_named_once_in_the_users_language() -> None:
    cited = [{"document_name": "A"}, {"document_name": "A"}, {"document_name": "B", "dataset_name": "D"}, {}]
    assert sources(cited, "zh") == "参考来源:\n1. A\n2. B (D)"
    assert sources([{}], "en") == ""


def test_history_is_cut_from_the_front(dify: Emulator) -> None:
    long = (Turn("user", "x" * 9000), Turn("assistant", "the end"))
    app(dify, "app-chat", CHAT).answer(question("more", history=long), Deadline(30), nobody)
    sent = dify.control.calls()[-1]["text"]
    assert len(sent) < 6500
    assert "the end" in sent
