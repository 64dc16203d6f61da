"""One trial: start everything, talk and break, wait until all is quiet, then let the checker read the logs."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from emulators.running import running
from tests.chaos import checker, history, report
from tests.chaos.checker import Verdict
from tests.chaos.generator import Generator, Plan
from tests.chaos.history import PLATFORMS, Platform
from tests.chaos.journal import Journal
from tests.chaos.nemesis import CALM_UNTIL_S, Campaign, Nemesis
from tests.chaos.processes import Children
from tests.chaos.stack import AIM_NAME, CARDS_BOT, STREAM_APP, WECOM, Stack, Vendors, new_stack, postgresql
from tests.chaos.voices import Aim, Customers, DingTalk, Stream, Voice, WeCom

Database = Literal["sqlite", "postgresql"]

MODEL_DELAY_MS = 800
#: with so many calls of the model at once each of the two workers has some of them
UNDER_WAY = 6
#: a reply is on its way for this long: the moment in which a kill may double it
PLATFORM_DELAY_MS = 20
#: AIM lets an account send a message every 4.3 s; here, so many times as fast
AIM_HASTE = 50
#: a frame that is not acknowledged comes again after so long; with DingTalk, after 60 s
REDELIVER_S = 3
#: this share of bells is never rung
FORGOTTEN_BELLS = 0.05


@dataclass(frozen=True, slots=True)
class Settings:
    """What a trial is about."""

    database: Database = "sqlite"
    messages: int = 600
    rate: float = 20.0
    kills: int = 12
    seed: int = 1
    conversations: int = 40
    drain_s: float = 60.0  #: after the last fault, everything must be answered within this time
    sweeper: bool = True
    platforms: tuple[Platform, ...] = PLATFORMS
    restart_p99_s: float = checker.RESTART_P99_S


@dataclass(frozen=True, slots=True)
class Logs:
    """The files that the checker reads; those of platforms that took no part are not there."""

    intents: Path
    nemesis: Path
    dingtalk: Path
    model: Path
    wecom: Path
    oscar: Path

    def read(self) -> history.History:
        return history.read(
            intents=self.intents, nemesis=self.nemesis, dingtalk=self.dingtalk, model=self.model, wecom=self.wecom,
            oscar=self.oscar,
        )  # fmt: skip


def logs_in(folder: Path) -> Logs:
    """Of a trial that runs, or ran, there."""
    return Logs(*(folder / f"{name}.jsonl" for name in ("intents", "nemesis", "dingtalk", "model", "wecom", "oscar")))


def run(settings: Settings, folder: Path, database_url: str | None = None) -> Verdict:
    """Run a trial; leaves the logs, `report.json` and `report.txt` in `folder`.

    `database_url` is an empty PostgreSQL database; None: a server of the trial's own, if PostgreSQL is wanted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logs = logs_in(folder)
    asyncio.run(_run(settings, folder, logs, database_url))
    told = logs.read()
    verdict = checker.check(told, restart_p99_s=settings.restart_p99_s)
    report.write(folder, told, verdict)
    return verdict


async def _run(settings: Settings, folder: Path, logs: Logs, database_url: str | None) -> None:
    with contextlib.ExitStack() as held:
        intents = held.enter_context(Journal(logs.intents))
        deeds = held.enter_context(Journal(logs.nemesis))
        deeds.note("settings", settings=asdict(settings))
        vendors = _vendors(held, settings, logs)
        if settings.database == "postgresql" and database_url is None:
            database_url = held.enter_context(postgresql())
        children = held.enter_context(Children(deeds))
        stack = new_stack(folder, database_url, settings.platforms, sweeper=settings.sweeper)
        await stack.start(children, vendors)
        plan = Plan(settings.messages, settings.rate, settings.conversations)
        chance = random.Random(settings.seed)
        generator = Generator(plan, voices=_voices(stack, vendors, logs, chance), journal=intents, chance=chance)
        over_s = max(1.0, settings.messages / settings.rate - CALM_UNTIL_S)
        campaign = Campaign(settings.kills, over_s, settings.seed, settings.platforms)
        nemesis = Nemesis(
            campaign, children, deeds, redis_url=stack.redis_url, redis_folder=stack.redis_folder,
            under_way=lambda: history.open_calls(logs.model) >= UNDER_WAY,
        )  # fmt: skip
        deeds.note("began")
        talk = asyncio.create_task(generator.run())
        await nemesis.run()
        generator.enough.set()
        await talk
        deeds.note("healed")
        await _until_quiet(logs, settings.drain_s)
        deeds.note("quiet")
        await children.stop()


def _vendors(held: contextlib.ExitStack, settings: Settings, logs: Logs) -> Vendors:
    delay = ("--delay-ms", str(PLATFORM_DELAY_MS))
    dingtalk = held.enter_context(running("dingtalk", *delay, log=logs.dingtalk)).control
    dingtalk.call("POST", "/stream/times", {"redeliver_s": REDELIVER_S, "redeliveries": 1000})
    model = held.enter_context(running("openai", "--delay-ms", str(MODEL_DELAY_MS), log=logs.model)).control
    wecom = oscar = None
    if {"wecom", "wecomcs"} & set(settings.platforms):
        wecom = held.enter_context(running("wecom", *delay, log=logs.wecom)).control
        wecom.call("POST", "/people", {"limited": False})
        wecom.call("POST", "/kf/set", {"unbelled_calls": 1_000_000})
    if "aim" in settings.platforms:
        oscar = held.enter_context(running("oscar", *delay, "--haste", str(AIM_HASTE), log=logs.oscar)).control
    return Vendors(dingtalk, model, wecom, oscar)


def _voices(stack: Stack, vendors: Vendors, logs: Logs, chance: random.Random) -> dict[Platform, Voice]:
    dingtalk, secret = vendors.dingtalk.url, stack.secret
    wecom = vendors.wecom.url if vendors.wecom is not None else ""
    oscar = vendors.oscar.url if vendors.oscar is not None else ""
    found: dict[Platform, Voice] = {
        "dingtalk": DingTalk(stack.webhook("dingtalk"), secret, dingtalk),
        "cards": DingTalk(stack.webhook(f"dingtalk/{CARDS_BOT}"), secret, dingtalk, groups=True),
        "wecom": WeCom(stack.webhook("wecom"), WECOM),
        "wecomcs": Customers(stack.webhook("wecomcs"), WECOM, wecom, lambda: chance.random() < FORGOTTEN_BELLS),
        "stream": Stream(STREAM_APP, dingtalk, logs.dingtalk),
        "aim": Aim(AIM_NAME, oscar),
    }
    return {platform: found[platform] for platform in stack.platforms}


async def _until_quiet(logs: Logs, patience_s: float) -> None:
    """Until every message has something to show, or patience ends; then a moment more, for answers nobody waits for."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        so_far = await asyncio.to_thread(lambda: checker.check(logs.read()))
        if not (so_far.lost or so_far.never_acknowledged or so_far.left_hanging):
            break
        await asyncio.sleep(1)
    await asyncio.sleep(2)
