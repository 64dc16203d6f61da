"""How documents are cut."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from mindbot_tasks.knowledge.chunking import chunks, width
from mindbot_tasks.knowledge.extraction.base import Block


def test_chinese_pieces_end_where_sentences_end() -> None:
    text = "".join(f"第{number}条规定员工应当按时提交报告。" for number in range(100))
    cut = chunks([Block(text)], "规定", size=200, overlap=40)
    assert len(cut) > 10
    assert all(chunk.text.endswith("。") and width(chunk.text) <= 200 for chunk in cut)
    assert cut[0].text[-10:] in cut[1].text  # they overlap


def test_a_heading_begins_a_new_piece_and_names_it() -> None:
    cut = chunks([Block("one", ("A",)), Block("two", ("A", "B"))], "T", size=1000, overlap=100)
    assert [(chunk.title, chunk.text) for chunk in cut] == [("A", "one"), ("A > B", "two")]


def test_every_piece_of_a_long_table_says_what_its_columns_are() -> None:
    rows = "\n".join(f"| item {number} | {number} |" for number in range(100))
    cut = chunks([Block(f"| name | price |\n| --- | --- |\n{rows}", kind="table")], "T", size=300, overlap=50)
    assert len(cut) > 3
    assert all(chunk.text.startswith("| name | price |\n| --- | --- |\n| item") for chunk in cut)


@given(st.text(max_size=3000), st.integers(20, 500), st.sampled_from(["text", "code", "table"]))
@example("0000\n000000000000⺀⺀", 20, "text")
def test_nothing_is_lost_and_nothing_too_wide(text: str, size: int, kind: str) -> None:
    block = Block(text, kind=kind)  # type: ignore[arg-type]
    cut = chunks([block] if text.strip() else [], "", size=size, overlap=size // 5)
    assert all(width(chunk.text) <= size for chunk in cut)
    assert set("".join(text.split())) <= set("".join(chunk.text for chunk in cut)) or not cut
