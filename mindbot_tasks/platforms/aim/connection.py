"""One TCP or TLS connection that speaks FLAP: whole frames in and out, and what its end means."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections import deque

import structlog

from mindbot_tasks.core.errors import PayloadInvalid, Unavailable
from mindbot_tasks.platforms.aim.errors import PROVIDER, SignedOff, protocol
from mindbot_tasks.platforms.aim.wire import DATA, MAX_PAYLOAD, SIGN_ON, Flap, FlapParser, Snac

log = structlog.get_logger(__name__)

CONNECT_S = 10.0
WRITE_S = 15.0
_READ_BYTES = 65536


class Connection:
    """Made by `open`; whoever has it closes it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = FlapParser()
        self._frames: deque[Flap] = deque()
        self._sequence = 0
        self._expected: int | None = None

    @classmethod
    async def open(cls, host: str, port: int, *, tls: bool) -> Connection:
        """Raises Unavailable."""
        context = ssl.create_default_context() if tls else None
        try:
            async with asyncio.timeout(CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    host, port, ssl=context, server_hostname=host if context else None
                )
        except ssl.SSLError as exc:
            raise Unavailable("no TLS with the server", kind="connection", provider=PROVIDER, code="tls") from exc
        except (OSError, TimeoutError, UnicodeError) as exc:
            raise Unavailable("no connection to the server", kind="connection", provider=PROVIDER) from exc
        _notice_death(writer.get_extra_info("socket"))
        return cls(reader, writer)

    async def send(self, channel: int, payload: bytes = b"") -> None:
        """Raises SignedOff when the other side is gone or does not read."""
        if len(payload) > MAX_PAYLOAD:
            raise protocol("a frame is too long")
        frame = Flap(channel, self._sequence, payload)
        self._sequence = (self._sequence + 1) & 0xFFFF
        try:
            self._writer.write(frame.encode())
            async with asyncio.timeout(WRITE_S):
                await self._writer.drain()
        except (OSError, TimeoutError) as exc:
            raise SignedOff("the server does not read any more") from exc

    async def send_snac(self, snac: Snac) -> None:
        await self.send(DATA, snac.encode())

    async def read(self) -> Flap:
        """The next frame. Raises SignedOff at the end, or Unavailable (kind "protocol") for what is no frame."""
        while not self._frames:
            try:
                data = await self._reader.read(_READ_BYTES)
            except OSError as exc:
                raise SignedOff("the connection broke") from exc
            if not data:
                # four bytes without a length are how some servers tell old clients that another one has signed on
                elsewhere = self._parser.end() is not None
                raise SignedOff("signed on elsewhere" if elsewhere else "the server hung up", elsewhere=elsewhere)
            try:
                self._frames.extend(self._parser.feed(data))
            except PayloadInvalid as exc:
                raise protocol(str(exc)) from exc
        frame = self._frames.popleft()
        if self._expected not in (None, frame.sequence):
            log.debug("aim_frame_missing", expected=self._expected, came=frame.sequence)
        self._expected = (frame.sequence + 1) & 0xFFFF
        return frame

    async def hello(self) -> None:
        """Wait for the server's first frame. Raises SignedOff or Unavailable."""
        frame = await self.read()
        if frame.channel != SIGN_ON:
            raise protocol("the server does not say hello")

    def close(self) -> None:
        """At once, and without waiting for anybody."""
        with contextlib.suppress(OSError):
            self._writer.close()

    async def wait_closed(self) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2):
                await self._writer.wait_closed()


def _notice_death(sock: socket.socket) -> None:
    """Let the kernel find out when the other machine is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
        if hasattr(socket, name):  # elsewhere they have other names, and the probe of the session does the same
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
