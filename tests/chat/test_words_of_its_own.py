"""What the bot says without a model, and what goes along with a question to one."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from mindbot_tasks.chat.apologies import apology_for
from mindbot_tasks.chat.attachments import losses
from mindbot_tasks.chat.context import question_for
from mindbot_tasks.chat.wordless import answer_to
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.core.words import say
from mindbot_tasks.core.words_attachments import WORDS
from mindbot_tasks.model.answer import Answer, Turn
from mindbot_tasks.model.message import Stage, Verdict
from mindbot_tasks.stores.claims import Claim


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize(
    ("question", "wanted", "told"),
    [
        ("what is this?", "auto", "en"),
        ("这是什么？", "auto", "zh"),
        ("", "auto", "en"),
        ("what is this?", "zh", "zh"),
        ("这是什么？", "en", "en"),
    ],
)
def test_an_apology_is_in_the_language_of_the_asker_unless_another_is_set(
    verdict: Verdict, question: str, wanted: Literal["auto", "en", "zh"], told: Literal["en", "zh"]
) -> None:
    assert apology_for(verdict, question, wanted) == say(f"apology.{verdict}", told)


def test_no_apology_is_empty_or_the_same_as_another() -> None:
    told = {apology_for(verdict, question, "auto") for verdict in Verdict for question in ("hello", "你好")}
    assert len(told) == 2 * len(Verdict)


def part(kind: str, text: str = "", **data: object) -> dict[str, object]:
    return {"kind": kind, "text": text, "data": data}


@pytest.mark.parametrize(
    ("parts", "english", "chinese"),
    [
        ([part("image")], "I cannot see pictures here. Please write your question.",
         "我在这里看不了图片。请用文字告诉我您的问题。"),
        ([part("voice", file=3), part("image"), part("image")],
         "I cannot see pictures here. I cannot listen to voice messages here. Please write your question.",
         "我在这里看不了图片。 我在这里听不了语音。请用文字告诉我您的问题。"),
        ([part("file", unavailable="too_big", name="a.pdf")],
         "I could not read a.pdf: it is bigger than 20 MB. Please write your question.",
         "我无法读取a.pdf:文件超过 20 MB。请用文字告诉我您的问题。"),
        ([part("voice", unavailable="no_codec"), part("text"), part("mention")],
         "I could not read your voice message: the recording is in a format I cannot convert. "
         "Please write your question.", "我无法读取您的语音:录音格式无法转换。请用文字告诉我您的问题。"),
        ([part("location"), part("card")], say("chat.cannot_read", "en"),
         say("chat.cannot_read", "zh")),
    ],
)  # fmt: skip
def test_what_could_not_be_read_is_named(parts: list[dict[str, object]], english: str, chinese: str) -> None:
    assert answer_to(parts, "en") == Answer(english, "mindbot")
    assert answer_to(parts, "zh").text == chinese


def test_every_reason_has_its_words() -> None:
    for reason in {key.removeprefix("why_") for key in WORDS if key.startswith("why_")} | {"unheard of"}:
        for language in ("en", "zh"):
            assert losses([part("video", unavailable=reason)], language, max_mb=5)
    assert losses([part("image", file=3), part("text", "hi")], "en", max_mb=5) == ""


@pytest.mark.parametrize("kinds", [[], ["text"], ["mention", "text"], ["quote"]])
def test_who_said_nothing_is_asked(kinds: list[str]) -> None:
    assert answer_to([part(kind) for kind in kinds], "en").text == say("chat.nothing_said", "en")


def _claim(**fields: Any) -> Claim:
    values: dict[str, Any] = {
        "message_id": 7, "attempt": 2, "stage": Stage.GENERATE, "strikes": 1, "retries": 0, "platform": "dingtalk",
        "bot": "sales", "conversation_id": 3, "conversation_ref": "cid1", "conversation_kind": "group",
        "sender_ref": "user01", "text": "what now?", "parts": [], "address": {}, "verdict": None,
        "label": "reports", "classification": {"confidence": 0.7, "reason": "pattern: report", "scores": {"a": 1.0}},
        "time_left_ms": 1000,
    }  # fmt: skip
    return Claim(**(values | fields))


def test_a_question_says_who_asks_where_and_what_it_is_about() -> None:
    question = question_for(_claim(), Settings())
    assert question.text == "what now?"
    assert question.user_key == "dingtalk:user01"
    assert question.conversation_key == "dingtalk:sales:cid1"
    assert (question.classification.label, question.classification.confidence) == ("reports", 0.7)
    assert question.language == "en"


def test_a_message_that_was_not_classified_is_a_question_all_the_same() -> None:
    question = question_for(_claim(label="", classification={}), Settings())
    assert (question.classification.label, question.classification.confidence) == ("", 0.0)


def test_the_oldest_turns_stay_behind() -> None:
    history = tuple(
        turn for number in range(20) for turn in (Turn("user", f"question {number}"), Turn("assistant", "x" * 40))
    )
    question = question_for(_claim(history=history), Settings(history_tokens=60))
    assert 0 < len(question.history) < len(history)
    assert question.history == history[-len(question.history) :]
    assert question.history[0].role == "user"
    assert question_for(_claim(history=history), Settings(history_tokens=0)).history == ()
