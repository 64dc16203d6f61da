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
from tests.chaos.journal import Journal
from tests.chaos.nemesis import CALM_UNTIL_S, Campaign, Nemesis
from tests.chaos.processes import Children
from tests.chaos.stack import new_stack, postgresql

Database = Literal["sqlite", "postgresql"]

MODEL_DELAY_MS = 800
#: a reply is on its way for this long: the moment in which a kill may double it
PLATFORM_DELAY_MS = 20


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


@dataclass(frozen=True, slots=True)
class Logs:
    """The four files that the checker reads."""

    intents: Path
    nemesis: Path
    dingtalk: Path
    model: Path

    def read(self) -> history.History:
        return history.read(intents=self.intents, nemesis=self.nemesis, dingtalk=self.dingtalk, model=self.model)


def logs_in(folder: Path) -> Logs:
    """Of a trial that runs, or ran, there."""
    return Logs(*(folder / f"{name}.jsonl" for name in ("intents", "nemesis", "dingtalk", "model")))


def run(settings: Settings, folder: Path, database_url: str | None = None) -> Verdict:
    """Run a trial; leaves the logs, `report.json` and `report.txt` in `folder`.

    `database_url` is an empty PostgreSQL database; None: a server of the trial's own, if PostgreSQL is wanted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    logs = logs_in(folder)
    asyncio.run(_run(settings, folder, logs, database_url))
    told = logs.read()
    verdict = checker.check(told)
    report.write(folder, told, verdict)
    return verdict


async def _run(settings: Settings, folder: Path, logs: Logs, database_url: str | None) -> None:
    with contextlib.ExitStack() as held:
        intents = held.enter_context(Journal(logs.intents))
        deeds = held.enter_context(Journal(logs.nemesis))
        deeds.note("settings", settings=asdict(settings))
        dingtalk = held.enter_context(running("dingtalk", "--delay-ms", str(PLATFORM_DELAY_MS), log=logs.dingtalk))
        model = held.enter_context(running("openai", "--delay-ms", str(MODEL_DELAY_MS), log=logs.model))
        if settings.database == "postgresql" and database_url is None:
            database_url = held.enter_context(postgresql())
        children = held.enter_context(Children(deeds))
        stack = new_stack(folder, database_url, sweeper=settings.sweeper)
        await stack.start(children, dingtalk_url=dingtalk.url, model_url=model.url)
        plan = Plan(settings.messages, settings.rate, settings.conversations)
        generator = Generator(
            plan, url=stack.webhook, secret=stack.secret, emulator_url=dingtalk.url, journal=intents,
            chance=random.Random(settings.seed),
        )  # fmt: skip
        campaign = Campaign(settings.kills, max(1.0, settings.messages / settings.rate - CALM_UNTIL_S), settings.seed)
        nemesis = Nemesis(campaign, children, deeds, redis_url=stack.redis_url, redis_folder=stack.redis_folder)
        deeds.note("began")
        talk = asyncio.create_task(generator.run())
        await nemesis.run()
        generator.enough.set()
        await talk
        deeds.note("healed")
        await _until_quiet(logs, settings.drain_s)
        deeds.note("quiet")
        await children.stop()


async def _until_quiet(logs: Logs, patience_s: float) -> None:
    """Until every message has something to show, or patience ends; then a moment more, for answers nobody waits for."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        told = await asyncio.to_thread(logs.read)
        shown = {one.msg_id for one in told.shown}
        if all(said.msg_id in shown for said in told.said if said.acknowledged_ms is not None):
            break
        await asyncio.sleep(0.5)
    await asyncio.sleep(2)
