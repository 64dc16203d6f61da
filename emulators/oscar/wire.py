"""FLAP, SNAC and TLV as the server writes and reads them; big-endian throughout."""

from __future__ import annotations

import struct
from collections.abc import Iterable


class BadFrame(Exception):
    """The client sent something that is no frame, or a frame whose inside does not add up."""


def tlv(kind: int, value: bytes = b"") -> bytes:
    return struct.pack(">HH", kind, len(value)) + value


def tlvs(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while data:
        if len(data) < 4:
            raise BadFrame("half a TLV")
        kind, size = struct.unpack_from(">HH", data)
        if len(data) < 4 + size:
            raise BadFrame("a TLV that is longer than its frame")
        found[kind] = data[4 : 4 + size]
        data = data[4 + size :]
    return found


def short(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


def long(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def snac(family: int, subtype: int, body: bytes = b"", *, request_id: int = 0x8000_0000, extra: bool = False) -> bytes:
    """`extra`: with the block of additional TLVs that flag 0x8000 announces."""
    flags = 0x8000 if extra else 0
    block = tlv(1, b"\x00\x04")
    inside = short(len(block)) + block + body if extra else body
    return struct.pack(">HHHI", family, subtype, flags, request_id) + inside


def user_info(name: str, warning: int = 0, values: Iterable[tuple[int, bytes]] = ((0x01, b"\x00\x10"),)) -> bytes:
    data = name.encode()
    values = list(values)
    return (
        bytes([len(data)]) + data + short(warning, len(values)) + b"".join(tlv(kind, value) for kind, value in values)
    )


def normal(name: str) -> str:
    return name.replace(" ", "").lower()


def sized(data: bytes) -> tuple[bytes, bytes]:
    """What a length byte announces, and the rest."""
    if not data or len(data) < 1 + data[0]:
        raise BadFrame("a name that is longer than its frame")
    return data[1 : 1 + data[0]], data[1 + data[0] :]


_CODECS = {0: "ascii", 2: "utf-16-be", 3: "latin-1"}


def fragments(text: str, charset: int) -> bytes:
    data = text.encode(_CODECS[charset], "replace")
    return bytes.fromhex("0501000101") + bytes([1, 1]) + short(4 + len(data), charset, 0) + data


def text_of(data: bytes) -> str:
    """The text of all fragments. Strict, so that a client's carelessness is seen."""
    said = ""
    while data:
        if len(data) < 4:
            raise BadFrame("half a fragment")
        kind, _, size = struct.unpack_from(">BBH", data)
        part, data = data[4 : 4 + size], data[4 + size :]
        if len(part) < size:
            raise BadFrame("a fragment that is longer than its frame")
        if kind == 1:
            charset, _ = struct.unpack_from(">HH", part)
            try:
                said += part[4:].decode(_CODECS[charset])
            except (UnicodeDecodeError, KeyError) as exc:
                raise BadFrame("a text that is not in its charset") from exc
    return said
