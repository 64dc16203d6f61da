"""Documents become text, or are refused with a reason; whatever the bytes are."""

from __future__ import annotations

import io
import zipfile

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindbot_tasks.knowledge.extraction import Unreadable, archive, extract, kind_of
from mindbot_tasks.knowledge.extraction.base import KINDS, MAX_PAGES
from mindbot_tasks.knowledge.extraction.child import read
from mindbot_tasks.knowledge.extraction.plain import decode

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
A = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
S = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
R = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def zipped(**files: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return out.getvalue()


def paragraph(text: str, style: str = "") -> str:
    look = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{look}<w:r><w:t>{text}</w:t></w:r></w:p>"


def test_word_keeps_headings_and_tables_in_their_order() -> None:
    table = "<w:tbl><w:tr><w:tc>" + paragraph("Item") + "</w:tc><w:tc>" + paragraph("Price") + "</w:tc></w:tr></w:tbl>"
    body = paragraph("Holidays", "Heading1") + paragraph("Thirty days.") + table + paragraph("The end.")
    found = read("docx", zipped(word__document_dot_xml=f"<w:document {W}><w:body>{body}</w:body></w:document>"))
    assert [(block.text, block.headings, block.kind) for block in found.blocks] == [
        ("Thirty days.", ("Holidays",), "text"), ("Item | Price", ("Holidays",), "table"),
        ("The end.", ("Holidays",), "text"),
    ]  # fmt: skip


def test_slides_and_sheets_say_where_they_are() -> None:
    slide = f"<p {A}><a:p><a:r><a:t>Plan</a:t></a:r></a:p><a:p><a:r><a:t>Ship in May</a:t></a:r></a:p></p>"
    (block,) = read("pptx", zipped(ppt__slides__slide2_dot_xml=slide)).blocks
    assert (block.place, block.text) == ("slide 2", "Plan\nShip in May")
    cells = '<row><c r="A1" t="s"><v>0</v></c><c r="C1"><v>7</v></c></row>'
    sheet = f"<worksheet {S}><sheetData>{cells}</sheetData></worksheet>"
    relation = '<Relationship Id="r1" Target="sheet.xml"/>'
    (block,) = read("xlsx", zipped(
        xl__workbook_dot_xml=f'<workbook {S} {R}><sheets><sheet name="Prices" r:id="r1"/></sheets></workbook>',
        xl___rels__workbook_dot_xml_dot_rels=f"<Relationships>{relation}</Relationships>",
        xl__sharedStrings_dot_xml=f"<sst {S}><si><t>Pear</t></si></sst>", xl__sheet_dot_xml=sheet,
    )).blocks  # fmt: skip
    assert (block.place, block.text, block.kind) == ("sheet Prices", "Pear |  | 7", "table")


def test_web_pages_lose_scripts_and_navigation_and_keep_structure() -> None:
    page = "<title>T</title><nav>menu</nav><h1>Leave</h1><p>Thirty <b>days</b>.</p><script>x()</script><pre>a\n b</pre>"
    found = read("html", page.encode())
    assert [(block.text, block.headings, block.kind) for block in found.blocks] == [
        ("Thirty days.", ("Leave",), "text"), ("a\n b", ("Leave",), "code"),
    ]  # fmt: skip


def test_markdown_keeps_code_apart_and_tables_whole() -> None:
    found = read("md", b"# A\n\ntext [link](x)\n\n## B\n\n```\n# no heading\n```\n\n| a | b |\n| - | - |\n| 1 | 2 |\n")
    assert [(block.text, block.headings, block.kind) for block in found.blocks] == [
        ("text link", ("A",), "text"), ("# no heading", ("A", "B"), "code"),
        ("| a | b |\n| - | - |\n| 1 | 2 |", ("A", "B"), "table"),
    ]  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
def test_chinese_is_read_in_every_usual_encoding(encoding: str) -> None:
    text = "年假一共三十天,试用期内不能使用。请提前两周在系统中申请。"
    assert decode(text.encode(encoding)) == text


def pdf(pages: int) -> bytes:
    writer, out = pypdf.PdfWriter(), io.BytesIO()
    for _ in range(pages):
        writer.add_blank_page(10, 10)
    writer.write(out)
    return out.getvalue()


def test_a_pdf_of_thousands_of_pages_is_refused_and_one_without_text_too() -> None:
    with pytest.raises(Unreadable, match=f"{MAX_PAGES + 1} pages"):
        read("pdf", pdf(MAX_PAGES + 1))
    with pytest.raises(Unreadable, match="no text"):
        read("pdf", pdf(1))


def test_a_zip_bomb_is_refused_before_it_unfolds() -> None:
    with pytest.raises(Unreadable, match="zip bomb"):
        read("docx", zipped(word__document_dot_xml=b"0" * 30_000_000))
    with pytest.raises(Unreadable, match="zip bomb"):
        archive.Archive(zipped(**{f"f{number}": b"" for number in range(archive.MAX_FILES + 1)}))


def test_old_office_files_are_named_as_such() -> None:
    with pytest.raises(Unreadable, match=r"save it as \.docx"):
        kind_of("letter.doc")
    with pytest.raises(Unreadable, match="cannot be read"):
        kind_of("program.exe")


def test_a_document_is_read_in_another_process_with_a_limit_on_time() -> None:
    found = extract(b"# Title\n\nwords", "a.md")
    assert (found.title, found.blocks[0].text) == ("Title", "words")
    with pytest.raises(Unreadable, match="longer than"):
        extract(b"words", "a.txt", timeout_s=0.001)


@given(
    st.sampled_from(sorted(KINDS)),
    st.binary(max_size=300) | st.binary(max_size=60).map(lambda data: b"%PDF-1.4\n" + data),
)
@settings(max_examples=150, deadline=None)
def test_whatever_the_bytes_are_there_is_text_or_a_reason(kind: str, content: bytes) -> None:
    try:
        found = read(kind, content)
    except Unreadable:
        return
    assert found.blocks
