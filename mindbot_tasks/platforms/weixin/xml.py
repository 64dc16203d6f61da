"""XML from strangers becomes plain values, or PayloadInvalid: no DTDs, no entities, neither big nor deep."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.ElementTree import DefusedXMLParser

from mindbot_tasks.core.errors import PayloadInvalid

MAX_BYTES = 1_000_000
_MAX_DEPTH = 12
_MAX_ELEMENTS = 2_000


class _Bounded(TreeBuilder):
    """Builds a tree that is neither deep nor wide."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = self._elements = 0

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self._depth += 1
        self._elements += 1
        if self._depth > _MAX_DEPTH or self._elements > _MAX_ELEMENTS:
            raise ValueError("too deep or too many elements")
        return super().start(tag, {})

    def end(self, tag: Any, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def read_fields(text: bytes) -> dict[str, Any]:
    """The elements below the root: a text, an object of the same form, or a list where a name repeats.

    Raises PayloadInvalid, without a word about where.
    """
    if len(text) > MAX_BYTES:
        raise PayloadInvalid("the XML is too big")
    parser = DefusedXMLParser(target=_Bounded(), forbid_dtd=True, forbid_entities=True, forbid_external=True)
    try:
        parser.feed(text)
        root: Element = parser.close()
    except (ParseError, ValueError, LookupError, AssertionError):  # ValueError: also what defusedxml raises
        raise PayloadInvalid("the body is not XML that we read") from None
    return _children(root)


def _children(element: Element) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for child in element:
        value = _children(child) if len(child) else (child.text or "")
        if child.tag in found:
            earlier = found[child.tag]
            found[child.tag] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            found[child.tag] = value
    return found
