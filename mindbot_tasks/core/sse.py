"""Server-sent events, read from a stream of bytes (WHATWG HTML, "event stream interpretation")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mindbot_tasks.core.errors import Unavailable

MAX_EVENT_BYTES = 1_000_000


class Event(NamedTuple):
    name: str  #: "" when the server gave none
    data: str


def lines(chunks: Iterable[bytes], max_bytes: int = MAX_EVENT_BYTES) -> Iterator[bytes]:
    """Lines ended by LF, CRLF or CR, without their ends; the last may have no end.

    Raises Unavailable for a line above `max_bytes`.
    """
    rest = b""
    skip_lf = False  # a CR ended the chunk before; its LF may still come
    for chunk in chunks:
        if skip_lf and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if not chunk:
            continue
        skip_lf = chunk.endswith(b"\r")
        if b"\n" not in chunk and b"\r" not in chunk:
            rest += chunk
            if len(rest) > max_bytes:
                raise _too_long()
            continue
        pieces = (rest + chunk).splitlines()
        rest = b"" if chunk.endswith((b"\n", b"\r")) else pieces.pop()
        if any(len(piece) > max_bytes for piece in pieces):
            raise _too_long()
        yield from pieces
    if rest:
        yield rest


def events(chunks: Iterable[bytes], max_bytes: int = MAX_EVENT_BYTES) -> Iterator[Event]:
    """Events that carry data; comments and pings without data are only swallowed.

    A last event without its empty line is still given: some servers forget it after the end mark. Raises Unavailable
    for an event above `max_bytes`.
    """
    name = ""
    data: list[str] = []
    size = 0
    first = True
    for line in lines(chunks, max_bytes):
        if first:
            line = line.removeprefix(b"\xef\xbb\xbf")
            first = False
        if not line:
            if data:
                yield Event(name, "\n".join(data))
                data = []
                size = 0
            name = ""
        elif line.startswith(b"data:"):
            size += len(line)
            if size > max_bytes:
                raise _too_long()
            data.append(line[6 if line[5:6] == b" " else 5 :].decode("utf-8", "replace"))
        elif line.startswith(b"event:"):
            name = line[6:].strip().decode("utf-8", "replace")
    if data:
        yield Event(name, "\n".join(data))


def _too_long() -> Unavailable:
    return Unavailable("an event of the stream is too long", kind="protocol", code="event_too_long")
