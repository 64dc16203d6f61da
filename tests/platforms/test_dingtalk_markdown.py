"""How an answer looks on DingTalk."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindbot_tasks.model.answer import Answer
from mindbot_tasks.model.message import Part
from mindbot_tasks.platforms.dingtalk.markdown import hard_breaks, render, title_of


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Your **order**\n\nIt is here.", "Your order"),
        ("\n\n> quoted `code`", "quoted code"),
        ("- [the page](https://example.com) says", "the page says"),
        ("```python\nx = 1\n```", "x = 1"),
        ("***\n---\nWords", "Words"),
        ("一" * 50, "一" * 39 + "…"),
        ("👩‍👩‍👧‍👦" * 10, "👩‍👩‍👧‍👦" * 5 + "…"),
        ("***", "Helper"),
    ],
)
def test_the_title_is_the_first_line_with_words(text: str, title: str) -> None:
    assert title_of(text, "Helper") == title


def test_lines_break_where_they_were_broken() -> None:
    text = "a\nb\n\nc\n```\nd\ne\n```\n| f |\n| - |\nend"
    assert hard_breaks(text) == "a  \nb\n\nc  \n```\nd\ne\n```\n| f |\n| - |\nend"


@given(st.text(max_size=300))
def test_hard_breaks_add_nothing_but_blanks(text: str) -> None:
    assert [line.rstrip() for line in hard_breaks(text).split("\n")] == [line.rstrip() for line in text.split("\n")]


@settings(deadline=None)
@given(st.text(max_size=80), st.integers(1, 500), st.booleans())
def test_every_piece_fits_into_msg_param(text: str, times: int, as_markdown: bool) -> None:
    for part in render(Answer(text * times, provider="test"), as_markdown=as_markdown, name="Helper"):
        param = {"title": part.data.get("title", ""), "text": "@" + "u" * 255 + part.text}
        assert len(json.dumps(param, ensure_ascii=False).encode()) <= 15_000
        assert len(part.text) <= 5_000


def test_a_short_answer_is_one_piece() -> None:
    assert render(Answer("# Hi\n\nthere", provider="test"), as_markdown=True, name="") == [
        Part("markdown", "# Hi\n\nthere", {"title": "Hi"})
    ]
    assert render(Answer("# Hi", provider="test"), as_markdown=False, name="") == [Part("text", "# Hi")]


@pytest.mark.parametrize(
    ("as_markdown", "text"),
    [
        (True, "See\n\n![a chart](https://example.com/a.png)\n\n[report.pdf](https://example.com/r.pdf)\n\nkept here"),
        (False, "See\n\na chart (https://example.com/a.png)\n\nreport.pdf (https://example.com/r.pdf)\n\nkept here"),
    ],
)
def test_what_is_no_message_of_its_own_is_said_with_its_link(as_markdown: bool, text: str) -> None:
    parts = (
        Part("image", "a chart", {"url": "https://example.com/a.png"}),
        Part("file", "", {"url": "https://example.com/r.pdf", "name": "report.pdf"}),
        Part("file", "kept here", {"url": "file:///etc/passwd"}),
    )
    (part,) = render(Answer("See", provider="test", parts=parts), as_markdown=as_markdown, name="")
    assert part.text == text
