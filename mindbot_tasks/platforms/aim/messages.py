"""Family 04, instant messages: what is sent, what comes in, and the notices around it; pure.

Charsets of a fragment: 0 ASCII, 2 UCS-2 (UTF-16, big-endian), 3 ISO-8859-1. Lengths count bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.platforms.aim import names
from mindbot_tasks.platforms.aim.wire import Reader, decode_tlvs, encode_tlvs, number, read_tlvs, u16, u32

FAMILY = 0x04
ERROR, SET_PARAMETERS, ASK_PARAMETERS, PARAMETERS, SEND, RECEIVE = 0x01, 0x02, 0x04, 0x05, 0x06, 0x07
MISSED, HOST_ACK, RETRIEVE_OFFLINE, TYPING = 0x0A, 0x0C, 0x10, 0x14
CHANNEL = 1

_ASCII, _UCS2, _LATIN1 = 0, 2, 3
_CAPABILITIES = bytes.fromhex("0501000101")


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message that somebody sent us."""

    sender: str  #: as they write their name
    cookie: bytes
    text: str  #: as it came: HTML or plain
    automatic: bool = False  #: an away message: answering it would make two machines talk for ever
    sent_at_s: int | None = None  #: of a stored message


def encode_text(text: str) -> bytes:
    """Charset, language and text, in the narrowest charset that has all of it."""
    for charset, codec in ((_ASCII, "ascii"), (_LATIN1, "latin-1"), (_UCS2, "utf-16-be")):
        try:
            return u16(charset) + u16(0) + text.encode(codec)
        except UnicodeEncodeError:
            continue
    return u16(_UCS2) + u16(0) + text.encode("utf-16-be", "replace")


def decode_text(charset: int, data: bytes) -> str:
    """What a fragment says; never fails, since senders are careless with charsets."""
    if charset == _UCS2:
        return data[: len(data) // 2 * 2].decode("utf-16-be", "replace")
    if charset == _LATIN1:
        return _as_windows(data)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _as_windows(data)


def _as_windows(data: bytes) -> str:
    """ISO-8859-1 as clients mean it: with the letters of Windows."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:  # five bytes have no letter there
        return data.decode("latin-1")


def outgoing(to: str, text: str, cookie: bytes) -> bytes:
    """The body of 04/06: please acknowledge (TLV 03), and keep it if they are away (TLV 06)."""
    part = encode_text(text)
    fragments = _CAPABILITIES + bytes([1, 1]) + u16(len(part)) + part
    return cookie + u16(CHANNEL) + names.encode(to) + encode_tlvs([(2, fragments), (3, b""), (6, b"")])


def incoming(body: bytes) -> Incoming | None:
    """The message in the body of 04/07; None for files, chats and what else is no plain message. Or PayloadInvalid."""
    reader = Reader(body)
    cookie, channel = reader.take(8), reader.u16()
    sender, _ = read_user(reader)
    values = read_tlvs(reader)
    if channel != CHANNEL or 2 not in values:
        return None
    if not names.normal(sender):
        raise PayloadInvalid("a message without a sender")
    return Incoming(sender, cookie, _joined(values[2]), 4 in values, number(values.get(0x16)))


def _joined(fragments: bytes) -> str:
    reader, said = Reader(fragments), []
    while reader.left:
        kind, _version = reader.u8(), reader.u8()
        data = Reader(reader.take(reader.u16()))
        if kind == 1:
            charset, _language = data.u16(), data.u16()
            said.append(decode_text(charset, data.rest()))
    return "".join(said)


def read_user(reader: Reader) -> tuple[str, int]:
    """The name and the warning level (in tenths of a percent) of a user info block. Raises PayloadInvalid."""
    name = names.decode(reader.take(reader.u8()))
    level = reader.u16()
    read_tlvs(reader, reader.u16())
    return name, level


def read_error(body: bytes) -> tuple[int, int | None]:
    """Code and subcode of xx/01. Raises PayloadInvalid."""
    reader = Reader(body)
    code = reader.u16()
    return code, number(decode_tlvs(reader.rest()).get(8))


@dataclass(frozen=True, slots=True)
class Missed:
    """Messages that the server did not hand to us."""

    sender: str
    count: int
    reason: int  #: 0 invalid, 1 too large, 2 too many, 3 sender warned too often, 4 we are warned too often


def read_missed(body: bytes) -> list[Missed]:
    """What 04/0A tells. Raises PayloadInvalid."""
    reader, found = Reader(body), []
    while reader.left:
        reader.u16()
        name, _ = read_user(reader)
        found.append(Missed(name, reader.u16(), reader.u16()))
    return found


def typing(to: str, event: int) -> bytes:
    """The body of 04/14: 2 somebody types, 0 they stopped."""
    return bytes(8) + u16(CHANNEL) + names.encode(to) + u16(event)


def parameters() -> bytes:
    """The body of 04/02: messages of up to 8000 bytes, missed calls, typing events; on all channels."""
    return u16(0) + u32(0x0B) + u16(8000) + u16(999) + u16(999) + u32(0)
