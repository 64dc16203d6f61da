"""People who talk to the bot on every platform, at a Poisson rate, with duplicates, replays and retries."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass

import aiohttp

from tests.chaos.history import Platform, marker
from tests.chaos.journal import Journal, now_ms
from tests.chaos.voices import Utterance, Voice

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
    """Says the plan's messages until there is enough; `run` returns when each is acknowledged or given up."""

    def __init__(
        self, plan: Plan, *, voices: Mapping[Platform, Voice], journal: Journal, chance: random.Random
    ) -> None:
        self._plan = plan
        self._voices = list(voices.items())
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
            for _, voice in self._voices:
                until = time.monotonic() + plan.patience_s
                while not await voice.finish(http):
                    if time.monotonic() > until:
                        break
                    await asyncio.sleep(RETRY_S[1])

    async def _talk(self, http: aiohttp.ClientSession, who: int, line: asyncio.Queue[int | None]) -> None:
        hasty = who % HASTY_EVERY == HASTY_EVERY - 1
        while (number := await line.get()) is not None:
            if hasty:
                self._in_background(self._say(http, who, number, ordered=False))
            else:
                await self._say(http, who, number, ordered=True)

    async def _say(self, http: aiohttp.ClientSession, who: int, number: int, *, ordered: bool) -> None:
        word = marker(who, number)
        platform, voice = self._voices[who % len(self._voices)]
        said = await voice.begin(http, who, f"please repeat {word}")
        self._journal.note(
            "say", msg_id=said.msg_id, conversation=said.conversation, number=number, marker=word,
            ordered=ordered, platform=platform,
        )  # fmt: skip
        if said.event == "bell":  # the feed has it, whoever hears the bell
            self._journal.note("post", msg_id=said.msg_id, kind="feed", status=200, ms=0)
        dice = self._chance.random() if said.repeats else 1.0
        if dice < self._plan.duplicates / 2:
            await asyncio.gather(self._until_taken(said), self._once(said, "duplicate"))
        else:
            await self._until_taken(said)
            if dice < self._plan.duplicates:
                await self._once(said, "duplicate")
        if said.repeats and self._chance.random() < self._plan.replays:
            self._in_background(self._replay(said))

    async def _until_taken(self, said: Utterance) -> None:
        """The platform's own behaviour: the same again until somebody says 200."""
        until = time.monotonic() + self._plan.patience_s
        kind = "first"
        while not await self._once(said, kind) and time.monotonic() < until:
            kind = "retry"
            await asyncio.sleep(self._chance.uniform(*RETRY_S))
        if said.taken is not None:
            await said.taken(max(0.0, until - time.monotonic()))

    async def _replay(self, said: Utterance) -> None:
        await asyncio.sleep(self._chance.uniform(*REPLAY_S))
        await self._once(said, "replay")

    async def _once(self, said: Utterance, kind: str) -> bool:
        began = now_ms()
        status = await said.once()
        self._journal.note(said.event, msg_id=said.msg_id, kind=kind, status=status, ms=now_ms() - began)
        return status == 200

    def _in_background(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._later.add(task)
        task.add_done_callback(self._later.discard)
