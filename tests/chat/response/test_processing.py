"""All filters together: what is shown while an answer grows, what is sent, and when somebody else is asked."""

from __future__ import annotations

import re
from typing import Any, Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mindbot_tasks.chat.response import quality
from mindbot_tasks.chat.response.processing import Processing, findings_of, processing_of
from mindbot_tasks.chat.response.refusal import is_refusal
from mindbot_tasks.core.settings import PiiSettings, ResponseSettings, Settings, WordsSettings
from mindbot_tasks.llm.base import Question
from mindbot_tasks.model.answer import Answer, Turn
from mindbot_tasks.model.message import Part
from mindbot_tasks.stores.remembered import Fact
from tests.llm.asking import question

ENGLISH = "Because of the way that air scatters the light of the sun in all directions."
EVERYTHING = ResponseSettings(
    pii=PiiSettings(kinds=["email", "phone", "id_card", "bank_card", "ip"]),
    words=WordsSettings(questions=["secret plan"], answers=["badword", "敏感词"], action="mask"),
    private_links="remove",
    image_hosts=["example.com"],
)
BLOCK = ResponseSettings(words=WordsSettings(questions=["secret plan"], answers=["badword"]))


def asked(text: str = "hello", **fields: Any) -> Question:
    return question(text, **fields)


def test_everything_at_once() -> None:
    text = "<think>a@b.com</think>Call 13800138000, badword, [x](javascript:y) ![p](https://evil.net/p.png)"
    said = Processing(EVERYTHING).finished(Answer(text, provider="p", details={"citations": [1]}), asked())
    assert said.text == "Call *******8000, *******, x [p](https://evil.net/p.png)"
    assert said.details["filtered"] == ["thinking", "words", "links", "personal_data"]
    assert said.details["citations"] == [1]
    assert findings_of(said) == ["thinking", "words", "links", "personal_data"]


def test_nothing_is_done_to_a_plain_answer() -> None:
    answer = Answer("It is **42**, see [docs](https://example.com).", provider="p")
    assert Processing(ResponseSettings()).finished(answer, asked()) is answer


@given(
    st.lists(
        st.sampled_from(
            ["<think>", "secret", "</think>", " 13800138000", "a@b.com", " bad", "word", "敏感", "词", " ", "\n\n",
             "[x]", "(javascript:y)", "![p](https://evil", ".net/p.png)", "http://10.0.0.1/", "你好", "hello", "，"]
        ),
        max_size=10,
    )
)  # fmt: skip
@example(["![p](https://evil", " 13800138000", ".net/p.png)"])
def test_what_grows_is_the_beginning_of_what_is_sent(pieces: list[str]) -> None:
    text = "".join(pieces)
    if "</think>" in text and "<think>" not in text.split("</think>")[0]:
        return  # seen only when it ends
    processing = Processing(EVERYTHING)
    whole, _ = processing.whole(text, "en")
    for end in range(len(text) + 1):
        shown = processing.visible(text[:end])
        assert whole.startswith(shown), (text[:end], shown, whole)
        assert not re.search(r"(?<!\d)13800138000(?!\d)", shown)
        for forbidden in ("a@b.com", "badword", "敏感词", "](javascript", "10.0.0.1"):
            assert forbidden not in shown


def test_a_private_link_is_removed_before_its_address_is_masked() -> None:
    processing = Processing(ResponseSettings(private_links="remove", pii=PiiSettings(kinds=["ip"])))
    said = processing.whole("see [the page](http://10.0.0.5/a) on 10.0.0.5", "en")
    assert said == ("see the page on **.*.*.*", ["links", "personal_data"])


@pytest.mark.parametrize("action", ["mask", "redact", "hash"])
def test_a_link_whose_address_was_masked_in_the_question_is_removed_too(
    action: Literal["mask", "redact", "hash"],
) -> None:
    pii = PiiSettings(kinds=["ip"], action=action)
    processing = Processing(ResponseSettings(private_links="remove", pii=pii))
    told = processing.for_models(asked("what is on http://10.0.0.5/a and [here](http://10.0.0.5/b)")).text
    assert "10.0.0.5" not in told
    assert processing.whole(told, "en")[0] == "what is on … and here"


def test_a_blocked_answer_is_replaced_and_stops_growing_before_the_word() -> None:
    processing = Processing(BLOCK)
    assert processing.visible("It is a badword and more") == "It is a "
    text, done = processing.whole("It is a badword and more", "zh")
    assert text == "抱歉，这个话题我不便讨论，请换个问题。"
    assert done == ["blocked"]
    own = BLOCK.model_copy(update={"words": WordsSettings(answers=["badword"], reply="No.")})
    assert Processing(own).whole("badword", "en")[0] == "No."


def test_a_question_with_a_banned_word_is_stopped_or_masked() -> None:
    assert Processing(BLOCK).stops(asked("tell me the Secret Plan"))
    assert not Processing(BLOCK).stops(asked("tell me"))
    assert not Processing(EVERYTHING).stops(asked("the secret plan"))
    assert Processing(EVERYTHING).for_models(asked("the secret plan")).text == "the ***********"


def test_models_get_no_personal_data_from_anywhere() -> None:
    told = Processing(EVERYTHING).for_models(
        asked(
            "13800138000",
            history=(Turn("user", "a@example.com"),),
            summary="ip 10.0.0.1",
            facts=(Fact("13800138000", 1),),
        )
    )
    assert told.text == "*******8000"
    assert told.history[0].text == "a***@example.com"
    assert "10.0.0.1" not in told.summary
    assert told.facts[0].text == "*******8000"


def test_without_filters_a_question_stays_as_it_is() -> None:
    plain = asked("13800138000")
    assert Processing(ResponseSettings()).for_models(plain) is plain
    only_answers = ResponseSettings(pii=PiiSettings(kinds=["phone"], questions=False))
    assert Processing(only_answers).for_models(plain) is plain


def test_word_files(tmp_path: Any) -> None:
    path = tmp_path / "words.txt"
    path.write_text("# a list\nbadword\n\n敏感词\n", encoding="utf-8")
    processing = Processing(ResponseSettings(words=WordsSettings(answer_files=[str(path)], action="mask")))
    assert processing.whole("敏感词 badword", "en")[0] == "*** *******"


@pytest.mark.parametrize(
    ("text", "setting", "objection"),
    [
        ("fine", "refusal", ""),
        ("", "empty", "empty"),
        (" \n", "empty", "empty"),
        ("<think>only</think>", "empty", "empty"),
        ("I'm sorry, but I can't help with that.", "refusal", "refusal"),
        ("I'm sorry, but I can't help with that.", "empty", ""),
        ("", "never", ""),
    ],
)
def test_what_is_not_accepted(text: str, setting: Any, objection: str) -> None:
    processing = Processing(ResponseSettings(ask_again=setting))
    assert processing.accept(Answer(text, provider="p")) == objection
    assert processing.accept(Answer("", provider="p", parts=(Part("image"),))) == ""


@pytest.mark.parametrize(
    "text",
    [
        "I’m sorry, but I cannot assist with that request.",
        "Sorry, I can't provide that.",
        "I can't help with that.",
        "As an AI language model, I cannot have opinions.",
        "I am unable to provide medical advice.",
        "抱歉，我无法回答这个问题。",
        "对不起，作为AI助手，我不能提供这类信息。",
        "作为一个人工智能语言模型，我无法预测股价。",
        "很抱歉，您的问题我暂时无法回答。",
    ],
)
def test_refusals(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "Sorry to hear that! Try turning it off and on again.",
        "I cannot recommend this restaurant enough.",
        "You can't divide by zero.",
        "抱歉让您久等了，订单已发货。",
        "我们无法登录时，请先检查网络。",
        "",
    ],
)
def test_answers_that_only_sound_like_it(text: str) -> None:
    assert not is_refusal(text)


@pytest.mark.parametrize(
    ("asked_", "answer", "details", "found"),
    [
        ("hello", "Hi!", {}, []),
        ("hello", "It goes on and", {"finish": "length"}, ["truncated"]),
        ("code?", "```python\nx = 1\n", {}, ["unclosed_code"]),
        ("hello", "the same line again\n" * 5, {}, ["repeated"]),
        ("hello", "start " + "and so on and so on, " * 30, {}, ["repeated"]),
        ("为什么天是蓝的？", ENGLISH, {}, ["wrong_language"]),
        ("用英文怎么说？", ENGLISH, {}, []),
        ("Please explain in detail how a transistor works.", "ok", {}, ["too_short"]),
        ("hello", "Dear [insert name here]", {}, ["placeholder"]),
        ("table?", "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 30, {}, []),
    ],
)  # fmt: skip
def test_quality(asked_: str, answer: str, details: dict[str, Any], found: list[str]) -> None:
    assert quality.findings(asked_, answer, details) == found


def test_a_bot_changes_single_keys_of_the_installations(monkeypatch: pytest.MonkeyPatch) -> None:
    from mindbot_tasks.core.settings import BotSettings

    settings = Settings(response=ResponseSettings(ask_again="refusal", quality=False))
    own = BotSettings(response=ResponseSettings(strip_thinking=False))
    monkeypatch.setattr(Settings, "bot", lambda _self, _platform, bot: own if bot == "own" else BotSettings())
    assert settings.response_of("chat", "own").ask_again == "refusal"
    assert settings.response_of("chat", "own").strip_thinking is False
    assert processing_of(settings, "chat", "own") is processing_of(settings, "chat", "own")
    assert processing_of(settings, "chat", "own").whole("<think>x</think>y", "en")[0] == "<think>x</think>y"
    assert processing_of(settings, "chat", "other").whole("<think>x</think>y", "en")[0] == "y"
