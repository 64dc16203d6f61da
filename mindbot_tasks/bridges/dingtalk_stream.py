"""DingTalk Stream: holds the connections of one bot and feeds what comes into the intake.

Our own runner on `websockets`: the vendor's SDK closes the old connection before it opens a new one, does
not notice when nothing comes any more, and waits ten seconds after every trouble.

Run as `python -m mindbot_tasks.bridges.dingtalk BOT`; `mindbot bridges` does.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from mindbot_tasks.bridges.backoff import Backoff
from mindbot_tasks.bridges.dingtalk_intake import Intake
from mindbot_tasks.bridges.dingtalk_link import Link, Ticket, Times, fetch_ticket
from mindbot_tasks.core import log as logging
from mindbot_tasks.core import telemetry
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.errors import Draining, FarSideError, Rejected, Stopped
from mindbot_tasks.core.http import get_http
from mindbot_tasks.core.metrics import BRIDGE_CONNECTS
from mindbot_tasks.core.settings import DingTalkSettings, get_settings
from mindbot_tasks.stores.connections import STATES, Reporter, State

log = structlog.get_logger(__name__)

#: each message goes to one of them; while one is renewed the other hears
CONNECTIONS: Final = 2


class Reports(Protocol):
    """Who wants to know how the connections are; `stores.connections.Reporter`."""

    def say(self, state: State, detail: str = "") -> None: ...

    def heard(self) -> None: ...


class Stream:
    """The connections of one bot."""

    def __init__(
        self,
        bot: str,
        fetch: Callable[[], Ticket],
        intake: Intake,
        reporter: Reports,
        times: Times | None = None,
        *,
        connections: int = CONNECTIONS,
    ) -> None:
        self._bot = bot
        self._fetch = fetch
        self._intake = intake
        self._reporter = reporter
        self._times = times or Times()
        self._states: list[tuple[State, str]] = [("connecting", "")] * connections
        self._links: set[Link] = set()
        self._retiring: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Hold the connections until `stop`; then acknowledge what is being committed, and close."""
        recording = asyncio.create_task(self._intake.run())
        slots = [asyncio.create_task(self._keep(number, stop)) for number in range(len(self._states))]
        ended = asyncio.create_task(stop.wait())
        await asyncio.wait([*slots, recording, ended], return_when=asyncio.FIRST_COMPLETED)
        stop.set()
        settled = await self._intake.settled(self._times.settle_s)
        for task in [*slots, *self._retiring, ended]:
            task.cancel()
        await asyncio.gather(*(link.close() for link in self._links), return_exceptions=True)
        recording.cancel()
        results = await asyncio.gather(*slots, recording, return_exceptions=True)
        self._intake.close()
        log.info("stream_stopped", bot=self._bot, settled=settled)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _keep(self, number: int, stop: asyncio.Event) -> None:
        """One of the connections: opened, and opened again whenever it ends."""
        backoff = Backoff(self._times.first_wait_s, self._times.most_wait_s)
        why = "first"
        while not stop.is_set():
            self._say(number, "connecting")
            try:
                link = await self._open()
            except Stopped:
                return
            except FarSideError as exc:
                BRIDGE_CONNECTS.labels("dingtalk", exc.kind).inc()
                await self._wait(number, exc, backoff, stop)
                continue
            BRIDGE_CONNECTS.labels("dingtalk", why).inc()
            self._links.add(link)
            self._say(number, "online")
            log.info("stream_connected", bot=self._bot, number=number, because=why)
            why = await link.over(stop)
            if why == "stopped":
                return
            if link.age_s >= self._times.steady_s:
                backoff.worked()
            # it goes on hearing while the new one is opened
            retiring = asyncio.create_task(self._retire(link))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
            log.info("stream_renews", bot=self._bot, number=number, because=why, age_s=round(link.age_s, 1))
            if backoff.failures or link.age_s < self._times.steady_s:
                pause_s = backoff.failed()
                if why == "closed" or backoff.failures > 1:  # the first renewal is not to wait
                    self._say(number, "backing_off", f"again in {pause_s:.0f} s: the connection ended ({why})")
                    await _until(stop, pause_s)

    async def _open(self) -> Link:
        ticket = await asyncio.get_running_loop().run_in_executor(None, self._fetch)
        return await Link.open(ticket, self._intake.take, self._reporter.heard, self._times)

    async def _retire(self, link: Link) -> None:
        try:
            await link.drain()
        finally:
            self._links.discard(link)

    async def _wait(self, number: int, exc: FarSideError, backoff: Backoff, stop: asyncio.Event) -> None:
        if isinstance(exc, Rejected):
            pause_s = backoff.refused()
            log.error("stream_refused", bot=self._bot, kind=exc.kind, status=exc.status, code=exc.code, reason=str(exc))
            self._say(number, "refused", str(exc))
        else:
            pause_s = max(backoff.failed(), exc.retry_after_s or 0)
            log.warning("stream_not_connected", bot=self._bot, reason=str(exc), again_s=round(pause_s, 1))
            self._say(number, "backing_off", f"again in {pause_s:.0f} s: {exc}")
        await _until(stop, pause_s)

    def _say(self, number: int, state: State, detail: str = "") -> None:
        """Tell how all connections together are: as the best of them."""
        self._states[number] = (state, detail)
        best, its_detail = min(self._states, key=lambda each: STATES.index(each[0]))
        online = sum(state == "online" for state, _ in self._states)
        counted = f"{online} of {len(self._states)} connections"
        worst = next((detail for _, detail in self._states if detail), "")
        detail = "; ".join(part for part in (counted, worst) if part) if online else its_detail
        self._reporter.say(best, detail)


async def _until(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


def fetcher(settings: DingTalkSettings, times: Times, stop: asyncio.Event) -> Callable[[], Ticket]:
    """What asks for a ticket, in a thread; gives up when all is to end."""
    http = get_http()

    def check() -> None:
        if stop.is_set():
            raise Draining("this process is stopping")

    return lambda: fetch_ticket(settings, http, Deadline(times.open_s, stop_check=check))


async def _serve(bot: str, settings: DingTalkSettings, reporter: Reporter) -> None:
    from mindbot_tasks.platforms import registry

    times = Times()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    intake = Intake(registry.get("dingtalk", bot))
    await Stream(bot, fetcher(settings, times, stop), intake, reporter, times).run(stop)


def main(bot: str) -> int:
    """Hold the connections of this bot until told to end; returns the exit status."""
    from mindbot_tasks.app import only_publish
    from mindbot_tasks.exporting import listener, pushing

    os.environ.setdefault("MINDBOT_ROLE", "bridges")
    settings = get_settings()
    logging.configure(os.environ["MINDBOT_ROLE"], settings)
    only_publish()
    if bot not in settings.dingtalk:
        log.error("bridge_without_bot", platform="dingtalk", bot=bot)
        return 1
    reporter = Reporter("dingtalk", bot)
    listener.begin()
    pushing.begin()
    telemetry.start(settings, "bridges")
    try:
        asyncio.run(_serve(bot, settings.dingtalk[bot], reporter))
    finally:
        reporter.close()
        telemetry.stop()
    return 0
