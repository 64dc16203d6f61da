"""Markdown becomes readable text where markdown is not known."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindbot_tasks.platforms.plain import to_plain

WIDE = "| Day | High | Low |\n|-----|-----:|:---:|\n| Mon | 21 | **9** |\n| Tue | 19 | |\n"


@pytest.mark.parametrize(
    ("markdown", "plain"),
    [
        ("just words, 3.5 - 4", "just words, 3.5 - 4"),
        ("# Title\nText with **bold**, *italics*, ~~old~~, `code`.", "Title\n\nText with bold, italics, old, code."),
        ("See [the docs](https://example.com/a_b) or <https://example.com>.",
         "See the docs (https://example.com/a_b) or https://example.com."),
        ("[https://example.com](https://example.com)", "https://example.com"),
        ("![a chart](https://example.com/c.png)", "a chart (https://example.com/c.png)"),
        ("1. one\n2. two\n   - deep\n   - deeper\n3. three", "1. one\n2. two\n   - deep\n   - deeper\n3. three"),
        ("- a\n\n- b", "- a\n\n- b"),
        ("> quoted\n> twice", "> quoted\n> twice"),
        ("Run:\n\n```python\nif x:\n    y = '**'\n```\nDone.", "Run:\n\nif x:\n    y = '**'\n\nDone."),
        ("one\ntwo", "one\ntwo"),
        ("a &amp; b, \\*not bold\\*, snake_case_name", "a & b, *not bold*, snake_case_name"),
        ("Its __init__ is **bold**, __loud words__ are", "Its __init__ is bold, loud words are"),
        ("[only]: a-reference", "[only]: a-reference"),
        ("line<br>break and <div>", "line\nbreak and <div>"),
        ("| Was | Wann |\n|---|---|\n| Tee | 17 Uhr |", "- Was: Wann\n- Tee: 17 Uhr"),
        (WIDE, "- Mon\n  - High: 21\n  - Low: 9\n- Tue\n  - High: 19"),
        ("**你好**：请看[文档](https://example.com/文档)", "你好：请看文档 (https://example.com/%E6%96%87%E6%A1%A3)"),
        ("", ""),
    ],
)  # fmt: skip
def test_says_the_same_without_marks(markdown: str, plain: str) -> None:
    assert to_plain(markdown) == plain


@given(st.text(alphabet="ab 你|*_`#-\n>[]()<!\\1.&~:\r\t\x00", max_size=120))
def test_never_fails(text: str) -> None:
    to_plain(text)


WORDS = st.text(alphabet="abcdefgh你好", min_size=1, max_size=8)


@given(st.lists(st.lists(WORDS, min_size=2, max_size=5), min_size=2, max_size=5), st.lists(WORDS, max_size=4))
def test_every_word_survives(cells: list[list[str]], items: list[str]) -> None:
    width = len(cells[0])
    rows = [(row * width)[:width] for row in cells]
    table = "\n".join("| " + " | ".join(row) + " |" for row in [rows[0], ["---"] * width, *rows[1:]])
    markdown = f"{table}\n\n" + "\n".join(f"* **{item}** `{item}`" for item in items)
    told = to_plain(markdown)
    assert {cell for row in rows[1:] for cell in row} | set(items) <= set(re.findall(r"\w+", told))
    assert not set(told) & set("|*`")


@given(st.text(alphabet="abc 你好,。\n", max_size=80))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert to_plain(text) == text.strip()
