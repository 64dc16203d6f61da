"""One connection of a client as the server sees it: frames in, frames out, as the switches want them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from emulators.oscar import wire
from emulators.oscar.limiter import Meter
from emulators.oscar.wire import BadFrame

SIGN_ON, DATA, SIGN_OFF, KEEP_ALIVE = 1, 2, 4, 5


@dataclass
class Switches:
    """What the server does otherwise than it should, or than one would think."""

    chunk_bytes: int = 0  #: write in pieces of so many bytes; 0: whole frames
    merge: bool = False  #: hold frames back and write several at once
    extra_frames: bool = False  #: notices that nobody asked for, before each answer
    extra_block: bool = False  #: flag 0x8000 and its block in each SNAC
    rate_entries: int = 35  #: or 30
    limiter: bool = True
    ack: bool = True  #: answer 04/0C
    silent: bool = False  #: take everything, say nothing
    login_error: int = 0
    key_error: int = 0  #: refuse before the digest, as for an unknown name
    weak_only: bool = False  #: an old server, which knows one digest
    advertise: str = ""  #: host that the login names; "": where it was reached
    delay_ms: float = 0  #: before each acknowledgement
    message_error: int = 0  #: answer 04/01 to messages

    def set(self, values: dict[str, Any]) -> None:
        """Raises ValueError for what is no switch."""
        known = {one.name: type(one.default) for one in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"unknown: {name}; known: {', '.join(known)}")
            allowed = (int, float) if known[name] is float else known[name]
            if not isinstance(value, allowed):
                raise ValueError(f"{name} must be a {known[name].__name__}")
            setattr(self, name, value)


class Client:
    """Reads strictly: what is wrong is told to `complain`."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        switches: Switches,
        complain: Callable[[str], None],
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.switches = switches
        self.complain = complain
        self.name = ""
        self.multi = 0
        self.ready = False
        self.meters: list[Meter] = []
        self._sequence = 0xFFFE  # wraps soon: clients must not mind
        self._expected: int | None = None
        self._held = b""
        self._writing = asyncio.Lock()

    async def read(self) -> tuple[int, bytes]:
        """Channel and payload. Raises BadFrame, EOFError or OSError."""
        head = await self.reader.readexactly(6)
        mark, channel, sequence, size = struct.unpack(">BBHH", head)
        if mark != 0x2A:
            raise BadFrame("no 2A")
        if self._expected is not None and sequence != self._expected:
            self.complain(f"sequence {sequence} instead of {self._expected}")
        self._expected = (sequence + 1) & 0xFFFF
        return channel, await self.reader.readexactly(size)

    async def send(self, channel: int, payload: bytes = b"") -> None:
        if self.switches.silent:
            return
        frame = struct.pack(">BBHH", 0x2A, channel, self._sequence, len(payload)) + payload
        self._sequence = (self._sequence + 1) & 0xFFFF
        async with self._writing:
            if self.switches.merge:
                if not self._held:
                    asyncio.get_running_loop().call_later(0.02, self._flush)
                self._held += frame
            elif step := self.switches.chunk_bytes:
                for start in range(0, len(frame), step):
                    self.writer.write(frame[start : start + step])
                    await self.writer.drain()
                    await asyncio.sleep(0)
            else:
                self.writer.write(frame)
                await self.writer.drain()

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if not self.writer.is_closing():
            self.writer.write(held)

    async def snac(self, family: int, subtype: int, body: bytes = b"", *, request_id: int = 0x8000_0000) -> None:
        if self.switches.extra_frames and self.name:
            await self.send(DATA, wire.snac(0x01, 0x0F, wire.user_info(self.name)))
            await self.send(DATA, wire.snac(0x01, 0x13, wire.short(4) + wire.tlv(0x0B, b"news of the day")))
            await self.send(KEEP_ALIVE)
        data = wire.snac(family, subtype, body, request_id=request_id, extra=self.switches.extra_block)
        await self.send(DATA, data)

    async def end(self, how: str) -> None:
        """`elsewhere`, `short` (four bytes), `rst`, `sign_off` (no reason), else an end without a word."""
        with contextlib.suppress(OSError):
            if how == "elsewhere":
                await self.send(SIGN_OFF, wire.tlv(0x09, b"\x00\x01") + wire.tlv(0x0B, b"http://www.example.org"))
            elif how == "sign_off":
                await self.send(SIGN_OFF)
            elif how == "short":
                self.writer.write(b"\x2a\x04" + wire.short(self._sequence))
                await self.writer.drain()
            elif how == "rst":
                sock = self.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.writer.transport.abort()
                return
            self._flush()
        self.writer.close()
