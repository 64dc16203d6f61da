"""Follow-ups are looked up together with the question that they follow."""

from __future__ import annotations

import pytest

from mindbot_tasks.chat.following import in_full, is_short, points_back
from mindbot_tasks.model.answer import Turn

HISTORY = (
    Turn("user", "Which platforms can be connected?"),
    Turn("assistant", "These:\n\n1. DingTalk\n2. WeCom Customer Service\n3. AIM\n"),
)


@pytest.mark.parametrize(
    "text",
    ["and in Chinese?", "what about the second one?", "Why?", "How do I configure it?", "那第二个呢?", "它支持图片吗?",
     "还有别的办法吗", "用英文说"],
)  # fmt: skip
def test_a_follow_up_is_known_by_its_words(text: str) -> None:
    assert points_back(text)
    assert "Which platforms can be connected?" in in_full(text, HISTORY)


@pytest.mark.parametrize(
    "text",
    [
        "How do I connect DingTalk in Stream mode?",
        "怎样用 Stream 模式接入钉钉?",
        "Which tables hold figures of workflows?",
    ],
)
def test_a_question_of_its_own_is_not(text: str) -> None:
    assert not points_back(text)
    assert not is_short(text)


def test_the_second_one_is_that_of_the_last_answer() -> None:
    assert in_full("what about the second one?", HISTORY).endswith(
        "WeCom Customer Service Which platforms can be connected?"
    )
    assert "AIM" in in_full("第三个呢?", HISTORY)


def test_a_follow_up_of_a_follow_up_goes_back_to_the_question() -> None:
    longer = (*HISTORY, Turn("user", "and its limits?"), Turn("assistant", "20 a minute"))
    full = in_full("why?", longer)
    assert "its limits" in full
    assert "Which platforms" in full
    assert in_full("why?", ()) == "why?"
