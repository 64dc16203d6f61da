"""Servers that speak the Model Context Protocol, used from threads: one event loop in a thread of its own serves all.

Whoever needs a server starts it; one that died is started again by the next call, not more often than its back-off
says. A call that the server may have received is never repeated here: it may have had its effect.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TextIO, TypeVar

import anyio
import httpx
import structlog
from mcp import ClientSession, McpError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    CONNECTION_CLOSED,
    CallToolResult,
    EmbeddedResource,
    ServerNotification,
    TextContent,
    TextResourceContents,
    ToolListChangedNotification,
)
from mcp.types import Tool as McpTool

from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.settings.agent import McpServerSettings
from mindbot_tasks.llm.agent.tools.base import ToolFailed

log = structlog.get_logger(__name__)

T = TypeVar("T")

_LOOK_EVERY_S = 0.1
_FIRST_PAUSE_S = 2.0
_MAX_PAUSE_S = 60.0
_MAX_TOOLS = 200
#: a server's tools are listed again this often, for one that does not tell when they change; it also shows who is gone
_LIST_EVERY_S = 300.0
#: of silence on a connection. A call has its own limit; one that is over must not end the session for the others
_LEAST_SILENCE_S = 300.0
#: what the library makes of a server that no longer knows our session, such as one that was started again
_SESSION_TERMINATED = 32600


class _SessionLost(Exception):
    """The session is over. `refused`: the server does not know it, so the call has not been carried out."""

    def __init__(self, *, refused: bool) -> None:
        super().__init__("the session is over")
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Offer:
    """One tool of a server."""

    name: str
    description: str
    schema: Mapping[str, Any]
    only_reads: bool


class _Loop:
    """The event loop of this process; begun when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="mcp", daemon=True).start()
            return self._loop

    def begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self.get())


_loop = _Loop()


class Server:
    """One server of the configuration."""

    def __init__(self, name: str, settings: McpServerSettings) -> None:
        self.name = name
        self.settings = settings
        self.version = 0  #: rises whenever the offers have changed
        self.offers: tuple[Offer, ...] = ()
        self.trouble = ""  #: why it is not there; "": it is, or nobody has tried yet
        self._lock = threading.Lock()
        self._up: Future[ClientSession] | None = None
        self._stop: asyncio.Event | None = None
        self._ended: Future[None] | None = None
        self._not_before = 0.0
        self._pause_s = _FIRST_PAUSE_S

    def start(self) -> Future[ClientSession]:
        """The session, now or soon; starts the server unless it is there, or it is too early to try again."""
        with self._lock:
            if self._up is not None and not (self._ended is not None and self._ended.done()):
                return self._up
            if time.monotonic() < self._not_before:
                refused: Future[ClientSession] = Future()
                refused.set_exception(self._away())
                return refused
            self._not_before = time.monotonic() + self._pause_s
            self._pause_s = min(self._pause_s * 2, _MAX_PAUSE_S)
            up: Future[ClientSession] = Future()
            self._up = up
            self._ended = _loop.begin(self._serve(up))
            return up

    def call(self, tool: str, arguments: Mapping[str, Any], deadline: Deadline) -> str:
        """What the tool says. Raises ToolFailed, Unavailable, DeadlineExceeded or a Stopped."""
        for _ in range(2):
            up = self.start()
            try:
                return self._call(_wait(up, deadline), tool, arguments, deadline)
            except _SessionLost as lost:
                self._leave(up)
                if not lost.refused:
                    break
        raise self._away()

    def _call(self, session: ClientSession, tool: str, arguments: Mapping[str, Any], deadline: Deadline) -> str:
        life = self._ended
        limit_s = min(self.settings.timeout, deadline.remaining_s())
        work = session.call_tool(tool, dict(arguments), read_timeout_seconds=timedelta(seconds=limit_s))
        running = _loop.begin(work)
        try:
            result = _wait(running, deadline, life)
        except McpError as exc:
            if exc.error.code in (CONNECTION_CLOSED, _SESSION_TERMINATED):
                raise _SessionLost(refused=exc.error.code == _SESSION_TERMINATED) from None
            if exc.error.code == httpx.codes.REQUEST_TIMEOUT:
                raise Unavailable("no answer in time", kind="timeout", provider=f"mcp:{self.name}") from None
            raise ToolFailed(_short(exc.error.message)) from None
        except (OSError, httpx.HTTPError, anyio.ClosedResourceError, anyio.BrokenResourceError):
            raise _SessionLost(refused=False) from None
        finally:
            running.cancel()
        told = _told(result)
        if result.isError:
            raise ToolFailed(_short(told))
        return told

    def _leave(self, up: Future[ClientSession]) -> None:
        """Have the next call begin a new session, unless another thread has seen to that."""
        with self._lock:
            if self._up is not up:
                return
            stop, self._up = self._stop, None
        if stop is not None:
            _loop.get().call_soon_threadsafe(stop.set)

    def stop(self) -> None:
        """End the server, and wait a little until it is gone."""
        with self._lock:
            stop, ended, self._up = self._stop, self._ended, None
        if stop is not None and ended is not None and not ended.done():
            _loop.get().call_soon_threadsafe(stop.set)
            with contextlib.suppress(Exception):  # it is the end of the process
                ended.result(timeout=5)

    def _away(self) -> Unavailable:
        wait_s = max(0.0, self._not_before - time.monotonic())
        return Unavailable("the tool server is not there", provider=f"mcp:{self.name}", retry_after_s=wait_s)

    async def _serve(self, up: Future[ClientSession]) -> None:
        """The whole life of the server once; `up` becomes its session, or why there is none."""
        stop, changed = asyncio.Event(), asyncio.Event()
        self._stop = stop
        began = time.monotonic()
        try:
            async with self._session(stop, changed) as session:
                async with asyncio.timeout(self.settings.start_timeout):
                    await session.initialize()
                    offers = await _offers(session)
                self._take(offers)
                log.info("tool_server_up", server=self.name, tools=len(self.offers))
                up.set_result(session)
                await self._follow(session, stop, changed)
        except Exception as exc:  # noqa: BLE001 - a server of somebody else may end in any way
            trouble = _named(_innermost(exc))
            log.warning("tool_server_failed", server=self.name, error=trouble)
            if self._up is up:  # else the next session has begun already
                self.trouble = trouble
        finally:
            if not up.done():
                up.set_exception(self._away())
            elif not self.trouble:
                log.info("tool_server_down", server=self.name)
            if time.monotonic() - began > _MAX_PAUSE_S:
                self._pause_s = _FIRST_PAUSE_S

    async def _follow(self, session: ClientSession, stop: asyncio.Event, changed: asyncio.Event) -> None:
        """Keep the list of tools fresh until the server ends."""
        while not stop.is_set():
            waits = [asyncio.create_task(event.wait()) for event in (stop, changed)]
            try:
                await asyncio.wait(waits, timeout=_LIST_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            if stop.is_set():
                return
            changed.clear()
            try:
                async with asyncio.timeout(self.settings.start_timeout):
                    self._take(await _offers(session))
            except McpError as exc:
                if exc.error.code == _SESSION_TERMINATED:
                    return  # the next call begins a new one
                log.info("tool_list_not_refreshed", server=self.name, code=exc.error.code)
            except TimeoutError:
                log.info("tool_list_not_refreshed", server=self.name, code="timeout")

    def _take(self, offers: tuple[Offer, ...]) -> None:
        wanted = self.settings.tools
        offers = tuple(offer for offer in offers if not wanted or offer.name in wanted)
        if offers != self.offers:
            self.offers, self.version = offers, self.version + 1
        self.trouble = ""

    @contextlib.asynccontextmanager
    async def _session(self, stop: asyncio.Event, changed: asyncio.Event) -> AsyncIterator[ClientSession]:
        settings = self.settings
        async with contextlib.AsyncExitStack() as stack:
            if settings.command:
                parameters = StdioServerParameters(
                    command=settings.command,
                    args=settings.args,
                    # beside these only what the protocol's library finds harmless: PATH, HOME and the like
                    env={name: value.get_secret_value() for name, value in settings.env.items()},
                    cwd=settings.cwd or None,
                )
                errors: TextIO = stack.enter_context(open(os.devnull, "w"))  # noqa: ASYNC230, PTH123, SIM115
                read, write = await stack.enter_async_context(stdio_client(parameters, errors))
            else:
                headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
                patience = httpx.Timeout(max(_LEAST_SILENCE_S, 2 * settings.timeout), connect=10)
                client = await stack.enter_async_context(httpx.AsyncClient(headers=headers, timeout=patience))
                opened = streamable_http_client(settings.url, http_client=client)
                read, write, _ = await stack.enter_async_context(opened)
            # through a stream of ours, for the end of theirs tells nobody
            sender, receiver = anyio.create_memory_object_stream[Any](0)
            for stream in (read, write, sender, receiver):  # none of which its own end closes in every case
                stack.push_async_callback(stream.aclose)
            group = await stack.enter_async_context(anyio.create_task_group())

            async def forward() -> None:
                async with sender:
                    with contextlib.suppress(anyio.ClosedResourceError, anyio.BrokenResourceError):
                        async for item in read:
                            await sender.send(item)
                stop.set()

            async def heard(message: Any) -> None:
                if isinstance(message, ServerNotification) and isinstance(message.root, ToolListChangedNotification):
                    changed.set()

            group.start_soon(forward)
            try:
                yield await stack.enter_async_context(ClientSession(receiver, write, message_handler=heard))
            finally:
                group.cancel_scope.cancel()


async def _offers(session: ClientSession) -> tuple[Offer, ...]:
    found: list[McpTool] = []
    page = await session.list_tools()
    found += page.tools
    while page.nextCursor and len(found) < _MAX_TOOLS:
        page = await session.list_tools(cursor=page.nextCursor)
        found += page.tools
    return tuple(
        Offer(
            tool.name,
            (tool.description or tool.title or tool.name)[:1024],
            tool.inputSchema,
            bool(tool.annotations is not None and tool.annotations.readOnlyHint),
        )
        for tool in found[:_MAX_TOOLS]
    )


def _wait(running: Future[T], deadline: Deadline, life: Future[None] | None = None) -> T:
    """The result; `life`: who is dead will not answer any more."""
    while True:
        deadline.check()
        over = life is not None and life.done()
        try:
            return running.result(timeout=_LOOK_EVERY_S)
        except TimeoutError:
            if running.done():
                raise Unavailable("no answer in time", kind="timeout") from None
            if over:
                raise anyio.BrokenResourceError from None


def _told(result: CallToolResult) -> str:
    pieces = []
    for block in result.content:
        if isinstance(block, TextContent):
            pieces.append(block.text)
        elif isinstance(block, EmbeddedResource) and isinstance(block.resource, TextResourceContents):
            pieces.append(block.resource.text)
        else:
            pieces.append(f"[{block.type}]")
    return "\n".join(pieces)


def _short(text: str) -> str:
    return " ".join(text.split())[:300] or "the tool failed"


def _named(exc: BaseException) -> str:
    """What to tell operators of it; no addresses, which may hold keys."""
    return f"HTTP {exc.response.status_code}" if isinstance(exc, httpx.HTTPStatusError) else type(exc).__name__


def _innermost(exc: BaseException) -> BaseException:
    while isinstance(exc, BaseExceptionGroup) and exc.exceptions:
        exc = exc.exceptions[0]
    return exc
