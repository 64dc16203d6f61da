"""The answerer without a model is honest, and still good for something."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.llm.offline import Offline
from mindbot_tasks.model.answer import Classification
from tests.llm.asking import nobody, question
from tests.slack import at_most

NOW = datetime(2026, 3, 1, 15, 4, tzinfo=UTC)  # a Sunday


def say(text: str, **fields: Any) -> str:
    return Offline(now=lambda: NOW).answer(question(text, **fields), Deadline(1), nobody).answer.text


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("what time is it?", "en", "It is **15:04** (UTC), Sunday 2026-03-01."),
        ("What's the time in Tokyo", "en", "It is **00:04** (Asia/Tokyo), Monday 2026-03-02."),
        ("current date in New York", "en", "It is **10:04** (America/New_York), Sunday 2026-03-01."),
        ("what time is it in europe/madrid", "en", "It is **16:04** (Europe/Madrid), Sunday 2026-03-01."),
        ("现在几点了", "zh", "现在是 **23:04**（Asia/Shanghai），2026-03-01，星期日。"),
        ("伦敦现在几点", "zh", "现在是 **15:04**（Europe/London），2026-03-01，星期日。"),
        ("今天星期几", "zh", "现在是 **23:04**（Asia/Shanghai），2026-03-01，星期日。"),
    ],
)
def test_it_tells_the_time(text: str, language: str, expected: str) -> None:
    assert say(text, language=language) == expected


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("2+2", "4"),
        ("what is 12 * (3 + 4)?", "84"),
        ("1/3", "0.333333333333"),
        ("2^10", "1024"),
        ("1,000 + 2", "1002"),
        ("10 % 3", "1"),
        ("3×4÷2 等于多少", "6"),
        ("-5 + 3", "-2"),
        ("0.1 + 0.2", "0.3"),
        ("7-3", "4"),
    ],
)
def test_it_calculates(text: str, result: str) -> None:
    assert say(text).endswith(f"= **{result}**")


@pytest.mark.parametrize(
    "text",
    ["9**9**9", "1/0", "call 555-1234", "on 2024-05-06", "2^100000", "(((((", "1+", "5", "__import__('os')", "9" * 900],
)
def test_what_it_cannot_calculate_it_does_not(text: str) -> None:
    started = time.monotonic()
    assert "No language model is configured" in say(text)
    assert time.monotonic() - started < at_most(0.5)


def test_it_says_what_is_missing_and_how_the_message_was_understood() -> None:
    label = Classification("code_analysis", 0.71, "pattern: python")
    english, chinese = say("hm", classification=label), say("嗯", classification=label, language="zh")
    assert "OPENAI_API_KEY" in english
    assert "**code_analysis** (confidence 71%; pattern: python)" in english
    assert "没有配置大模型" in chinese
    assert "**code_analysis** 处理（置信度 71%；pattern: python）" in chinese


def test_it_quotes_when_there_is_something_to_quote_from() -> None:
    quoting = Offline()
    told = quoting.answer(question("holiday rules?", quote="Holidays: 30 days."), Deadline(1), nobody).answer.text
    assert "Holidays: 30 days." in told
    told = quoting.answer(question("weather?", nothing_read=True), Deadline(1), nobody).answer.text
    assert told.startswith("This is not in what I have read.")
    assert "No language model" in told


def test_what_it_says_is_shown() -> None:
    seen: list[str] = []
    answer = Offline().answer(question(), Deadline(1), seen.append).answer
    assert seen == [answer.text]
    assert answer.provider == "offline"


@given(st.text(max_size=200) | st.text("0123456789+-*/^%().,[]{} jef_'\"", max_size=60))
def test_any_text_gets_an_answer(text: str) -> None:
    assert say(text)
