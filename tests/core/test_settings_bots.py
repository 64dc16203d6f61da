"""Bots in all three forms, each with rules and an agent of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.settings.load import load
from mindbot_tasks.core.settings.problems import InvalidSettings


def loaded(folder: Path, text: str) -> Settings:
    file = folder / "mindbot.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, {})


def test_the_single_form_is_the_bot_called_default(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "chat: {answer_when: always, admins: [ada]}")
    assert settings.bot("chat", "default").answer_when == "always"
    assert settings.bot("chat", "default").admins == ["ada"]


LIST = """
dingtalk:
  - {name: sales, client_id: a, client_secret: b, user_rate: 20/m, model: openai/big}
  - {name: support, client_id: c, client_secret: d, answer_when: prefix, prefix: "bot,", workflows: [tickets]}
"""
BY_NAME = """
dingtalk:
  sales: {client_id: a, client_secret: b, user_rate: 20/m, model: openai/big}
  support: {client_id: c, client_secret: d, answer_when: prefix, prefix: "bot,", workflows: [tickets]}
"""


@pytest.mark.parametrize("text", [LIST, BY_NAME], ids=["list", "by name"])
def test_every_bot_has_its_own_credentials_rules_and_agent(tmp_path: Path, text: str) -> None:
    settings = loaded(tmp_path, text)
    assert [bot.client_id for bot in settings.dingtalk.values()] == ["a", "c"]
    sales, support = settings.bot("dingtalk", "sales"), settings.bot("dingtalk", "support")
    assert (sales.user_rate, sales.model, sales.answer_when) == ("20/m", "openai/big", "mention")
    assert (support.prefix, support.workflows, support.user_rate) == ("bot,", ["tickets"], "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("chat: {answer_when: prefix}", "answer_when: prefix needs prefix"),
        ("chat: {answer_when: regex, pattern: '('}", "does not compile"),
        ("chat: {user_rate: often}", "expected a rate"),
        ("chat: {burst_window_s: -1}", "at least 0"),
        ("chat: {answer_when: sometimes}", "answer_when"),
    ],
)
def test_what_cannot_be_meant_is_said_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidSettings) as caught:
        loaded(tmp_path, text)
    assert said in str(caught.value)
