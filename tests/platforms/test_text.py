"""Cutting texts: nothing is lost, nothing is too long, and the cut is where a reader would make it."""

from __future__ import annotations

import re
import time

import grapheme
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindbot_tasks.platforms.text import Limit, json_size, split_markdown, split_text, utf8_size

LIMIT = Limit(chars=400, size=900)
ENCODABLE = st.characters(codec="utf-8")
WORDS = st.lists(
    st.sampled_from(
        [
            "word ", "And a sentence. ", "Really?! ", "3.14 ", "\n", "\n\n", "一句中文。", "没有句号的中文", "“好！”",
            "，", "👩‍👩‍👧‍👦", "🇩🇪🇨🇳", "é", "\r\n", "x" * 300, "```python\n", "```\n", "~~~\n", "````\n", "`a` ", "```",
            "  ```\n",
        ]
    ),
    max_size=150,
).map("".join)  # fmt: skip
TEXTS = WORDS | st.text(ENCODABLE, max_size=3000)
FENCE = re.compile(r"^ {0,3}(`{3,16}(?!`)|~{3,16}(?!~))([^\n`]*)$", re.MULTILINE)


def open_at_end(text: str) -> bool:
    """Whether a reader of markdown sees a code block that nobody closed; written apart from the code under test."""
    fence = ""
    for line in text.split("\n"):
        if match := FENCE.fullmatch(line):
            marks, info = match.groups()
            if not fence:
                fence = marks
            elif marks[0] == fence[0] and len(marks) >= len(fence) and not info.strip():
                fence = ""
    return bool(fence)


@settings(deadline=None)
@given(TEXTS)
def test_the_pieces_joined_are_the_text_and_each_fits(text: str) -> None:
    pieces = split_text(text, LIMIT)
    assert "".join(pieces) == text
    assert all(piece and LIMIT.holds(piece) for piece in pieces)


@settings(deadline=None)
@given(TEXTS, st.sampled_from([utf8_size, json_size]))
def test_markdown_pieces_joined_are_the_text_and_each_fits_and_closes_its_code(text: str, size_of: object) -> None:
    limit = Limit(chars=400, size=900, size_of=utf8_size if size_of is utf8_size else json_size)
    pieces = split_markdown(text, limit)
    assert "".join(piece.body for piece in pieces) == text
    for piece in pieces:
        assert limit.holds(piece.text)
        assert not open_at_end(piece.text)


@pytest.mark.parametrize("before", range(385, 403))
@pytest.mark.parametrize("marks", ["```python", "````", "   ```", "~~~"])
def test_a_cut_makes_no_code_block_of_marks_inside_a_line(before: int, marks: str) -> None:
    text = "x" * before + marks + "\n" + "y " * 300
    pieces = split_markdown(text, Limit(chars=400, size=900))
    assert "".join(piece.body for piece in pieces) == text
    assert not any(piece.after or open_at_end(piece.text) for piece in pieces)


@settings(deadline=None)
@given(TEXTS)
def test_no_character_is_cut(text: str) -> None:
    place = 0
    boundaries = {0}
    for length in grapheme.grapheme_lengths(text):
        place += length
        boundaries.add(place)
    longest = max((length for length in grapheme.grapheme_lengths(text)), default=0)
    if longest > LIMIT.chars // 2:
        return
    cut = 0
    for piece in split_text(text, LIMIT):
        cut += len(piece)
        assert cut in boundaries


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a" * 250 + ".\n\n" + "b" * 60 + ". " + "c" * 200, "a" * 250 + ".\n\n"),
        ("a" * 150 + ". " + "b" * 150 + ". " + "c" * 300, "a" * 150 + ". " + "b" * 150 + ". "),
        ("中" * 100 + "。" + "文" * 150 + "！" + "字" * 300, "中" * 100 + "。" + "文" * 150 + "！"),
        ("他说：“" + "好" * 200 + "。”" + "字" * 300, "他说：“" + "好" * 200 + "。”"),
        ("a" * 200 + " " + "b" * 150 + " " + "c" * 300, "a" * 200 + " " + "b" * 150 + " "),
        ("x" * 395 + "3.1415926535", "x" * 395 + "3.141"),
        ("x" * 398 + "👩‍👩‍👧", "x" * 398),
        ("a" * 399 + ". " + "b" * 100, "a" * 399 + "."),
    ],
)
def test_cuts_between_paragraphs_then_sentences_then_words(text: str, first: str) -> None:
    assert split_text(text, LIMIT)[0] == first


def test_a_code_block_that_is_cut_goes_on_with_its_language() -> None:
    text = "See:\n```python\n" + "x = 1\n" * 100 + "```\nDone."
    first, second = split_markdown(text, LIMIT)
    assert first.text.endswith("x = 1\n```")
    assert second.text.startswith("```python\nx = 1\n")
    assert second.text.endswith("```\nDone.")


def test_a_code_block_that_begins_late_moves_to_the_next_piece() -> None:
    text = "Words. " * 50 + "\n```python\n" + "x = 1\n" * 50 + "```\n"
    first, second = split_markdown(text, LIMIT)
    assert "```" not in first.text
    assert second.text == "```python\n" + "x = 1\n" * 50 + "```\n"


def test_a_short_text_is_one_piece_and_an_empty_one_none() -> None:
    assert split_text("short", LIMIT) == ["short"]
    assert split_text("", LIMIT) == []


def test_a_single_character_longer_than_the_limit_is_cut_after_all() -> None:
    text = "a" + "\u0301" * 2000
    pieces = split_text(text, LIMIT)
    assert "".join(pieces) == text
    assert all(LIMIT.holds(piece) for piece in pieces)


@pytest.mark.parametrize("unit", [".", "!?", "`", "```\n", "\n", " ", "。", "a.", "🇩🇪", "\u0301"])
def test_long_monotonous_texts_take_no_time(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    limit = Limit(chars=4800, size=13_500, size_of=json_size)
    began_at_s = time.thread_time()  # the processor's: others may have it meanwhile
    assert "".join(piece.body for piece in split_markdown(text, limit)) == text
    assert time.thread_time() - began_at_s < 30  # in the square of its length it would take hours
