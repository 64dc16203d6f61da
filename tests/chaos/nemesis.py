"""Breaks things, by a recorded seed: kills any process, empties or freezes Redis, stops workers in good order."""

from __future__ import annotations

import asyncio
import random
import shutil
import signal
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.chaos.history import KILLS, Platform
from tests.chaos.journal import Journal, now_ms
from tests.chaos.processes import Children

FREEZE_S = (1.0, 5.0)
#: this share of kills hits a process that is still starting
EARLY_KILLS = 0.1
#: a role that does not come back within this time is left for another
PATIENCE_S = 15.0

Deed = tuple[str, str]

#: the first kill, once answers are under way; nothing else breaks until they must have been taken up again
CALM: Deed = ("sigkill", "generate")
CALM_FROM_S, CALM_UNTIL_S = 2.0, 15.0
#: a machine that needs longer to get so far is not waited for
UNDER_WAY_WITHIN_S = 30.0

#: one deck: every kind comes up before any comes up again
_DECK: tuple[Deed, ...] = (
    ("sigkill", "fast"),
    ("sigkill", "generate"),
    ("sigkill", "upkeep"),
    ("sigkill", "web"),
    ("sigkill", "generate2"),
    ("sigkill", "beat"),
    ("redis_kill", "redis"),
    ("sigkill", "fast"),
    ("sigkill", "generate"),
    ("redis_wipe", "redis"),
    ("sigkill", "generate2"),
    ("sigkill", "generate"),
    ("flush", "redis"),
    ("freeze", "redis"),
    ("drain", "generate"),
    ("drain", "fast"),
)
#: in the deck where the platform takes part: what holds its connection
_BRIDGES: dict[Platform, tuple[Deed, ...]] = {
    "stream": (("sigkill", "stream"), ("sigkill", "stream"), ("drain", "stream")),
    "aim": (("sigkill", "aim"), ("sigkill", "aim"), ("drain", "aim")),
}


@dataclass(frozen=True, slots=True)
class Campaign:
    """How much is broken, and over how long."""

    kills: int
    over_s: float  #: for those after the first
    seed: int
    platforms: Collection[Platform] = ()


def deck(platforms: Collection[Platform]) -> tuple[Deed, ...]:
    """Every kind of deed where these platforms are served."""
    return _DECK + tuple(deed for platform, more in _BRIDGES.items() if platform in platforms for deed in more)


def deeds(chance: random.Random, platforms: Collection[Platform] = ()) -> Iterator[Deed]:
    """What to do, for ever."""
    cards = deck(platforms)
    while True:
        yield from chance.sample(cards, len(cards))


class Nemesis:
    """Does a campaign's deeds to processes of `children`; `run` returns when the last kill is done."""

    def __init__(
        self, campaign: Campaign, children: Children, journal: Journal, *, redis_url: str, redis_folder: Path,
        under_way: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._campaign = campaign
        self._children = children
        self._journal = journal
        self._redis_url = redis_url
        self._redis_folder = redis_folder
        self._under_way = under_way  #: whether every worker that answers has calls of the model to lose
        self._chance = random.Random(campaign.seed)

    async def run(self) -> None:
        if not self._campaign.kills:
            return
        await asyncio.sleep(CALM_FROM_S)
        until = time.monotonic() + UNDER_WAY_WITHIN_S
        while time.monotonic() < until:
            if await asyncio.to_thread(self._under_way):
                break
            await asyncio.sleep(0.1)
        began = time.monotonic() + CALM_UNTIL_S - CALM_FROM_S
        await self._do(*CALM)
        done = 1
        for kind, target in deeds(self._chance, self._campaign.platforms):
            if done >= self._campaign.kills:
                return
            kill = kind in KILLS
            # what is not a kill comes between two kills and does not change their pace
            due = began + self._campaign.over_s * (done - 1 + (self._chance.uniform(0, 0.8) if kill else 0.3)) / max(
                1, self._campaign.kills
            )
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if await self._worth(target):
                await self._do(kind, target)
                done += kill

    async def _worth(self, target: str) -> bool:
        """Wait until the target serves, or at least runs; False when it does not come back for long."""
        until = time.monotonic() + PATIENCE_S
        early = self._chance.random() < EARLY_KILLS
        child = self._children[target]
        while child.pid is None if early else not child.serves():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(0.1)
        return True

    async def _do(self, kind: str, target: str) -> None:
        at_ms = now_ms()
        group = self._children[target].pid
        actions: dict[str, Callable[[], object]] = {
            "sigkill": lambda: self._children.kill(target),
            "redis_kill": lambda: self._children.kill(target),
            "redis_wipe": self._wipe,
            "flush": self._flush,
            "drain": lambda: self._children.terminate(target),
        }
        if kind == "freeze":
            await self._freeze()
        else:
            actions[kind]()
        self._journal.note("fault", kind=kind, target=target, group=group, at_ms=at_ms, done_ms=now_ms())

    def _wipe(self) -> None:
        self._children.kill("redis")
        shutil.rmtree(self._redis_folder)
        self._redis_folder.mkdir()

    def _flush(self) -> None:
        with redis.Redis.from_url(self._redis_url, socket_timeout=2) as client:
            try:
                client.flushall()
            except redis.RedisError:
                self._journal.note("flush_failed")

    async def _freeze(self) -> None:
        if self._children.signal_group("redis", signal.SIGSTOP) is None:
            return
        try:
            await asyncio.sleep(self._chance.uniform(*FREEZE_S))
        finally:
            self._children.signal_group("redis", signal.SIGCONT)
