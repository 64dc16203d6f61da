"""The archives that office documents and books are: opened with limits on everything that may unfold."""

from __future__ import annotations

import io
import zipfile
from xml.etree.ElementTree import Element, TreeBuilder

from defusedxml import ElementTree, EntitiesForbidden

from mindbot_tasks.knowledge.extraction.base import Unreadable

MAX_FILES = 5000
MAX_UNPACKED = 200_000_000
MAX_RATIO = 200
MAX_DEPTH = 300
_RATIO_MATTERS_FROM = 5_000_000


class Archive:
    """A ZIP whose declared sizes are believed only as upper limits."""

    def __init__(self, content: bytes) -> None:
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except zipfile.BadZipFile:
            raise Unreadable("it is damaged, or not of the kind that its name says") from None
        entries = self._zip.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        if len(entries) > MAX_FILES or unpacked > MAX_UNPACKED:
            raise Unreadable(f"it unfolds to {unpacked // 1_000_000} MB in {len(entries)} files: refused as a zip bomb")
        if unpacked > _RATIO_MATTERS_FROM and unpacked > MAX_RATIO * len(content):
            raise Unreadable(f"it unfolds to {unpacked // max(len(content), 1)} times its size: refused as a zip bomb")
        if any(entry.flag_bits & 1 for entry in entries):
            raise Unreadable("it is protected by a password")
        self.names = [entry.filename for entry in entries]
        self._left = MAX_UNPACKED

    def bytes(self, name: str) -> bytes:
        """One file. Raises Unreadable if it is not there, or larger than the archive says."""
        try:
            with self._zip.open(name) as stream:
                content = stream.read(self._left + 1)
        except KeyError:
            raise Unreadable("it is not of the kind that its name says") from None
        self._left -= len(content)
        if self._left < 0:
            raise Unreadable("it unfolds to too much: refused as a zip bomb")
        return content

    def xml(self, name: str) -> Element:
        """One file, as XML without entities of its own."""
        content = self.bytes(name)
        parser = ElementTree.DefusedXMLParser(target=_Shallow(), forbid_dtd=False, forbid_entities=True)
        try:
            parser.feed(content)
            root: Element = parser.close()
        except EntitiesForbidden:
            raise Unreadable("it defines entities of its own: refused as a bomb") from None
        return root


class _Shallow(TreeBuilder):
    """Elements within elements within elements make every walk through them slow."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Unreadable("it is nested too deeply")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)
