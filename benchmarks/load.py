"""Signed DingTalk webhooks against a stack, and when their replies came out at the other end."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import orjson

from benchmarks.stack import SECRET, Stack
from emulators.dingtalk.callbacks import Callback, Post, build

USUAL = "How do I reset my badge?"
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Posted:
    """One webhook: when it was due, how long the answer took from then on, and its HTTP status (0: none)."""

    msg_id: str
    due_at_ms: float
    took_ms: float
    status: int


@dataclass(slots=True)
class Run:
    """What became of a load."""

    posted: list[Posted] = field(default_factory=list)
    replied_at_ms: dict[str, float] = field(default_factory=dict)
    started_at_ms: float = 0

    def seconds(self) -> float:
        """From the first webhook to the last reply."""
        return (max(self.replied_at_ms.values()) - self.started_at_ms) / 1000

    def delays_ms(self) -> list[float]:
        """From when each webhook was due to its reply."""
        return [self.replied_at_ms[each.msg_id] - each.due_at_ms for each in self.posted]


class Replies:
    """Follows the emulator's call log: the only witness of what a user would have seen."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._rest = b""
        self.at_ms: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Future[None]] = {}

    def read(self) -> None:
        """Take in what was written since."""
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._offset)
            data = self._rest + log.read()
            self._offset = log.tell()
        *lines, self._rest = data.split(b"\n")
        for line in lines:
            record = orjson.loads(line)
            if record["event"] == "call" and (msg_id := record.get("for_msg_id")) and record["accepted"]:
                self.at_ms[msg_id] = record["at_ms"]
                if waiting := self._waiting.pop(msg_id, None):
                    waiting.set_result(None)

    def wait(self, msg_id: str) -> asyncio.Future[None]:
        """Done when the reply to this message is there."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if msg_id in self.at_ms:
            future.set_result(None)
        else:
            self._waiting[msg_id] = future
        return future

    async def follow(self) -> None:
        while True:
            self.read()
            await asyncio.sleep(0.01)

    async def wait_all(self, wanted: set[str], timeout_s: float) -> None:
        """Raises TimeoutError with how many are missing."""
        until = time.monotonic() + timeout_s
        while missing := len(wanted - self.at_ms.keys()):
            if time.monotonic() > until:
                raise TimeoutError(f"{missing} of {len(wanted)} replies had not come after {timeout_s:.0f} s")
            self.read()
            await asyncio.sleep(0.02)


def prepare(stack: Stack, count: int, conversations: int, text: str = USUAL) -> Iterator[Post]:
    """Signed posts, round and round the conversations."""
    for number in range(count):
        user = f"bench{number % conversations:06d}"
        callback = Callback(text=f"{text} ({next(_numbers)})", user=user)
        yield build(callback, secret=SECRET, emulator_url=stack.dingtalk.url)


def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=15), timeout=aiohttp.ClientTimeout(total=10)
    )


async def _post(session: aiohttp.ClientSession, stack: Stack, post: Post, due_at: float) -> Posted:
    status = 0
    try:
        async with session.post(stack.webhook, data=post.body, headers=post.headers) as response:
            await response.read()
            status = response.status
    except (aiohttp.ClientError, TimeoutError):
        status = 0
    now = time.perf_counter()
    due_at_ms = time.time() * 1000 - (now - due_at) * 1000
    return Posted(post.msg_id, due_at_ms, (now - due_at) * 1000, status)


@contextmanager
def _without_pauses() -> Iterator[None]:
    """Python's search for garbage would stop us for 100 ms in mid-run, and look as if the door were slow."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def at_rate(stack: Stack, per_s: float, seconds: float, conversations: int, *, wait_s: float = 60) -> Run:
    """Open loop: webhooks leave on time, however slow the answers; times count from when each was due."""
    posts = list(prepare(stack, int(per_s * seconds), conversations))
    replies = Replies(stack.replies_log)
    run = Run(started_at_ms=time.time() * 1000)
    with _without_pauses():
        run.posted = await _on_time(stack, posts, per_s)
    if wait_s:
        await replies.wait_all({each.msg_id for each in run.posted if each.status == 200}, wait_s)
    run.replied_at_ms = replies.at_ms
    return run


async def _on_time(stack: Stack, posts: list[Post], per_s: float) -> list[Posted]:
    async with _session() as session:
        begun = time.perf_counter() + 0.05
        tasks = []
        for number, post in enumerate(posts):
            due_at = begun + number / per_s
            if (pause := due_at - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            tasks.append(asyncio.create_task(_post(session, stack, post, due_at)))
        return list(await asyncio.gather(*tasks))


async def backlog(
    stack: Stack, count: int, conversations: int, *, in_flight: int = 16, wait_s: float = 300, text: str = USUAL
) -> Run:
    """All webhooks as fast as they are acknowledged, then wait for the last reply."""
    posts = iter(list(prepare(stack, count, conversations, text)))
    replies = Replies(stack.replies_log)
    run = Run(started_at_ms=time.time() * 1000)

    async def sender(session: aiohttp.ClientSession) -> None:
        for post in posts:
            run.posted.append(await _post(session, stack, post, time.perf_counter()))

    async with _session() as session:
        await asyncio.gather(*(sender(session) for _ in range(in_flight)))
    refused = [each for each in run.posted if each.status != 200]
    if refused:
        raise RuntimeError(f"{len(refused)} webhooks were not acknowledged, the first with {refused[0].status}")
    await replies.wait_all({each.msg_id for each in run.posted}, wait_s)
    run.replied_at_ms = replies.at_ms
    return run


async def one_after_the_other(
    stack: Stack, count: int, conversations: int, *, askers: int = 10, wait_s: float = 60
) -> Run:
    """`askers` people who each wait for their answer before the next question; each keeps to its own conversations."""
    posts = list(prepare(stack, count, conversations))
    replies = Replies(stack.replies_log)
    run = Run(started_at_ms=time.time() * 1000)
    following = asyncio.create_task(replies.follow())

    async def asker(session: aiohttp.ClientSession, mine: list[Post]) -> None:
        for post in mine:
            run.posted.append(await _post(session, stack, post, time.perf_counter()))
            await asyncio.wait_for(replies.wait(post.msg_id), wait_s)

    try:
        async with _session() as session:
            await asyncio.gather(*(asker(session, posts[number::askers]) for number in range(askers)))
    finally:
        following.cancel()
    run.replied_at_ms = replies.at_ms
    return run


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]
