"""The connection of one AIM account in this process: an event loop in a thread, and who may have it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait

import structlog

from mindbot_tasks import intake
from mindbot_tasks.bridges.mailbag import Mailbag, Record
from mindbot_tasks.core.deadline import Deadline
from mindbot_tasks.core.settings import AimSettings
from mindbot_tasks.model.message import Message
from mindbot_tasks.platforms.aim import hold
from mindbot_tasks.platforms.aim.account import Account, Timing
from mindbot_tasks.platforms.aim.errors import Unconfirmed, not_connected
from mindbot_tasks.platforms.aim.messages import Incoming
from mindbot_tasks.platforms.aim.payload import NAME, to_message
from mindbot_tasks.platforms.aim.supervisor import State, Supervisor
from mindbot_tasks.stores.connections import Reporter
from mindbot_tasks.stores.holding import KEEP_EVERY_S, Holding

log = structlog.get_logger(__name__)

#: for one message, a new connection in between included
SEND_S = 40.0
_CLOSE_S = 5.0


class AimLine:
    """`start` once, `close` once; `send` from any thread."""

    def __init__(
        self,
        bot: str,
        settings: AimSettings,
        *,
        record: Record = intake.record,
        timing: Timing | None = None,
        holding: Holding | None = None,
        keep_every_s: float = KEEP_EVERY_S,
        reporter: Reporter | None = None,
    ) -> None:
        self.bot = bot
        self._name = settings.username
        self._holding = holding or Holding(f"{NAME}:{bot}")
        self._keep_every_s = keep_every_s
        self._reporter = reporter or Reporter(NAME, bot)
        self._bag = Mailbag(f"{NAME}:{bot}", record, on_received=self._show_typing)
        self._supervisor_of: Callable[[], Supervisor] = lambda: Supervisor(
            Account.of(settings),
            on_message=self._take,
            on_state=self._told,
            timing=timing or Timing(keepalive_s=settings.keepalive_s),
        )
        self._supervisor: Supervisor | None = None
        self._loop = asyncio.new_event_loop()
        self._stop: asyncio.Event | None = None
        self._running = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{NAME}:{bot}", daemon=True)

    def start(self) -> None:
        """Returns at once; the connection comes when it can."""
        self._thread.start()
        self._running.wait()
        hold(self.bot, self)

    def close(self, within_s: float = _CLOSE_S) -> None:
        """Sign off, and record what has come in."""
        hold(self.bot, None)
        if self._thread.is_alive() and self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(within_s)
        self._bag.close(within_s)
        self._holding.release()
        self._reporter.close()

    def send(self, to: str, text: str, cookie: bytes, deadline: Deadline) -> None:
        """Returns when the server has taken it. Raises Rejected, Throttled or Unavailable."""
        supervisor = self._supervisor
        if supervisor is None or not self._thread.is_alive():
            raise not_connected()
        within_s = min(SEND_S, deadline.remaining_s())
        sending = asyncio.run_coroutine_threadsafe(self._send(supervisor, to, text, cookie, within_s), self._loop)
        ends_at = time.monotonic() + within_s + 2
        while not wait([sending], timeout=0.5).done:
            if time.monotonic() > ends_at or not self._thread.is_alive():
                sending.cancel()
                raise Unconfirmed
        sending.result()

    async def _send(self, supervisor: Supervisor, to: str, text: str, cookie: bytes, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await supervisor.send(to, text, cookie, within_s)
        except TimeoutError:
            raise Unconfirmed from None

    # in the thread of the loop

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        except Exception as exc:  # noqa: BLE001 - the thread's last word
            log.error("aim_line_crashed", bot=self.bot, error=type(exc).__name__)
            self._reporter.say("refused", f"a bug: {type(exc).__name__}")
        finally:
            self._running.set()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        self._running.set()
        work = asyncio.create_task(self._hold_and_run(), name="aim line")
        stop = asyncio.create_task(self._stop.wait(), name="aim stop")
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        for task in (work, stop):
            task.cancel()
        results = await asyncio.gather(work, stop, return_exceptions=True)
        if isinstance(results[0], Exception):
            raise results[0]

    async def _hold_and_run(self) -> None:
        """Be the one that holds the account, or wait until nobody else does; for ever."""
        while True:
            await self._become_holder()
            supervisor = self._supervisor_of()
            running = asyncio.create_task(supervisor.run(), name="aim supervisor")
            self._supervisor = supervisor
            try:
                await self._hold_while(running)
            finally:
                self._supervisor = None
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    async def _hold_while(self, running: asyncio.Task[None]) -> None:
        """Returns when somebody else has the account, or after a bug.

        Not when the supervisor has given in: another process would only be refused in the same way.
        """
        while await asyncio.to_thread(self._holding.keep) is not False:
            await asyncio.sleep(self._keep_every_s)
            if running.done() and (exc := running.exception()) is not None:
                log.error("aim_supervisor_crashed", bot=self.bot, error=type(exc).__name__)
                return
        log.warning("aim_account_taken_over", bot=self.bot)

    async def _become_holder(self) -> None:
        while not (held := await asyncio.to_thread(self._holding.keep)):
            detail = "Redis is away" if held is None else "another process holds this account"
            self._reporter.say("connecting", detail)
            await asyncio.sleep(self._keep_every_s / 2)

    def _told(self, state: State, detail: str) -> None:
        self._reporter.say(state, detail)

    def _take(self, incoming: Incoming) -> None:
        self._reporter.heard()
        try:
            message = to_message(incoming, bot=self.bot, own_name=self._name)
        except Exception as exc:  # noqa: BLE001 - one message must not cost the connection
            log.error("aim_message_unreadable", bot=self.bot, error=type(exc).__name__)
            return
        if message is not None:
            self._bag.put(message)

    def _show_typing(self, message: Message) -> None:
        """Called by the mailbag's thread once a message is safe."""
        supervisor = self._supervisor
        if supervisor is not None and message.addressed and not self._loop.is_closed():
            asyncio.run_coroutine_threadsafe(supervisor.typing(message.sender_name), self._loop)
