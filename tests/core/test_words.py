"""Sentences exist in both languages and take the same fields."""

from __future__ import annotations

import pickle
import string
from importlib import import_module
from pathlib import Path

import pytest

from mindbot_tasks.core import words
from mindbot_tasks.core.words import Sentence, lang_of, say

ROOMS = sorted(path.stem.removeprefix("words_") for path in Path(words.__file__).parent.glob("words_*.py"))


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("room", ROOMS)
def test_both_languages_take_the_same_fields_and_neither_is_empty(room: str) -> None:
    for name, (english, chinese) in import_module(f"mindbot_tasks.core.words_{room}").WORDS.items():
        assert english, name
        assert chinese, name
        assert fields(english) == fields(chinese), name


def test_a_sentence_is_english_text_that_can_be_said_in_chinese() -> None:
    sentence = Sentence("settings.variable_missing", name="X")
    assert sentence == "X is not set"
    assert sentence.in_("zh") == "未设置 X" == say("settings.variable_missing", "zh", name="X")
    assert pickle.loads(pickle.dumps(sentence)).in_("zh") == sentence.in_("zh")  # noqa: S301


def test_sentences_within_a_sentence_follow_its_language() -> None:
    sentence = Sentence("settings.expected_found", expected=Sentence("settings.list"), found="3")
    assert (sentence, sentence.in_("zh")) == ("expected a list; found 3", "应为列表;实际为3")


@pytest.mark.parametrize(
    ("setting", "environ", "lang"),
    [
        ("zh", {"LANG": "en_US.UTF-8"}, "zh"),
        ("en", {"LANG": "zh_CN.UTF-8"}, "en"),
        ("auto", {"LANG": "zh_CN.UTF-8"}, "zh"),
        ("auto", {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ("auto", {}, "en"),
    ],
)
def test_the_setting_decides_the_language_and_else_the_locale(setting: str, environ: dict[str, str], lang: str) -> None:
    assert lang_of(setting, environ) == lang


def test_an_unknown_sentence_is_a_bug_and_not_silence() -> None:
    with pytest.raises(KeyError):
        say("settings.no_such_thing")
