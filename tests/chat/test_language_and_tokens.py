"""Chinese or English, and how long a text is for a model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.chat.language import detect
from mindbot_tasks.llm.tokens import estimate, trim
from mindbot_tasks.model.answer import Turn


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("你好", "zh"),
        ("hello", "en"),
        ("", "en"),
        ("123 ?!", "en"),
        ("帮我 debug 这个 python error", "zh"),
        ("what does 你好 mean in English please", "en"),
        ("Python 怎么写循环", "zh"),
        ("您好 🌍", "zh"),
    ],
)
def test_languages(text: str, language: str) -> None:
    assert detect(text) == language


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("", 0), ("你" * 200, 200), ("a" * 200, 50), ("abc", 1), ("你好 world", 4), ("，。！", 3), ("🌍", 1)],
)
def test_estimates(text: str, tokens: int) -> None:
    assert estimate(text) == tokens


_turns = st.lists(st.builds(Turn, st.sampled_from(["user", "assistant"]), st.text(max_size=60)), max_size=12)


@given(_turns, st.integers(-5, 200))
def test_what_is_kept_is_the_newest_and_fits(turns: list[Turn], budget: int) -> None:
    kept = trim(turns, budget)
    assert list(kept) == turns[len(turns) - len(kept) :]
    assert sum(estimate(turn.text) for turn in kept) <= max(0, budget)
    assert not kept or kept[0].role == "user"


def test_a_turn_is_kept_whole_or_not_at_all() -> None:
    turns = [Turn("user", "x" * 400), Turn("assistant", "yes"), Turn("user", "and?"), Turn("assistant", "no")]
    assert trim(turns, 50) == tuple(turns[2:])
    assert trim(turns, 1000) == tuple(turns)


def test_calls_of_tools_go_before_words_do_and_the_oldest_first() -> None:
    call = {"tool": "t", "args": {}, "result": "x" * 400}
    turns = [
        Turn(role, word, number, "agent", (call,) if role == "assistant" else ())  # type: ignore[arg-type]
        for number, pair in enumerate([("one", "1"), ("two", "2"), ("three", "3")], 1)
        for role, word in zip(("user", "assistant"), pair, strict=True)
    ]
    kept = trim(turns, 300)
    assert [turn.text for turn in kept] == ["one", "1", "two", "2", "three", "3"]
    assert [bool(turn.tools) for turn in kept] == [False, False, False, True, False, True]
    assert [turn.tools for turn in trim(turns, 5 * 10 + 4)] == [()] * 6
