"""Which messages are commands, and which only look like one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.chat import commands
from mindbot_tasks.chat.commands import Command, Name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("/help", Name.HELP),
        ("  /help  ", Name.HELP),
        ("/HELP", Name.HELP),
        ("／help", Name.HELP),
        ("／ＨＥＬＰ", Name.HELP),
        ("/help?", Name.HELP),
        ("/帮助。", Name.HELP),
        ("/help@mindbot", Name.HELP),
        ("@MindBot /help", Name.HELP),
        ("@MindBot\u2005/help", Name.HELP),
        ("@a @MindBot /stop", Name.STOP),
        ("/new", Name.NEW),
        ("/reset", Name.RESET),
        ("/stop", Name.STOP),
        ("/status", Name.STATUS),
        ("/history", Name.HISTORY),
        ("/model", Name.MODEL),
        ("/ack", Name.ACK),
        ("/learn https://example.com", Name.LEARN),
        ("/学习 https://example.com", Name.LEARN),
        ("/帮助", Name.HELP),
        ("／新对话", Name.NEW),
        ("/重置", Name.RESET),
        ("/停止", Name.STOP),
        ("/状态", Name.STATUS),
        ("/历史", Name.HISTORY),
        ("/模型", Name.MODEL),
        ("/确认", Name.ACK),
        ("/imagine a cat", Name.UNKNOWN),
        ("/unknown", Name.UNKNOWN),
    ],
)
def test_what_is_a_command(text: str, name: Name) -> None:
    found = commands.parse(text)
    assert found is not None
    assert found.name is name


@pytest.mark.parametrize(
    "text",
    [
        "",
        "help",
        "what does /help do?",
        "/",
        "/ help",
        "//",
        "// a comment",
        "/* a comment */",
        "/etc/passwd is world readable, is that bad?",
        "/usr/bin",
        "/a/",
        "/2 of them",
        "/r.*/",
        "1/2",
        "@MindBot what is /help?",
        "@MindBot",
        "／etc／passwd",
        f"/{'x' * 60}",
    ],
)
def test_what_is_a_question(text: str) -> None:
    assert commands.parse(text) is None


@pytest.mark.parametrize(
    ("text", "argument"),
    [
        ("/model openai/gpt-5", "openai/gpt-5"),
        ("/model   a b ", "a b"),
        ("/ack A-17\nthanks", "A-17\nthanks"),
        ("/模型 default", "default"),
    ],
)
def test_what_comes_after_the_word_is_its_argument(text: str, argument: str) -> None:
    found = commands.parse(text)
    assert found is not None
    assert found.argument == argument


def test_the_words_of_a_quoted_message_are_not_the_senders() -> None:
    parts = [("quote", "/stop"), ("mention", "@bot"), ("text", "what does that do?"), ("image", "")]
    assert commands.said(parts) == "what does that do?"


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    for written in (text, f"/{text}", f"@x /{text}"):
        found = commands.parse(written)
        assert found is None or isinstance(found, Command)
