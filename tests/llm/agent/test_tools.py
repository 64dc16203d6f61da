"""The agent's tools by themselves, without a model: what they take, what they say, and what they never do."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Cancelled, DeadlineExceeded, Unavailable
from mindbot_tasks.core.settings import Settings, WorkflowSettings
from mindbot_tasks.core.settings.agent import AgentFilesSettings
from mindbot_tasks.llm.agent import apart, consent
from mindbot_tasks.llm.agent.tools import calculator, catalogue, files, running
from mindbot_tasks.llm.agent.tools import clock as time_tool
from mindbot_tasks.llm.agent.tools.base import Call, Tool, ToolFailed, arguments
from mindbot_tasks.llm.base import Wishes
from mindbot_tasks.stores import performance
from tests.llm.agent.having import agent, call, settings
from tests.llm.asking import stopping
from tests.llm.conftest import Clock
from tests.slack import at_most

pytestmark = pytest.mark.usefixtures("shared")


def a_tool(run: Any, **fields: Any) -> Tool:
    values: dict[str, Any] = {"name": "probe", "description": "for tests", "schema": arguments({})}
    return Tool(**(values | {"run": run} | fields))


# calculator


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("2+2*3", "8"), ("(17.5*3)^2/4", "689.0625"), ("2**10", "1024"), ("sqrt(2)", "1.41421356237"), ("10/4", "2.5"),
        ("-7 // 2", "-4"), ("7 % 3", "1"), ("（1+2）×3÷9", "1"), ("factorial(20)", "2432902008176640000"),
        ("max(1, 2, 3)", "3"), ("round(2/3, 2)", "0.67"), ("2**1000", "about 1.071508607e301"), ("1e3", "1000"),
        ("0.1+0.2", "0.3"),
    ],
)  # fmt: skip
def test_the_calculator_calculates(expression: str, result: str) -> None:
    assert calculator.calculate(expression) == result


@pytest.mark.parametrize(
    "expression",
    [
        "", "2+", "1/0", "9**9**9", "9^999999999", "(-8)**0.5", "factorial(100000)", "'a'*1000000000", "[1]*10**9",
        "__import__('os')", "(1).__class__", "x", "open('/etc/passwd')", "2**2000*2**2000*2**2000", "True", "1j",
        "1 if 1 else 2",
        "exp(1000)", "9" * 600, "(" * 220 + "1" + ")" * 220, "lambda: 1", "pow(2, 10**9)",
        "1<2", "nan", "round(1, 'a')",
    ],
)  # fmt: skip
def test_the_calculator_refuses_what_is_no_arithmetic_or_too_large(expression: str) -> None:
    with pytest.raises(ToolFailed):
        calculator.calculate(expression)


@given(st.text("0123456789.+-*/^() eabsqrtlogmxpi,×", max_size=60))
@example("9**9**9**9")
@example("0**-1")
def test_the_calculator_always_ends_soon_with_a_number_or_a_reason(expression: str) -> None:
    started = time.monotonic()
    with suppress(ToolFailed):
        assert len(calculator.calculate(expression)) < 80
    assert time.monotonic() - started < at_most(2)


# time


def test_the_time_is_told_for_a_zone_by_any_of_its_names() -> None:
    from datetime import UTC, datetime

    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    for name in ("Asia/Shanghai", "asia/shanghai", "Shanghai", "北京", "beijing"):
        assert time_tool.tell(name, "en", noon).startswith("2026-11-21 20:00:00 Saturday")
    assert "Europe/Berlin (UTC+0100)" in time_tool.tell("berlin", "en", noon)
    assert "UTC" in time_tool.tell("", "en", noon)
    assert "Asia/Shanghai" in time_tool.tell("", "zh", noon)
    with pytest.raises(ToolFailed):
        time_tool.tell("../../etc/passwd", "en", noon)


# files


@pytest.fixture
def folder(tmp_path: Path) -> files.Folder:
    return files.Folder(tmp_path, "chat:default:c1", AgentFilesSettings(max_file_kb=1, max_total_kb=2, max_files=3))


def test_what_was_written_can_be_read_and_is_listed(folder: files.Folder) -> None:
    assert folder.names() == []
    folder.write("notes.md", "早上好")
    folder.write("notes.md", "good morning")
    assert folder.read("notes.md") == "good morning"
    assert folder.names() == [("notes.md", 12)]


@pytest.mark.parametrize(
    "name",
    ["../x", "..", ".", "a/b", "/etc/passwd", "a\\b", ".hidden", "", "x" * 200, "a\x00b", "a\n", "con/../x", "~", "x."],
)
def test_a_name_is_never_a_path(folder: files.Folder, name: str) -> None:
    with pytest.raises(ToolFailed):
        folder.write(name, "x")
    with pytest.raises(ToolFailed):
        folder.read(name)


def test_no_link_leads_out_of_the_folder(folder: files.Folder, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    folder.write("ours.txt", "ours")
    [inside] = (tmp_path / files.FOLDER).iterdir()
    (inside / "link.txt").symlink_to(secret)
    os.link(secret, inside / "hard.txt")
    os.mkfifo(inside / "pipe.txt")
    for name in ("link.txt", "hard.txt", "pipe.txt"):
        with pytest.raises(ToolFailed):
            folder.read(name)
    assert folder.names() == [("ours.txt", 4)]
    folder.write("link.txt", "written")  # in place of the link, not through it
    folder.write("hard.txt", "written")
    assert secret.read_text() == "secret"


def test_a_folder_that_is_a_link_is_not_entered(tmp_path: Path) -> None:
    mine = files.Folder(tmp_path, "c1", AgentFilesSettings())
    mine.write("a.txt", "a")
    [inside] = (tmp_path / files.FOLDER).iterdir()
    elsewhere = inside.rename(tmp_path / "elsewhere")
    inside.symlink_to(elsewhere)
    tried = running.run(a_tool(lambda *_: mine.read("a.txt")), {}, call())
    assert (tried.outcome, tried.text) == ("crashed", "the tool failed")


def test_files_have_limits_of_size_and_number(folder: files.Folder) -> None:
    with pytest.raises(ToolFailed, match="at most 1 KB"):
        folder.write("big.txt", "x" * 1025)
    folder.write("a", "x" * 1000)
    folder.write("b", "x" * 1000)
    with pytest.raises(ToolFailed, match="together"):
        folder.write("c", "x" * 100)
    folder.write("c", "")
    with pytest.raises(ToolFailed, match="at most 3 files"):
        folder.write("d", "")


def test_each_conversation_has_a_folder_of_its_own(tmp_path: Path) -> None:
    files.Folder(tmp_path, "chat:default:c1", AgentFilesSettings()).write("a", "mine")
    assert files.Folder(tmp_path, "chat:default:c2", AgentFilesSettings()).names() == []


def test_folders_that_nobody_has_changed_for_long_are_deleted(tmp_path: Path) -> None:
    having = settings(home=tmp_path)
    for key in ("old", "new"):
        files.Folder(tmp_path, key, AgentFilesSettings()).write("a", key)
    old = next(each for each in (tmp_path / files.FOLDER).iterdir() if (each / "a").read_text() == "old")
    os.utime(old, (0, 0))
    assert files.purge(having) == 1
    assert [(each / "a").read_text() for each in (tmp_path / files.FOLDER).iterdir()] == ["new"]


# running


@pytest.mark.parametrize(
    ("given_arguments", "told"),
    [
        ({}, "'expression' is a required property"),
        ({"expression": 7}, "is not of type 'string'"),
        ({"expression": "1", "more": 1}, "Additional properties"),
        ("1+1", "no object"),
        (None, "no object"),
    ],
)
def test_wrong_arguments_are_told_to_the_model(given_arguments: Any, told: str) -> None:
    result = running.run(calculator.CALCULATOR, given_arguments, call())
    assert result.outcome == "refused"
    assert told in result.text


def test_what_a_tool_raises_stays_inside() -> None:
    def crash(given: Mapping[str, Any], call: Call) -> str:
        raise ValueError("postgresql://user:secret@db")

    result = running.run(a_tool(crash), {}, call())
    assert (result.outcome, result.text) == ("crashed", "the tool failed")


def test_a_tool_that_hangs_is_left_at_its_limit() -> None:
    let_go = threading.Event()
    hanging = a_tool(lambda *_: let_go.wait(100) and "late", timeout_s=0.1)
    try:
        assert running.run(hanging, {}, call(deadline=Deadline(90))).outcome == "timeout"
    finally:
        let_go.set()


def test_a_stop_is_seen_while_a_tool_runs() -> None:
    let_go = threading.Event()
    sleeping = a_tool(lambda *_: let_go.wait(100) and "late")
    try:
        with pytest.raises(Cancelled):
            running.run(sleeping, {}, call(deadline=stopping(Cancelled, 0.2)))
    finally:
        let_go.set()


def test_a_tool_that_always_hangs_cannot_take_all_threads() -> None:
    name, ended = "tool:always-hangs", []

    def hang(_: Any) -> str:
        while not ended:
            time.sleep(0.02)
        return ""

    while apart.hanging(name) < apart.MAX_LEFT:
        with pytest.raises(DeadlineExceeded):
            apart.apart(name, hang, Deadline(0.01))  # on a slow machine it may be over before it began
    with pytest.raises(Unavailable, match="still hang"):
        apart.apart(name, hang, Deadline(60))
    ended.append(True)
    until = time.monotonic() + 60
    while apart.hanging(name) and time.monotonic() < until:
        time.sleep(0.02)
    assert apart.hanging(name) == 0


def test_a_tool_that_fails_again_and_again_is_set_aside(clock: Clock) -> None:
    def crash(given: Mapping[str, Any], call: Call) -> str:
        raise ValueError

    broken = a_tool(crash, name="broken")
    outcomes = [running.run(broken, {}, call()).outcome for _ in range(11)]
    assert outcomes == ["crashed"] * 10 + ["away"]
    seen = performance.seen(["tool:broken"])["tool:broken"]
    assert (seen.calls, seen.ok) == (10, 0)


def test_a_long_result_is_cut() -> None:
    having = settings(agent=agent(rules={"max_result_chars": 100}))
    assert len(running.run(a_tool(lambda *_: "x" * 5000), {}, call(having)).text) < 150


# which tools there are


def names(having: Settings, **wishes: Any) -> list[str]:
    return list(catalogue.of_settings(having, Wishes(**wishes)).tools)


def test_tools_are_found_by_name_by_other_names_and_by_group() -> None:
    having = settings()
    assert names(having) == ["calculator", "get_time"]
    assert names(settings(agent=agent("time", "files"))) == ["get_time", "list_files", "read_file", "write_file"]


def test_a_bot_gets_only_the_tools_of_its_list() -> None:
    having = settings(agent=agent("calculator", "time", "files"))
    assert names(having, tools=("files",)) == ["list_files", "read_file", "write_file"]
    assert names(having, tools=("time",)) == ["get_time"]
    assert names(having, tools=("web_search",)) == []


def test_what_is_missing_has_a_reason_and_stops_nothing() -> None:
    having = settings(
        agent=agent("web_search", "dify_chat", "knowledge_search", "nonsense", "no.module:x", "calculator")
    )
    found = catalogue.of_settings(having, Wishes())
    assert list(found.tools) == ["calculator"]
    assert list(found.missing) == ["web_search", "dify_chat", "knowledge_search", "nonsense", "no.module:x"]
    assert "web_search is not configured" in found.missing["web_search"]
    assert "ModuleNotFoundError" in found.missing["no.module:x"]


def test_each_enabled_workflow_is_a_tool_as_far_as_the_bot_may_use_it() -> None:
    flows = {
        "code_analysis": WorkflowSettings(dify_api_key=SecretStr("k")),
        "no_key": WorkflowSettings(),
        "off": WorkflowSettings(dify_api_key=SecretStr("k"), enabled=False),
        "general_chat": WorkflowSettings(dify_api_key=SecretStr("k")),
    }
    having = settings(agent=agent("dify_chat"), workflows=flows)
    assert names(having) == ["dify_code_analysis", "dify_general_chat"]
    assert names(having, workflows=("general_chat",)) == ["dify_general_chat"]


def test_settings_can_ask_for_a_confirmation() -> None:
    having = settings(agent=agent("files", rules={"confirm": ["write_file"]}))
    found = catalogue.of_settings(having, Wishes()).tools
    assert [name for name, one in found.items() if one.effects] == ["write_file"]


# consent


@pytest.mark.parametrize("text", ["yes", "Yes!", " OK ", "是", "是的。", "确认", "Go ahead.", "好的！", "確認"])
def test_a_yes_is_a_yes(text: str) -> None:
    assert consent.is_yes(text)


@pytest.mark.parametrize(
    "text", ["no", "不是", "yes but tomorrow", "yesterday", "", "是不是?", "ok google, stop", "不", "y" * 100]
)
def test_anything_else_is_a_no(text: str) -> None:
    assert not consent.is_yes(text)


def test_the_question_shows_every_argument_and_nothing_breaks_its_frame() -> None:
    text = consent.question([{"name": "send", "args": {"to": "a```b\n# hi", "n": 1}}], "en", within_s=600)
    assert '"n": 1' in text
    assert "a'''b" in text
    assert text.count("```") == 2
