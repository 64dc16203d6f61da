"""What counts as asking to remember something."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.chat.facts import asked_to_remember


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("remember that my name is Ada", "my name is Ada"),
        ("Please remember: the build number is 3.14.", "the build number is 3.14"),
        ("Remember my birthday is May 4th!", "my birthday is May 4th"),
        ("hey, please remember that I like tea. I hate coffee.", "I like tea. I hate coffee"),
        ("Don't forget that we meet on Friday", "we meet on Friday"),
        ("记住我叫小明", "我叫小明"),
        ("请记住：我对花生过敏。", "我对花生过敏"),
        ("帮我记一下，周五开会", "周五开会"),
        ("请帮我记住我的工号是9527", "我的工号是9527"),
        ("别忘了我住在上海", "我住在上海"),
    ],
)
def test_wishes(text: str, fact: str) -> None:
    wish = asked_to_remember(text)
    assert wish is not None
    assert (wish.fact, wish.alone) == (fact, True)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("Remember that my dog is called Rex. What should I feed him?", "my dog is called Rex"),
        ("记住我对花生过敏。今天吃什么好呢？", "我对花生过敏"),
    ],
)
def test_a_question_besides_is_still_a_question(text: str, fact: str) -> None:
    wish = asked_to_remember(text)
    assert wish is not None
    assert (wish.fact, wish.alone) == (fact, False)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "do you remember that movie?",
        "remember that movie?",
        "remember when we met",
        "Remember the Titans is a film",
        "what did I ask you to remember",
        "I remember that day",
        "你记住了吗？",
        "记住了吗",
        "记住我叫什么了吗？",
        "怎么记住单词",
        "remember",
        "记住",
        "remember that",
        "remember that " + "x" * 3000,
    ],
)
def test_everything_else(text: str) -> None:
    assert asked_to_remember(text) is None


@given(st.text(max_size=60), st.sampled_from(["", "remember that ", "记住", "请记住：", "please remember: "]))
def test_any_text_is_taken(text: str, start: str) -> None:
    wish = asked_to_remember(start + text)
    assert wish is None or wish.fact
