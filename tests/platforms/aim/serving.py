"""A server for one test, and how its story is told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from emulators.oscar import OscarServer
from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.platforms.aim.account import Account, Timing
from mindbot_tasks.platforms.aim.messages import Incoming
from mindbot_tasks.platforms.aim.session import Session

SECRET = "open sesame"
#: pauses are short; nothing is given up because the machine is slow, unless a test is about giving up
QUICK = Timing(
    login_s=60, ack_s=60, patience_s=0.05, keepalive_s=0.1, probe_after_s=600, probe_s=60, backoff_s=0.02,
    backoff_max_s=0.1, steady_s=600, too_often_s=0.05, elsewhere_s=0.05,
)  # fmt: skip
SOON_S = 0.3  #: for a test that is about giving up

Events = list[tuple[str, dict[str, Any]]]


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[OscarServer, Account, Events]]:
    events: Events = []
    server = OscarServer({"Mind Bot": SECRET}, note=lambda event, fields: events.append((event, fields)), **options)
    await server.start(tls=tls)
    try:
        yield server, Account("mindbot", SECRET, "127.0.0.1", server.port), events
    finally:
        await server.stop()


def named(events: Events, name: str) -> list[dict[str, Any]]:
    return [fields for event, fields in events if event == name]


async def until(true: Callable[[], object], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - whatever it is that becomes true
            await asyncio.sleep(0.005)


async def next_message(session: Session) -> Incoming:
    async with asyncio.timeout(60):
        return await anext(aiter(session))


async def ending_of(session: Session) -> FarSideError:
    await until(lambda: session.ending is not None)
    assert session.ending is not None
    return session.ending


def run(story: Callable[[], Any]) -> None:
    """One story in an event loop of its own."""
    asyncio.run(story())
