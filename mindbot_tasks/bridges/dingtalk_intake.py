"""From frames to the ledger: messages in the order in which they came, acknowledged once they are committed.

One task records whatever has come, over all connections of a bot, batch by batch: so nothing overtakes, and a burst
costs few commits. While the database is away frames wait here, unacknowledged; after `HOLD_S` they are let go, and the
platform delivers them once more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import orjson
import structlog

from mindbot_tasks import intake
from mindbot_tasks.bridges import dingtalk_frames as frames
from mindbot_tasks.bridges.dingtalk_frames import Frame
from mindbot_tasks.core import telemetry
from mindbot_tasks.core.clock import now_ms
from mindbot_tasks.core.errors import DatabaseUnavailable, PayloadInvalid
from mindbot_tasks.core.metrics import BRIDGE_FRAMES
from mindbot_tasks.model.message import Message
from mindbot_tasks.platforms.base import BringsNews, Inbound, Platform

log = structlog.get_logger(__name__)

#: users report that an unacknowledged message comes again after 60 s
HOLD_S: Final = 55.0
RETRY_S: Final = 1.0
#: DingTalk waits two seconds for the answer to a pressed button
CARD_S: Final = 1.5
BATCH: Final = 50
#: more than this is not taken up: it comes again
MOST_WAITING: Final = 5_000

Answer = Callable[[str], Awaitable[None]]


@dataclass(slots=True)
class _Waiting:
    """A message on its way into the ledger."""

    message: Message
    frame: Frame
    answer: Answer
    since: float


class Intake:
    """What one bot hears over all its connections."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._queue: asyncio.Queue[_Waiting] = asyncio.Queue()
        self._unfinished = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="frames")
        self._cards: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Record what comes until cancelled."""
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            # two connections may hand over in one turn of the loop what the platform sent one after the other
            batch.sort(key=lambda each: each.message.sent_at_ms or 0)
            try:
                await self._record(batch)
            finally:
                self._done(len(batch))

    async def settled(self, within_s: float) -> bool:
        """True as soon as all that has come is recorded and acknowledged; False if that takes longer."""
        try:
            await asyncio.wait_for(self._idle.wait(), within_s)
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def take(self, frame: Frame, answer: Answer) -> None:
        """One CALLBACK or EVENT frame; `answer` sends the acknowledgement, now or later."""
        if frame.type == "EVENT":
            _count(frame, "ignored")
            await answer(frames.acknowledge(frame, {"status": "SUCCESS", "message": "not used"}))
        elif frame.topic == frames.ROBOT:
            await self._take_message(frame, answer)
        elif frame.topic == frames.CARD:
            self._unfinished += 1
            self._idle.clear()
            task = asyncio.get_running_loop().create_task(self._take_card(frame, answer))
            self._cards.add(task)
            task.add_done_callback(self._card_done)
        else:
            log.warning("stream_topic_unknown", topic=frame.topic[:80], bot=self._platform.bot)
            _count(frame, "unknown")
            await answer(frames.acknowledge(frame, {"response": None}, frames.NO_HANDLER))

    async def _take_message(self, frame: Frame, answer: Answer) -> None:
        try:
            messages = self._platform.parse(_inbound(frame))
        except PayloadInvalid as exc:
            log.warning("stream_frame_unreadable", reason=str(exc), bot=self._platform.bot)
            _count(frame, "invalid")
            await answer(frames.acknowledge(frame, {"response": None}, frames.UNREADABLE))
            return
        if not messages:
            _count(frame, "empty")
            await answer(frames.acknowledge(frame, {"response": None}))
            return
        if self._unfinished >= MOST_WAITING:
            _count(frame, "too_many")
            return
        self._unfinished += 1
        self._idle.clear()
        self._queue.put_nowait(_Waiting(messages[0], frame, answer, time.monotonic()))

    async def _record(self, batch: Sequence[_Waiting]) -> None:
        waiting = list(batch)
        while waiting:
            try:
                await self._in_thread(self._receive, waiting)
            except DatabaseUnavailable as exc:
                log.warning("stream_messages_wait", count=len(waiting), reason=str(exc), bot=self._platform.bot)
                await asyncio.sleep(RETRY_S)
                waiting = [each for each in waiting if self._still_holds(each)]
            except Exception:
                if len(waiting) > 1:  # one of them is to blame; it must not take the others along
                    for each in waiting:
                        await self._record([each])
                else:
                    log.exception("stream_message_not_recorded", bot=self._platform.bot)
                    _count(waiting[0].frame, "failed")
                return
            else:
                for each in waiting:
                    _count(each.frame, "recorded")
                    await each.answer(frames.acknowledge(each.frame, {"response": None}))
                return

    @staticmethod
    def _receive(waiting: Sequence[_Waiting]) -> None:
        waited_s = time.monotonic() - min(each.since for each in waiting)
        with telemetry.arriving(
            "receive dingtalk", "consumer", {"network.protocol.name": "websocket"}, waited_s=waited_s
        ):
            intake.receive([each.message for each in waiting])

    def _still_holds(self, waiting: _Waiting) -> bool:
        if time.monotonic() - waiting.since < HOLD_S:
            return True
        _count(waiting.frame, "let_go")
        return False

    async def _take_card(self, frame: Frame, answer: Answer) -> None:
        """Somebody pressed a button: what the card shall look like goes back within two seconds."""
        inbound = _inbound(frame)
        storing = asyncio.ensure_future(self._store(inbound))
        response: Any = {}
        try:
            if await asyncio.wait_for(asyncio.shield(storing), CARD_S):
                response = orjson.loads(self._platform.acknowledge(inbound, []).body or b"{}")
        except (TimeoutError, orjson.JSONDecodeError) as exc:
            log.warning("stream_card_answer_empty", reason=type(exc).__name__, bot=self._platform.bot)
        await answer(frames.acknowledge(frame, {"response": response}))
        _count(frame, "recorded" if await storing else "failed")

    async def _store(self, inbound: Inbound) -> bool:
        """Whether the news of this call is in the ledger now; while the database is away, tries for a while."""
        give_up_at = time.monotonic() + HOLD_S
        while True:
            try:
                await self._in_thread(self._store_news, inbound)
            except PayloadInvalid as exc:
                log.warning("stream_frame_unreadable", reason=str(exc), bot=self._platform.bot)
                return False
            except DatabaseUnavailable as exc:
                if time.monotonic() > give_up_at:
                    log.warning("stream_news_lost", reason=str(exc), bot=self._platform.bot)
                    return False
                await asyncio.sleep(RETRY_S)
            except Exception:
                log.exception("stream_news_lost", bot=self._platform.bot)
                return False
            else:
                return True

    def _store_news(self, inbound: Inbound) -> None:
        if isinstance(self._platform, BringsNews):
            intake.news(self._platform.name, self._platform.bot, self._platform.news(inbound))

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def _card_done(self, task: asyncio.Task[None]) -> None:
        self._cards.discard(task)
        self._done(1)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("stream_card_failed", bot=self._platform.bot, exc_info=exc)

    def _done(self, count: int) -> None:
        self._unfinished -= count
        if not self._unfinished:
            self._idle.set()


def _inbound(frame: Frame) -> Inbound:
    """The same call as it would have come by HTTP. Nobody signed it: the connection itself is proven."""
    return Inbound(
        method="POST",
        headers={"topic": frame.topic},
        query={},
        body=frame.data.encode("utf-8", "surrogatepass"),
        received_at_ms=now_ms(),
    )


def _count(frame: Frame, outcome: str) -> None:
    kind = {frames.ROBOT: "message", frames.CARD: "card"}.get(
        frame.topic, "event" if frame.type == "EVENT" else "other"
    )
    BRIDGE_FRAMES.labels("dingtalk", kind, outcome).inc()
