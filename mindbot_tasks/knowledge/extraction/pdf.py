"""PDF page by page; pages that are pictures are named, not passed over in silence."""

from __future__ import annotations

import io
import re

from mindbot_tasks.knowledge.extraction.base import MAX_PAGES, Read, Unreadable

_FEW = 20  #: characters; a page with less and a picture is a scan


def read(content: bytes, found: Read, kind: str) -> None:
    """The text of each page. Raises Unreadable: a password, too many pages."""
    import pypdf

    document = pypdf.PdfReader(io.BytesIO(content))
    if document.is_encrypted and not document.decrypt(""):
        raise Unreadable("it is protected by a password")
    count = len(document.pages)
    if count > MAX_PAGES:
        raise Unreadable(f"{count} pages; at most {MAX_PAGES} are read")
    about = document.metadata
    found.title = str(about.title or "").strip()[:300] if about else ""
    scanned = []
    for number, page in enumerate(document.pages, 1):
        text = page.extract_text()
        if len(text.strip()) < _FEW and _has_picture(page):
            scanned.append(number)
        for paragraph in re.split(r"\n\s*\n", text):
            found.add(paragraph, (), f"page {number}")
    if scanned:
        found.note = f"{len(scanned)} of {count} pages are scans without text, not read: {_spans(scanned)}"


def _has_picture(page: object) -> bool:
    resources = page.get("/Resources") if hasattr(page, "get") else None
    objects = resources.get_object().get("/XObject") if resources is not None else None
    if objects is None:
        return False
    return any(one.get_object().get("/Subtype") == "/Image" for one in objects.get_object().values())


def _spans(numbers: list[int]) -> str:
    """
    >>> _spans([1, 2, 3, 7])
    '1-3, 7'
    """
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    shown = [str(first) if first == last else f"{first}-{last}" for first, last in spans]
    return ", ".join(shown[:10]) + (" ..." if len(shown) > 10 else "")
