"""What a follow-up asks for: its own words, those of the questions that it follows, or only another form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.chat import narrowing
from mindbot_tasks.chat.following import Kind, Wanted, wanted
from mindbot_tasks.model.answer import Turn
from mindbot_tasks.model.knowledge import Passage

ASKED = "Which platforms can be connected?"
HISTORY = (
    Turn("user", ASKED),
    Turn("assistant", "These:\n\n1. DingTalk\n2. WeCom Customer Service\n3. AIM\n"),
)


@pytest.mark.parametrize(
    ("text", "kind", "own"),
    [
        ("and for Postgres?", "topic", "for Postgres"),
        ("what about WeCom?", "topic", "WeCom"),
        ("那数据库呢?", "topic", "数据库"),
        ("还有别的办法吗", "topic", "别的办法"),
        ("how long does it take?", "pointing", "how long does take"),
        ("How do I configure it?", "pointing", "How do I configure"),
        ("它支持图片吗?", "pointing", "支持图片"),
        ("Why?", "pointing", ""),
        ("为什么?", "pointing", ""),
        ("ok, and how do I stop it?", "pointing", "how do I stop"),
        ("好的,那怎么安装?", "topic", "怎么安装"),
    ],
)
def test_a_follow_up_is_looked_up_with_the_question_that_it_follows(text: str, kind: Kind, own: str) -> None:
    found = wanted(text, HISTORY)
    assert (found.kind, found.own, found.before) == (kind, own, (ASKED,))


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("and in Chinese?", "zh"), ("用中文说", "zh"), ("in English please", "en"), ("能用英文再说一遍吗?", "en"),
        ("and in German?", None),
        ("shorter please", None), ("can you explain that in more detail?", None), ("give me an example", None),
        ("go on", None), ("详细一点", None), ("举个例子", None), ("没听懂", None), ("什么意思?", None),
    ],
)  # fmt: skip
def test_who_asks_only_for_another_form_is_answered_from_the_same_passages(text: str, language: str | None) -> None:
    assert wanted(text, HISTORY) == Wanted("alone", ASKED, (), language)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "How do I connect DingTalk in Stream mode?",
        "怎样用 Stream 模式接入钉钉?",
        "Which tables hold figures of workflows?",
        "Where does MindBot keep its data?",
        "What commands are there?",
        "How do I list all documents?",
        "用中文怎么写提示词?",
        "怎么翻译文档?",
        "when are logs deleted?",
    ],
)
def test_a_question_of_its_own_stays_as_it_is(text: str) -> None:
    assert wanted(text, HISTORY) == Wanted("alone", text)


@pytest.mark.parametrize("text", ["thanks!", "ok great, thank you", "谢谢", "好的,明白了", "hi", "您好!"])
def test_nothing_is_looked_up_for_a_courtesy(text: str) -> None:
    assert wanted(text, HISTORY) == Wanted("courtesy")
    assert wanted(text, ()) == Wanted("courtesy")


def test_the_second_one_is_that_of_the_last_answer() -> None:
    assert wanted("what does the second one cost?", HISTORY).own == "what does cost WeCom Customer Service"
    assert "AIM" in wanted("第三个呢?", HISTORY).query


def test_follow_ups_of_follow_ups_go_back_to_the_question() -> None:
    longer = (*HISTORY, Turn("user", "and its limits?"), Turn("assistant", "20 a minute"))
    assert wanted("why?", longer).before == ("limits", ASKED)
    longer = (
        *longer,
        Turn("user", "thanks"),
        Turn("assistant", "!"),
        Turn("user", "用中文说"),
        Turn("assistant", "..."),
    )
    assert wanted("shorter please", longer) == Wanted("pointing", "limits", (ASKED,))
    assert wanted("and in Chinese?", longer) == Wanted("pointing", "limits", (ASKED,), "zh")


@given(st.text(max_size=300), st.lists(st.text(max_size=80), max_size=5))
def test_any_text_can_be_a_message(text: str, earlier: list[str]) -> None:
    found = wanted(text, [Turn("user", one) for one in earlier])
    assert len(found.query) <= max(1200, len(text))


def passage(number: int, text: str, title: str = "") -> Passage:
    return Passage(number, number, "kb", f"{number}.md", title or f"Document {number}", "", "", text, 0.6)


def test_passages_about_what_is_new_go_first_and_others_are_no_answer_to_it() -> None:
    queues = passage(1, "Concurrency of a queue is tuned with this command.")
    both = passage(2, "Concurrency of queues where PostgreSQL is the database.")
    found = narrowing.best([queues, both], Wanted("topic", "for Postgres", ("How do I tune concurrency?",)), 4)
    assert found == (both,)
    assert not narrowing.best([queues, both], Wanted("topic", "Kafka", ("How do I tune concurrency?",)), 4)
    assert narrowing.best([queues, both], Wanted("pointing", "Kafka", ("How do I tune concurrency?",)), 4)


def test_passages_in_the_language_that_is_asked_for_go_first() -> None:
    english, chinese = passage(1, "Thirty days of leave."), passage(2, "年假三十天。")
    assert narrowing.best([english, chinese], Wanted("alone", "leave", (), "zh"), 4) == (chinese, english)
    assert narrowing.best([english, chinese], Wanted("alone", "leave", (), "en"), 1) == (english,)
