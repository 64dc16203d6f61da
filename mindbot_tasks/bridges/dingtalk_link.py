"""One websocket to the Stream gateway of DingTalk: opened with a ticket, watched, given up when told to or silent."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, urlsplit

import structlog
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from mindbot_tasks.bridges import dingtalk_frames as frames
from mindbot_tasks.bridges.dingtalk_frames import Frame
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import PayloadInvalid, Rejected, Unavailable
from mindbot_tasks.core.http import Http
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.platforms.dingtalk.errors import PROVIDER, read_answer

log = structlog.get_logger(__name__)

OPEN_PATH: Final = "/v1.0/gateway/connections/open"
_MAX_FRAME_BYTES: Final = 4 * 1024 * 1024
#: who takes no bytes for so long is gone, and nobody else shall wait for him
_SEND_S: Final = 5.0

Ended = Literal["told", "closed", "idle", "clock", "stopped"]
"""Why a connection has to be replaced; `told`: the gateway asked for it and gives time."""
Take = Callable[[Frame, Callable[[str], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds. The middle ones are what users of the platform found to work."""

    open_s: float = 10.0
    ping_s: float = 20.0
    pong_s: float = 20.0  #: 8 proved too strict under load
    idle_s: float = 90.0  #: the gateway sends a frame every 20 to 30
    tick_s: float = 2.0
    clock_s: float = 30.0  #: the clocks of this host went apart by so much: it was suspended
    drain_s: float = 12.0  #: the gateway closes 10 after it asked us to leave
    steady_s: float = 10.0  #: a connection that lived so long was a good one
    first_wait_s: float = 1.0
    most_wait_s: float = 60.0
    settle_s: float = 3.0  #: at the end, for what is being committed


@dataclass(frozen=True, slots=True)
class Ticket:
    """Good for one connection, for 90 s."""

    endpoint: str
    ticket: str

    @property
    def url(self) -> str:
        separator = "&" if urlsplit(self.endpoint).query else "?"
        return f"{self.endpoint}{separator}ticket={quote(self.ticket, safe='')}"


def fetch_ticket(settings: DingTalkSettings, http: Http, deadline: Deadline) -> Ticket:
    """Ask the gateway for a connection. Raises Rejected (kind "auth": the credentials), Throttled or Unavailable."""
    base = (settings.gateway_base or settings.api_base).rstrip("/")
    body = {
        "clientId": settings.client_id,
        "clientSecret": settings.client_secret.get_secret_value(),
        "subscriptions": list(frames.SUBSCRIPTIONS),
        "ua": "mindbot/1.0",
    }
    try:
        answer = read_answer(http.request("POST", base + OPEN_PATH, deadline=deadline, provider=PROVIDER, json=body))
    except Rejected as exc:
        if exc.status != 401:
            raise
        raise Rejected(
            "DingTalk refuses client_id and client_secret for Stream mode, or the app is not published",
            kind="auth",
            provider=PROVIDER,
            status=exc.status,
            code=exc.code,
        ) from exc
    endpoint, ticket = answer.get("endpoint"), answer.get("ticket")
    if not isinstance(endpoint, str) or not isinstance(ticket, str) or not ticket:
        raise Unavailable("the gateway's answer has no ticket", kind="protocol", provider=PROVIDER)
    # a ticket shall not travel in the clear, except to a gateway that was configured that way
    if not endpoint.startswith("wss://") and not (endpoint.startswith("ws://") and base.startswith("http://")):
        raise Unavailable("the gateway's endpoint is not a safe websocket", kind="protocol", provider=PROVIDER)
    return Ticket(endpoint, ticket)


class Link:
    """An open connection. `read` runs as long as it lives; `over` tells when another one is wanted."""

    def __init__(self, socket: ClientConnection, take: Take, heard: Callable[[], None], times: Times) -> None:
        self._socket = socket
        self._take = take
        self._heard = heard
        self._times = times
        self.opened_at = time.monotonic()
        self._last_frame = self.opened_at
        self._clogged = False
        self._told = asyncio.Event()
        self._reader = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def open(cls, ticket: Ticket, take: Take, heard: Callable[[], None], times: Times) -> Link:
        """Raises Unavailable."""
        try:
            socket = await connect(
                ticket.url,
                open_timeout=times.open_s,
                ping_interval=times.ping_s,
                ping_timeout=times.pong_s,
                close_timeout=2,
                max_size=_MAX_FRAME_BYTES,
                compression=None,
                proxy=None,
                user_agent_header="mindbot",
            )
        except (OSError, TimeoutError, InvalidHandshake, InvalidURI) as exc:
            # not chained, and in our words: the URL holds the ticket
            raise Unavailable(
                f"no websocket to the gateway ({type(exc).__name__})", kind="connection", provider=PROVIDER
            ) from None
        return cls(socket, take, heard, times)

    async def over(self, stop: asyncio.Event) -> Ended:
        """Returns when this connection has to be replaced, or everything ends."""
        ends = [asyncio.ensure_future(each) for each in (stop.wait(), self._told.wait())]
        wall, steady = time.time(), time.monotonic()
        try:
            while True:
                await asyncio.wait([*ends, self._reader], timeout=self._times.tick_s, return_when="FIRST_COMPLETED")
                if stop.is_set():
                    return "stopped"
                if self._told.is_set():
                    return "told"
                if self._reader.done():
                    return "closed"
                now_wall, now_steady = time.time(), time.monotonic()
                if abs((now_wall - wall) - (now_steady - steady)) > self._times.clock_s:
                    return "clock"
                wall, steady = now_wall, now_steady
                if now_steady - self._last_frame > self._times.idle_s:
                    return "idle"
        finally:
            for each in ends:
                each.cancel()

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.opened_at

    async def drain(self) -> None:
        """Go on reading and acknowledging until the far side closes, at most `drain_s`; then close."""
        await asyncio.wait([self._reader], timeout=self._times.drain_s)
        await self.close()

    async def close(self) -> None:
        """Say goodbye; the reader ends with the connection."""
        await self._socket.close()
        await asyncio.wait([self._reader], timeout=1)
        self._reader.cancel()

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                self._last_frame = time.monotonic()
                self._heard()
                try:
                    frame = frames.read(text)
                except PayloadInvalid as exc:
                    log.warning("stream_frame_unreadable", reason=str(exc))
                    continue
                if frame.type == "SYSTEM":
                    await self._system(frame)
                elif frame.type in ("CALLBACK", "EVENT"):
                    await self._take(frame, self._answer)
                else:
                    log.warning("stream_frame_unknown", type=frame.type[:40])
        except ConnectionClosed as exc:
            log.info("stream_connection_lost", code=exc.rcvd.code if exc.rcvd else None)

    async def _system(self, frame: Frame) -> None:
        if frame.topic == "ping":
            await self._answer(frames.echo(frame))
        elif frame.topic == "disconnect":
            log.info("stream_told_to_leave")
            self._told.set()

    async def _answer(self, text: str) -> None:
        if self._clogged:
            return
        try:
            await asyncio.wait_for(self._socket.send(text), _SEND_S)
        except ConnectionClosed:
            log.info("stream_acknowledgement_too_late")  # what it is about is committed; a second copy does no harm
        except TimeoutError:
            log.warning("stream_connection_clogged")
            self._clogged = True
            self._told.set()
