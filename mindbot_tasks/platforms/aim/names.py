"""Screen names: written as people like, compared without blanks and case."""

from __future__ import annotations


def normal(name: str) -> str:
    """The form in which screen names are compared: "Mind Bot" is "mindbot"."""
    return "".join(name.split()).lower()


def encode(name: str) -> bytes:
    """A name on the wire, with its length in front."""
    data = name.encode("utf-8", "replace")[:255]
    return bytes([len(data)]) + data


def decode(data: bytes) -> str:
    return data.decode("utf-8", "replace").replace("\x00", "")
