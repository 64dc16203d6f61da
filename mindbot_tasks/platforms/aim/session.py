"""One connection from login to sign-off: who waits for which answer, what may be sent when, what came in."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import structlog

from mindbot_tasks.core.errors import FarSideError, PayloadInvalid, Throttled, Unavailable
from mindbot_tasks.platforms.aim import login, messages, names, rates
from mindbot_tasks.platforms.aim.account import Account, Timing
from mindbot_tasks.platforms.aim.connection import Connection
from mindbot_tasks.platforms.aim.errors import (
    PROVIDER,
    SignedOff,
    Unconfirmed,
    not_connected,
    of_message,
    protocol,
)
from mindbot_tasks.platforms.aim.messages import Incoming
from mindbot_tasks.platforms.aim.signing_on import log_in
from mindbot_tasks.platforms.aim.wire import (
    DATA,
    KEEP_ALIVE,
    SIGN_OFF,
    SIGN_ON,
    Flap,
    Reader,
    Snac,
    decode_snac,
    decode_tlvs,
    encode_tlvs,
    number,
    u16,
)

log = structlog.get_logger(__name__)

SEND = (messages.FAMILY, messages.SEND)
_TYPING = (messages.FAMILY, messages.TYPING)
#: family -> version; of what the server offers we name what we use
_FAMILIES = {0x01: 4, 0x02: 1, 0x03: 1, 0x04: 1}
_TOOL = u16(0x0110) + u16(0x0629)
_ELSEWHERE = 1
#: a promise of a turn reaches no further into the future
_PROMISE_S = 60.0


@dataclass(slots=True, eq=False)
class _Waiter:
    """Somebody waits for an answer: to his request, or if `loose`, whichever of that kind comes first."""

    request_id: int
    kind: tuple[int, int]
    loose: bool
    cookie: bytes
    answer: asyncio.Future[Snac]

    def takes(self, snac: Snac) -> bool:
        if self.request_id == snac.request_id and (snac.kind == self.kind or snac.kind == (self.kind[0], 1)):
            return True
        if snac.kind != self.kind:
            return False
        return self.loose or (bool(self.cookie) and snac.body.startswith(self.cookie))


async def connect(account: Account, timing: Timing, *, clock: Callable[[], float] = time.monotonic) -> Session:
    """Log in and come online. Raises LoginRefused or Unavailable."""
    try:
        async with asyncio.timeout(timing.login_s):
            ticket = await log_in(account)
            host = account.host if account.keep_login_host else ticket.host
            session = Session(await Connection.open(host, ticket.port, tls=account.tls), account, timing, clock)
            try:
                await session._begin(ticket.cookie)
            except BaseException:
                await session.close()
                raise
            return session
    except TimeoutError:
        raise Unavailable("signing on took too long", kind="timeout", provider=PROVIDER) from None


class Session:
    """Online until `ending` is set. Made by `connect`; everything happens in one event loop."""

    def __init__(
        self, connection: Connection, account: Account, timing: Timing, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rates = rates.Rates()
        self.ending: FarSideError | None = None
        self.warning_level = 0  #: tenths of a percent
        self._connection = connection
        self._account = account
        self._timing = timing
        self._clock = clock
        self._ids = itertools.count(1)
        self._waiters: list[_Waiter] = []
        self._incoming: asyncio.Queue[Incoming | None] = asyncio.Queue()
        self._turn = asyncio.Lock()
        self._promised_at = float("-inf")
        self._heard_at = clock()
        self._tasks: list[asyncio.Task[None]] = []
        self.in_flight = 0  #: messages that wait for their acknowledgement

    async def __aiter__(self) -> AsyncIterator[Incoming]:
        """Messages as they come. Raises what ended the session."""
        while (message := await self._incoming.get()) is not None:
            yield message
        assert self.ending is not None  # noqa: S101  None is put in by `_end` only
        raise self.ending

    async def send(self, to: str, text: str, cookie: bytes) -> None:
        """Returns when the server has taken the message.

        Raises Throttled (wait and come again), Rejected, Unavailable; Unconfirmed when it may have been taken.
        """
        async with self._turn:
            await self._wait_for_turn()
            snac = Snac(*SEND, messages.outgoing(to, text, cookie), self._next_id())
            waiter = self._add_waiter(snac.request_id, (messages.FAMILY, messages.HOST_ACK), cookie=cookie)
            try:
                await self._tell(snac)
            except BaseException as exc:
                self._forget(waiter)
                if isinstance(exc, SignedOff):
                    raise Unconfirmed from exc
                raise
        self.in_flight += 1
        try:
            answer = await self._answer(waiter, self._timing.ack_s)
        except (SignedOff, TimeoutError) as exc:
            raise Unconfirmed from exc
        finally:
            self.in_flight -= 1
            self._forget(waiter)
        if answer.is_error:
            raise of_message(_code_of(answer))

    async def typing(self, to: str) -> None:
        """Show them that an answer is on its way, if that costs neither waiting nor a message."""
        bucket = self.rates.of(_TYPING)
        if bucket is not None and bucket is self.rates.of(SEND):
            return
        if self.ending is None and self.rates.wait_s(_TYPING, self._now_ms()) == 0:
            with contextlib.suppress(FarSideError):
                await self._tell(Snac(*_TYPING, messages.typing(to, 2), self._next_id()))

    async def close(self) -> None:
        """Sign off politely."""
        for task in self._tasks:
            task.cancel()
        if self.ending is None:
            with contextlib.suppress(FarSideError):
                await self._connection.send(SIGN_OFF)
            self._end(SignedOff("signed off"))
        self._connection.close()
        await self._connection.wait_closed()

    # signing on

    async def _begin(self, cookie: bytes) -> None:
        """From the first frame to being visible. Raises Unavailable."""
        try:
            await self._connection.hello()
            served_waiter = self._add_waiter(0, (0x01, 0x03), loose=True)
            await self._connection.send(SIGN_ON, login.HELLO + encode_tlvs([(0x06, cookie)]))
            self._tasks.append(asyncio.create_task(self._read_frames(), name="aim reader"))
            served = Reader((await self._answer(served_waiter, None)).body)
            offered = {served.u16() for _ in range(served.left // 2)}
            ours = {family: version for family, version in _FAMILIES.items() if family in offered}
            pairs = b"".join(u16(family) + u16(version) for family, version in ours.items())
            await self._ask(Snac(0x01, 0x17, pairs), (0x01, 0x18))
            table = rates.read_table((await self._ask(Snac(0x01, 0x06), (0x01, 0x07))).body)
            self.rates.learn(table, self._now_ms())
            if table.classes:
                await self._tell(Snac(0x01, 0x08, table.acknowledgement(), self._next_id()))
            await self._ask(Snac(messages.FAMILY, messages.ASK_PARAMETERS), (messages.FAMILY, messages.PARAMETERS))
            await self._tell(Snac(messages.FAMILY, messages.SET_PARAMETERS, messages.parameters(), self._next_id()))
            ready = b"".join(u16(family) + u16(version) + _TOOL for family, version in ours.items())
            await self._tell(Snac(0x01, 0x02, ready, self._next_id()))
            await self._tell(Snac(messages.FAMILY, messages.RETRIEVE_OFFLINE, b"", self._next_id()))
        except PayloadInvalid as exc:
            raise protocol(f"signing on went wrong: {exc}") from exc
        self._tasks.append(asyncio.create_task(self._keep_alive(), name="aim keep-alive"))

    async def _ask(self, snac: Snac, kind: tuple[int, int]) -> Snac:
        """The answer to a request that every server answers. Raises Unavailable."""
        snac = Snac(snac.family, snac.subtype, snac.body, self._next_id())
        with self._waiting(snac, kind) as waiter:
            await self._tell(snac)
            answer = await self._answer(waiter, None)
        if answer.is_error:
            raise protocol(f"the server refuses {snac.family:02X}/{snac.subtype:02X}")
        return answer

    # sending

    async def _wait_for_turn(self) -> None:
        """Returns when a message may go now. Raises Throttled when that takes too long for somebody to stand by."""
        if self.ending is not None:
            raise not_connected()
        wait_s = self.rates.wait_s(SEND, self._now_ms())
        if wait_s > self._timing.patience_s:
            now = self._clock()
            # one after the other, or all that wait would come back at the same moment
            next_at = max(now + wait_s, self._promised_at + self.rates.step_s(SEND))
            self._promised_at = min(next_at, now + max(wait_s, _PROMISE_S))
            raise Throttled(
                "the account's share of messages is used up for now",
                kind="rate_limit",
                provider=PROVIDER,
                code="our_limit",
                retry_after_s=self._promised_at - now,
            )
        while wait_s > 0:
            await asyncio.sleep(wait_s)
            if self.ending is not None:
                raise not_connected()
            wait_s = self.rates.wait_s(SEND, self._now_ms())

    async def _tell(self, snac: Snac) -> None:
        if self.ending is not None:
            raise not_connected()
        self.rates.note(snac.kind, self._now_ms())
        await self._connection.send_snac(snac)

    def _next_id(self) -> int:
        return next(self._ids) & 0x7FFF_FFFF

    def _now_ms(self) -> float:
        return self._clock() * 1000

    @contextlib.contextmanager
    def _waiting(self, snac: Snac, kind: tuple[int, int]) -> Iterator[_Waiter]:
        waiter = self._add_waiter(snac.request_id, kind, loose=True)
        try:
            yield waiter
        finally:
            self._forget(waiter)

    def _add_waiter(
        self, request_id: int, kind: tuple[int, int], *, loose: bool = False, cookie: bytes = b""
    ) -> _Waiter:
        waiter = _Waiter(request_id, kind, loose, cookie, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        return waiter

    def _forget(self, waiter: _Waiter) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if waiter.answer.done() and not waiter.answer.cancelled():
            waiter.answer.exception()  # asyncio complains of those that nobody has looked at

    async def _answer(self, waiter: _Waiter, within_s: float | None) -> Snac:
        """Raises TimeoutError, or what ended the session."""
        if self.ending is not None:
            raise self.ending
        async with asyncio.timeout(within_s):
            return await waiter.answer

    # receiving

    async def _read_frames(self) -> None:
        try:
            while True:
                frame = await self._connection.read()
                self._heard_at = self._clock()
                if frame.channel == SIGN_OFF:
                    raise _signed_off(frame)
                if frame.channel == DATA:
                    try:
                        self._take(decode_snac(frame.payload))
                    except PayloadInvalid as exc:
                        log.warning("aim_frame_unreadable", reason=str(exc))
        except FarSideError as exc:
            self._end(exc)
        except Exception as exc:  # noqa: BLE001 - whoever waits must not wait for ever
            log.error("aim_reader_crashed", error=type(exc).__name__)
            self._end(protocol("the connection could not be read"))

    def _take(self, snac: Snac) -> None:
        """One SNAC. Raises PayloadInvalid."""
        for waiter in self._waiters:
            if waiter.takes(snac):
                self._waiters.remove(waiter)
                if not waiter.answer.done():
                    waiter.answer.set_result(snac)
                return
        match snac.kind:
            case (messages.FAMILY, messages.RECEIVE):
                message = messages.incoming(snac.body)
                if message is not None:
                    self._incoming.put_nowait(message)
            case (messages.FAMILY, messages.MISSED):
                for missed in messages.read_missed(snac.body):
                    log.warning("aim_messages_missed", count=missed.count, reason=missed.reason)
            case (0x01, 0x0A):
                self._take_rate_change(*rates.read_change(snac.body))
            case (0x01, 0x10):
                self.warning_level = Reader(snac.body).u16()
                log.warning("aim_warned", bot=names.normal(self._account.name), percent=self.warning_level / 10)
            case (_, 0x01):
                code, _ = messages.read_error(snac.body)
                log.info("aim_refusal", family=snac.family, code=code)

    def _take_rate_change(self, code: int, rate: rates.RateClass) -> None:
        self.rates.told(code, rate, self._now_ms())
        if code != rates.LIMITED:
            return
        log.warning("aim_rate_limited", rate_class=rate.number)
        bucket = self.rates.of(SEND)
        if bucket is None or bucket.rate.number != rate.number:
            return
        # what was acknowledged was acknowledged before this notice; the others were dropped
        wait_s = self.rates.wait_s(SEND, self._now_ms())
        for waiter in self._waiters:
            if waiter.cookie and not waiter.answer.done():
                waiter.answer.set_exception(
                    Throttled("the server drops messages now", kind="rate_limit", provider=PROVIDER, code="limited",
                              retry_after_s=wait_s)
                )  # fmt: skip

    async def _keep_alive(self) -> None:
        pause_s = min(self._timing.keepalive_s, self._timing.probe_after_s)
        sent_at = self._clock()
        try:
            while True:
                await asyncio.sleep(pause_s)
                if self._clock() - self._heard_at >= self._timing.probe_after_s:
                    await self._probe()
                if self._clock() - sent_at >= self._timing.keepalive_s:
                    sent_at = self._clock()
                    await self._connection.send(KEEP_ALIVE)
        except FarSideError as exc:
            self._end(exc)

    async def _probe(self) -> None:
        """Ask for anything that has an answer. Raises SignedOff when none comes."""
        snac = Snac(messages.FAMILY, messages.ASK_PARAMETERS, b"", self._next_id())
        with self._waiting(snac, (messages.FAMILY, messages.PARAMETERS)) as waiter:
            await self._tell(snac)
            try:
                await self._answer(waiter, self._timing.probe_s)
            except TimeoutError:
                raise SignedOff("the server fell silent") from None

    def _end(self, why: FarSideError) -> None:
        if self.ending is not None:
            return
        self.ending = why
        for waiter in self._waiters:
            if not waiter.answer.done():
                waiter.answer.set_exception(why)
        self._incoming.put_nowait(None)
        self._connection.close()


def _signed_off(frame: Flap) -> SignedOff:
    try:
        values = decode_tlvs(frame.payload)
    except PayloadInvalid:
        values = {}
    if number(values.get(0x09)) == _ELSEWHERE:
        return SignedOff("signed on elsewhere", elsewhere=True)
    code = number(values.get(0x08)) or number(values.get(0x09))
    return SignedOff("the server signed us off" + (f" (code {code:02X})" if code else ""))


def _code_of(error: Snac) -> int:
    try:
        return messages.read_error(error.body)[0]
    except PayloadInvalid:
        return 0
