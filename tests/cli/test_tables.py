"""Tables lose nothing, however narrow the terminal is."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from mindbot_tasks.cli import tables

HEADS = ["model", "calls", "说明"]
ROWS = [["deepseek/deepseek-v4-chat-2026", "1,234,567", "一个 long explanation with [bold]brackets[/bold] " * 3]]


def printed(width: int, rows: list[list[str]], **options: object) -> str:
    out = io.StringIO()
    tables.show(HEADS, rows, console=Console(file=out, width=width), **options)  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize("width", [30, 50, 80, 300])
def test_nothing_is_cut_at_any_width(width: int) -> None:
    told = printed(width, ROWS, right=(1,), fold=(2,))
    assert "…" not in told
    bare = "".join(sign for sign in told if sign not in " \n│┃┏┓┗┛┡┩┳┴└┘├┤─━╇")
    for cell in (*HEADS[1:], ROWS[0][0], ROWS[0][1]):
        assert cell.replace(" ", "") in bare
    assert told.count("brackets") == 3 or width < 80
    assert max(map(len, told.splitlines())) <= width


def test_a_table_that_does_not_fit_becomes_a_block_for_each_row() -> None:
    told = printed(40, [["a", "1", "x" * 60], ["b", "2", "y"]])
    assert told.splitlines()[0].strip() == "a"
    assert "┃" not in told


@given(st.text(max_size=40), st.text(max_size=40), st.integers(20, 120))
def test_any_text_can_be_shown(one: str, other: str, width: int) -> None:
    printed(width, [[one, "1", other], [other, "2", one]], fold=(2,))
