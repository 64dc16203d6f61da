"""What a model thinks aloud is never shown, however its answer arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.chat.response.thinking import without_thinking


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("a < b and b > c", "a < b and b > c"),
        ("<think>hm</think>Hello", "Hello"),
        ("  <think>\nhm\n</think>\n\nHello", "Hello"),
        ("<THINKING>hm</THINKING >Hello", "Hello"),
        ("◁think▷hm◁/think▷你好", "你好"),
        ("Hello <think>hm</think>world", "Hello world"),
        ("<think>never ends", ""),
        ("it began before</think>Hello", "Hello"),
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("The tag `<think>` opens, `</think>` ends it.", "The tag `<think>` opens, `</think>` ends it."),
        ("```html\n<think>x</think>\n```\nso", "```html\n<think>x</think>\n```\nso"),
        ("```\ncode\n```\n<think>x</think>so", "```\ncode\n```\nso"),
        ("<thin", "<thin"),
    ],
)
def test_only_the_answer_is_left(text: str, shown: str) -> None:
    assert without_thinking(text) == shown


def test_the_beginning_of_a_tag_is_held_back_while_the_answer_grows() -> None:
    assert without_thinking("Hello <thi", growing=True) == "Hello "
    assert without_thinking("Hello <b", growing=True) == "Hello <b"
    assert without_thinking("Hello <think>secret", growing=True) == "Hello "


_pieces = st.lists(
    st.sampled_from(
        ["<think>", "</think>", "secret", " ", "\n", "word", "你好", "<", "</", "think", "◁think▷", "◁/think▷"]
    ),
    max_size=12,
)


@given(_pieces)
def test_what_is_shown_of_a_beginning_is_the_beginning_of_what_is_shown(pieces: list[str]) -> None:
    text = "".join(pieces)
    opened = text.find("<think>"), text.find("◁think▷")
    closed = [at for at in (text.find("</think>"), text.find("◁/think▷")) if at >= 0]
    if closed and not any(0 <= at < min(closed) for at in opened):
        return  # a block that began before the answer cannot be seen before its end
    whole = without_thinking(text)
    for end in range(len(text) + 1):
        assert whole.startswith(without_thinking(text[:end], growing=True))


@given(st.text(alphabet="<>/think◁▷ `\n", max_size=60))
def test_any_text_is_taken(text: str) -> None:
    without_thinking(text)
    without_thinking(text, growing=True)
