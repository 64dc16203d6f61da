"""Word, PowerPoint and Excel: their XML, read for what it says and not for how it looks."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from mindbot_tasks.knowledge.extraction.archive import Archive
from mindbot_tasks.knowledge.extraction.base import MAX_PAGES, Read, Unreadable, heading_path
from mindbot_tasks.knowledge.extraction.tables import add_rows

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_S = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MAX_COLUMNS = 200


def read(content: bytes, found: Read, kind: str) -> None:
    """By the kind of document."""
    archive = Archive(content)
    {"docx": _word, "pptx": _slides, "xlsx": _sheets}[kind](archive, found)


def _word(archive: Archive, found: Read) -> None:
    body = archive.xml("word/document.xml").find(f"{_W}body")
    levels = _heading_styles(archive)
    path: tuple[str, ...] = ()
    for child in body if body is not None else ():
        if child.tag == f"{_W}tbl":
            rows = [
                [" ".join(_said(cell, _W).split()) for cell in row.iter(f"{_W}tc")] for row in child.iter(f"{_W}tr")
            ]
            found.add("\n".join(" | ".join(row) for row in rows if any(row)), path, kind="table")
            continue
        for paragraph in [child] if child.tag == f"{_W}p" else child.iter(f"{_W}p"):
            text = _said(paragraph, _W)
            level = _level(paragraph, levels)
            if level and text.strip():
                path = heading_path(path, level, text)
                found.title = found.title or text.strip()[:300]
            else:
                found.add(text, path)


def _heading_styles(archive: Archive) -> dict[str, int]:
    """Style -> level; styles have names of their own in every language, but an outline level in all of them."""
    levels = {"Title": 1, **{f"Heading{level}": level for level in range(1, 7)}}
    if "word/styles.xml" in archive.names:
        for style in archive.xml("word/styles.xml").iter(f"{_W}style"):
            outline = style.find(f"{_W}pPr/{_W}outlineLvl")
            value = outline.get(f"{_W}val", "9") if outline is not None else "9"
            if value.isdigit() and int(value) < 6:
                levels[style.get(f"{_W}styleId", "")] = int(value) + 1
    return levels


def _level(paragraph: Element, levels: dict[str, int]) -> int:
    style = paragraph.find(f"{_W}pPr/{_W}pStyle")
    return levels.get(style.get(f"{_W}val", ""), 0) if style is not None else 0


def _said(element: Element, space: str) -> str:
    words = []
    for part in element.iter():
        if part.tag == f"{space}t":
            words.append(part.text or "")
        elif part.tag == f"{space}tab":
            words.append("\t")
        elif part.tag in (f"{space}br", f"{space}cr"):
            words.append("\n")
    return "".join(words)


def _numbered(archive: Archive, pattern: str) -> list[tuple[int, str]]:
    hits = ((re.fullmatch(pattern, name), name) for name in archive.names)
    return sorted((int(hit[1]), name) for hit, name in hits if hit)


def _slides(archive: Archive, found: Read) -> None:
    slides = _numbered(archive, r"ppt/slides/slide(\d{1,5})\.xml")
    if len(slides) > MAX_PAGES:
        raise Unreadable(f"{len(slides)} slides; at most {MAX_PAGES} are read")
    for number, name in slides:
        texts = [_said(paragraph, _A) for paragraph in archive.xml(name).iter(f"{_A}p")]
        texts = [text for text in texts if text.strip()]
        notes = f"ppt/notesSlides/notesSlide{number}.xml"
        if notes in archive.names:
            texts += [text for text in (_said(p, _A) for p in archive.xml(notes).iter(f"{_A}p")) if len(text) > 8]
        if texts:
            found.title = found.title or texts[0][:300]
            found.add("\n".join(texts), (texts[0][:120],), f"slide {number}")


def _sheets(archive: Archive, found: Read) -> None:
    shared = []
    if "xl/sharedStrings.xml" in archive.names:
        shared = [
            "".join(part.text or "" for part in item.iter(f"{_S}t"))
            for item in archive.xml("xl/sharedStrings.xml").iter(f"{_S}si")
        ]
    targets = {
        relation.get("Id", ""): relation.get("Target", "") for relation in archive.xml("xl/_rels/workbook.xml.rels")
    }
    for sheet in archive.xml("xl/workbook.xml").iter(f"{_S}sheet"):
        target = targets.get(sheet.get(f"{_R}id", ""), "")
        name = target.lstrip("/") if target.startswith("/") else f"xl/{target}"
        if name not in archive.names:
            continue
        title = sheet.get("name", "")[:60]
        rows = [_cells(row, shared) for row in archive.xml(name).iter(f"{_S}row")]
        add_rows([row for row in rows if any(row)], found, (title,), f"sheet {title}")


def _cells(row: Element, shared: list[str]) -> list[str]:
    cells: list[str] = []
    for cell in row.iter(f"{_S}c"):
        column = _column(cell.get("r", ""))
        if column is not None and column < _MAX_COLUMNS:
            cells += [""] * (column - len(cells))
        value = cell.findtext(f"{_S}v") or "".join(part.text or "" for part in cell.iter(f"{_S}t"))
        if cell.get("t") == "s" and value.isdigit():
            value = shared[int(value)] if int(value) < len(shared) else ""
        cells.append(value.strip())
    return cells


def _column(reference: str) -> int | None:
    """
    >>> _column("A1"), _column("AB7")
    (0, 27)
    """
    letters = re.match(r"[A-Z]{1,3}", reference)
    if letters is None:
        return None
    number = 0
    for letter in letters[0]:
        number = number * 26 + ord(letter) - 64
    return number - 1
