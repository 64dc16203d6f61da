"""People who talk to the bot: signed DingTalk callbacks at a Poisson rate, with duplicates, replays and retries."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass

import aiohttp

from emulators.dingtalk.callbacks import Callback, Post, build
from tests.chaos.history import marker
from tests.chaos.journal import Journal, now_ms

POST_TIMEOUT_S = 5.0  # the platform's patience
RETRY_S = (0.2, 1.0)
REPLAY_S = (2.0, 12.0)
#: in every so-manieth conversation nobody waits for an acknowledgement, so only the database knows the order
HASTY_EVERY = 5


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is said, and how well-behaved the platform is."""

    messages: int  #: at least; more while the nemesis is still at work, but not more than three times as many
    rate: float  #: messages per second
    conversations: int = 40
    duplicates: float = 0.05
    replays: float = 0.02
    patience_s: float = 60.0  #: after this long without a 200 a message is given up: the checker complains


class Generator:
    """Posts the plan's messages until there is enough; `run` returns when each is acknowledged or given up."""

    def __init__(
        self, plan: Plan, *, url: str, secret: str, emulator_url: str, journal: Journal, chance: random.Random
    ) -> None:
        self._plan = plan
        self._url = url
        self._secret = secret
        self._emulator_url = emulator_url
        self._journal = journal
        self._chance = chance
        self.enough = asyncio.Event()
        self._later: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        plan = self._plan
        lines: list[asyncio.Queue[int | None]] = [asyncio.Queue() for _ in range(plan.conversations)]
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=POST_TIMEOUT_S)
        ) as http:
            talks = [asyncio.create_task(self._talk(http, n, line)) for n, line in enumerate(lines)]
            said = [0] * plan.conversations
            due = time.monotonic()
            for count in range(3 * plan.messages):
                if count >= plan.messages and self.enough.is_set():
                    break
                due += self._chance.expovariate(plan.rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                who = self._chance.randrange(plan.conversations)
                said[who] += 1
                lines[who].put_nowait(said[who])
            for line in lines:
                line.put_nowait(None)
            await asyncio.gather(*talks)
            while self._later:
                await asyncio.gather(*self._later)

    async def _talk(self, http: aiohttp.ClientSession, who: int, line: asyncio.Queue[int | None]) -> None:
        hasty = who % HASTY_EVERY == HASTY_EVERY - 1
        while (number := await line.get()) is not None:
            if hasty:
                self._in_background(self._say(http, who, number, ordered=False))
            else:
                await self._say(http, who, number, ordered=True)

    async def _say(self, http: aiohttp.ClientSession, who: int, number: int, *, ordered: bool) -> None:
        word = marker(who, number)
        callback = Callback(text=f"please repeat {word}", user=f"user{who:02}", conversation=f"cid{who:02}==")
        post = build(callback, secret=self._secret, emulator_url=self._emulator_url)
        self._journal.note(
            "say", msg_id=post.msg_id, conversation=post.conversation, number=number, marker=word, ordered=ordered
        )
        dice = self._chance.random()
        if dice < self._plan.duplicates / 2:
            await asyncio.gather(self._until_taken(http, post), self._once(http, post, "duplicate"))
        else:
            await self._until_taken(http, post)
            if dice < self._plan.duplicates:
                await self._once(http, post, "duplicate")
        if self._chance.random() < self._plan.replays:
            self._in_background(self._replay(http, post))

    async def _until_taken(self, http: aiohttp.ClientSession, post: Post) -> None:
        """The platform's own behaviour: the same again until somebody says 200."""
        until = time.monotonic() + self._plan.patience_s
        kind = "first"
        while not await self._once(http, post, kind) and time.monotonic() < until:
            kind = "retry"
            await asyncio.sleep(self._chance.uniform(*RETRY_S))

    async def _replay(self, http: aiohttp.ClientSession, post: Post) -> None:
        await asyncio.sleep(self._chance.uniform(*REPLAY_S))
        await self._once(http, post, "replay")

    async def _once(self, http: aiohttp.ClientSession, post: Post, kind: str) -> bool:
        began = now_ms()
        status = 0
        try:
            async with http.post(self._url, data=post.body, headers=post.headers) as response:
                status = response.status
                await response.read()
        except (aiohttp.ClientError, TimeoutError):
            status = 0
        self._journal.note("post", msg_id=post.msg_id, kind=kind, status=status, ms=now_ms() - began)
        return status == 200

    def _in_background(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)
