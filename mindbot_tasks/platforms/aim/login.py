"""The first connection: proves who we are by a digest, and learns where to go with which cookie; pure.

BUCP (family 17). weak = MD5(key + password + "AOL Instant Messenger (SM)"), strong = the same with MD5(password).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from mindbot_tasks.core.errors import PayloadInvalid
from mindbot_tasks.platforms.aim.errors import LoginRefused
from mindbot_tasks.platforms.aim.wire import Reader, Snac, decode_tlvs, encode_tlvs, number, u16, u32

FAMILY = 0x17
LOGIN, ANSWER, ASK_KEY, KEY = 0x02, 0x03, 0x06, 0x07
HELLO = b"\x00\x00\x00\x01"
DEFAULT_PORT = 5190

_PEPPER = b"AOL Instant Messenger (SM)"
_CLIENT = "MindBot"
_SINGLE_SESSION = b"\x03"


def digest(key: bytes, password: str, *, strong: bool) -> bytes:
    """Sixteen bytes that show that we know the password."""
    secret = password.encode()
    if strong:
        secret = hashlib.md5(secret, usedforsecurity=False).digest()
    return hashlib.md5(key + secret + _PEPPER, usedforsecurity=False).digest()


def ask_key(name: str) -> Snac:
    return Snac(FAMILY, ASK_KEY, encode_tlvs([(0x01, name.encode()), (0x4B, b""), (0x5A, b"")]))


def read_key(body: bytes) -> bytes:
    """The server's part of the digest. Raises PayloadInvalid."""
    reader = Reader(body)
    return reader.take(reader.u16())


def login(name: str, proof: bytes, *, strong: bool) -> Snac:
    values = [(0x01, name.encode()), (0x25, proof)]
    if strong:
        values.append((0x4C, b""))
    values += [
        (0x03, _CLIENT.encode()),
        *((kind, u16(value)) for kind, value in ((0x16, 0x0109), (0x17, 5), (0x18, 1), (0x19, 0), (0x1A, 3036))),
        (0x14, u32(0)),
        (0x0F, b"en"),
        (0x0E, b"us"),
        (0x4A, _SINGLE_SESSION),
    ]
    return Snac(FAMILY, LOGIN, encode_tlvs(values))


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where to go now; good once, and not for long."""

    host: str
    port: int
    cookie: bytes = field(repr=False)


def read_answer(body: bytes) -> Ticket:
    """What 17/03 says. Raises LoginRefused or PayloadInvalid."""
    values = decode_tlvs(body)
    if 0x08 in values or not values.get(0x05) or not values.get(0x06):
        code = number(values.get(0x08))
        if code is None:
            raise PayloadInvalid("the answer to the login names neither an error nor a server")
        raise LoginRefused(code)
    host, port = split_address(values[0x05].decode("utf-8", "replace"))
    return Ticket(host, port, values[0x06])


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`. Raises PayloadInvalid."""
    address = address.strip().rstrip("\x00")
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        host, _, port = address.partition(":")
    if not host or (port and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536)):
        raise PayloadInvalid("the server's address cannot be read")
    return host, int(port) if port else DEFAULT_PORT
