"""Keeps one account online: when to come back after which end, and when to give in."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Literal

import structlog

from mindbot_tasks.core.errors import FarSideError
from mindbot_tasks.platforms.aim.account import Account, Timing
from mindbot_tasks.platforms.aim.errors import LoginRefused, SignedOff, Unconfirmed, not_connected
from mindbot_tasks.platforms.aim.messages import Incoming
from mindbot_tasks.platforms.aim.session import Session, connect

log = structlog.get_logger(__name__)

#: refused: nobody tries any more; a person has to look
State = Literal["connecting", "online", "backing_off", "refused"]
Connect = Callable[[Account, Timing], Awaitable[Session]]
_HOUR_S = 3600.0


class Supervisor:
    """`run` until cancelled, or until coming back is no use; `send` at any time, in the same event loop."""

    def __init__(
        self,
        account: Account,
        *,
        on_message: Callable[[Incoming], None],
        on_state: Callable[[State, str], None],
        timing: Timing | None = None,
        connect: Connect = connect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._account = account
        self._on_message = on_message
        self._on_state = on_state
        self._timing = timing or Timing()
        self._connect = connect
        self._clock = clock
        self._session: Session | None = None
        self._online = asyncio.Event()
        self._failures = 0
        self._displaced: deque[float] = deque()

    async def run(self) -> None:
        """Returns when the account cannot be used any more."""
        while True:
            self._on_state("connecting", "")
            try:
                why = await self._be_online()
            except FarSideError as exc:
                why = exc
            pause_s = self._pause_after(why)
            if pause_s is None:
                log.error("aim_stopped", reason=str(why), advice="correct the account or the server, then restart")
                self._on_state("refused", str(why))
                return
            log.warning("aim_offline", reason=str(why), again_s=round(pause_s, 1))
            self._on_state("backing_off", str(why))
            await asyncio.sleep(pause_s)

    async def send(self, to: str, text: str, cookie: bytes, within_s: float) -> None:
        """As `Session.send`. What was on its way when the connection broke goes once more, with the same cookie."""
        ends_at = self._clock() + within_s
        session = self._session
        if session is None:
            raise not_connected()
        try:
            return await session.send(to, text, cookie)
        except Unconfirmed:
            if session.ending is None:
                raise
            try:
                async with asyncio.timeout(max(0.0, ends_at - self._clock())):
                    session = await self._next_session(session)
            except TimeoutError:
                session = None
            if session is None:
                raise
        log.info("aim_message_repeated")
        try:
            return await session.send(to, text, cookie)
        except FarSideError as exc:
            raise Unconfirmed from exc  # whatever came of this one, the first may have been taken

    async def typing(self, to: str) -> None:
        if self._session is not None:
            await self._session.typing(to)

    @property
    def in_flight(self) -> int:
        return self._session.in_flight if self._session is not None else 0

    async def _be_online(self) -> FarSideError:
        """One connection from login to its end. Returns why it ended; raises why there was none."""
        session = await self._connect(self._account, self._timing)
        since = self._clock()
        self._session = session
        self._online.set()
        self._on_state("online", "")
        log.info("aim_online")
        try:
            async for message in session:
                self._on_message(message)
        except FarSideError as exc:
            return exc
        finally:
            self._session = None
            self._online.clear()
            if self._clock() - since >= self._timing.steady_s:
                self._failures = 0
            await session.close()
        return SignedOff("signed off")

    async def _next_session(self, old: Session) -> Session:
        while self._session is None or self._session is old:
            self._online.clear()
            await self._online.wait()
        return self._session

    def _pause_after(self, why: FarSideError) -> float | None:
        """Seconds until the next try; None: there is none."""
        timing = self._timing
        if isinstance(why, LoginRefused):
            if why.permanent:
                return None
            if why.too_often:
                return timing.too_often_s * random.uniform(1, 1.25)  # noqa: S311
        if isinstance(why, SignedOff) and why.elsewhere:
            now = self._clock()
            self._displaced.append(now)
            while now - self._displaced[0] > _HOUR_S:
                self._displaced.popleft()
            if len(self._displaced) >= timing.elsewhere_most:
                return None
            return timing.elsewhere_s * random.uniform(1, 1.25)  # noqa: S311
        self._failures += 1
        most_s = min(timing.backoff_max_s, timing.backoff_s * 2.0 ** min(self._failures - 1, 30))
        return random.uniform(min(timing.backoff_s, most_s), most_s)  # noqa: S311
