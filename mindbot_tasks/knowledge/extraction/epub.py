"""Electronic books: the chapters in the order of the spine."""

from __future__ import annotations

import posixpath
from urllib.parse import unquote

from mindbot_tasks.knowledge.extraction.archive import Archive
from mindbot_tasks.knowledge.extraction.base import Read, Unreadable
from mindbot_tasks.knowledge.extraction.html import read_into, text_of

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_OPF = "{http://www.idpf.org/2007/opf}"


def read(content: bytes, found: Read, kind: str) -> None:
    """Every chapter as a page of HTML. Raises Unreadable."""
    archive = Archive(content)
    root = archive.xml("META-INF/container.xml").find(f".//{_CONTAINER}rootfile")
    if root is None:
        raise Unreadable("it names no content")
    package = root.get("full-path", "")
    book = archive.xml(package)
    found.title = (book.findtext(".//{http://purl.org/dc/elements/1.1/}title") or "")[:300]
    files = {item.get("id", ""): item.get("href", "") for item in book.iter(f"{_OPF}item")}
    for number, reference in enumerate(book.iter(f"{_OPF}itemref"), 1):
        href = files.get(reference.get("idref", ""), "")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(href)))
        if name in archive.names:
            before = len(found.blocks)
            read_into(text_of(archive.bytes(name)), found)
            for place in range(before, len(found.blocks)):
                block = found.blocks[place]
                if not block.headings:
                    found.blocks[place] = type(block)(block.text, (), f"chapter {number}", block.kind)
