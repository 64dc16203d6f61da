"""The frames of OSCAR: FLAP, SNAC and TLV; pure, big-endian, and never surprised by bytes.

FLAP: `2A | channel u8 | sequence u16 | length u16 | payload`. SNAC: `family u16 | subtype u16 | flags u16 | request id
u32 | body`. TLV: `type u16 | length u16 | value`. Public OSCAR specification and open-oscar-server's source, read
2026-11-20.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mindbot_tasks.core.errors import PayloadInvalid

MARK = 0x2A
SIGN_ON, DATA, ERROR, SIGN_OFF, KEEP_ALIVE = 1, 2, 3, 4, 5
MAX_PAYLOAD = 0xFFFF
_EXTRA_BLOCK = 0x8000


class Reader:
    """Takes values off the front of some bytes. Every method raises PayloadInvalid when they do not suffice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._data):
            raise PayloadInvalid("the frame ends in the middle of a value")
        taken = self._data[self._at : end]
        self._at = end
        return taken

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "big")

    def rest(self) -> bytes:
        return self.take(len(self._data) - self._at)

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def u16(value: int) -> bytes:
    return struct.pack(">H", value)


def u32(value: int) -> bytes:
    return struct.pack(">I", value)


@dataclass(frozen=True, slots=True)
class Flap:
    """One frame."""

    channel: int
    sequence: int
    payload: bytes = b""

    def encode(self) -> bytes:
        return struct.pack(">BBHH", MARK, self.channel, self.sequence, len(self.payload)) + self.payload


class FlapParser:
    """Makes frames of whatever pieces the network hands over."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Flap]:
        """The frames that are complete now. Raises PayloadInvalid when this is no OSCAR stream."""
        self._held += data
        while len(self._held) >= 6:
            mark, channel, sequence, size = struct.unpack_from(">BBHH", self._held)
            self._check_mark(mark)
            if len(self._held) < 6 + size:
                return
            payload = bytes(self._held[6 : 6 + size])
            del self._held[: 6 + size]
            yield Flap(channel, sequence, payload)
        if self._held:
            self._check_mark(self._held[0])

    def end(self) -> Flap | None:
        """What an end of the stream here means: a sign-off of four bytes, which has no length, or nothing."""
        if len(self._held) >= 2 and self._held[1] == SIGN_OFF:
            held = bytes(self._held)
            self._held.clear()
            return Flap(SIGN_OFF, int.from_bytes(held[2:4].ljust(2, b"\0"), "big"))
        return None

    @staticmethod
    def _check_mark(mark: int) -> None:
        if mark != MARK:
            raise PayloadInvalid("a frame does not begin with 2A")


@dataclass(frozen=True, slots=True)
class Snac:
    """One request, answer or notice."""

    family: int
    subtype: int
    body: bytes = b""
    request_id: int = 0
    flags: int = 0

    @property
    def kind(self) -> tuple[int, int]:
        return self.family, self.subtype

    @property
    def is_error(self) -> bool:
        return self.subtype == 1

    def encode(self) -> bytes:
        return struct.pack(">HHHI", self.family, self.subtype, self.flags, self.request_id) + self.body


def decode_snac(payload: bytes) -> Snac:
    """The SNAC in the payload of a frame; the extra block that flag 0x8000 announces is left out. Or PayloadInvalid."""
    reader = Reader(payload)
    family, subtype, flags, request_id = reader.u16(), reader.u16(), reader.u16(), reader.u32()
    if flags & _EXTRA_BLOCK:
        reader.take(reader.u16())
    return Snac(family, subtype, reader.rest(), request_id, flags)


Tlvs = dict[int, bytes]


def decode_tlvs(data: bytes) -> Tlvs:
    """The values by type; of a repeated type the first. Raises PayloadInvalid."""
    return read_tlvs(Reader(data))


def read_tlvs(reader: Reader, count: int | None = None) -> Tlvs:
    """So many TLVs, or all that are left; of two of a kind the first. Raises PayloadInvalid."""
    found: Tlvs = {}
    while reader.left and count != 0:
        kind = reader.u16()
        found.setdefault(kind, reader.take(reader.u16()))
        count = None if count is None else count - 1
    if count:
        raise PayloadInvalid("fewer values than announced")
    return found


def encode_tlvs(values: Iterable[tuple[int, bytes]]) -> bytes:
    return b"".join(u16(kind) + u16(len(value)) + value for kind, value in values)


def number(value: bytes | None) -> int | None:
    """The integer in a TLV of one, two or four bytes; None when there is none."""
    return int.from_bytes(value, "big") if value else None
