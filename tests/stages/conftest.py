"""This process as a worker: settings, a ledger on each database, Redis, and a platform that does as it is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kombu import pools
from pydantic import SecretStr
from sqlalchemy import Engine, update

from emulators.running import Emulator
from mindbot_tasks import admission, chains, intake, presence
from mindbot_tasks.app import app
from mindbot_tasks.core import shutdown
from mindbot_tasks.core.settings import Settings, reset_settings
from mindbot_tasks.llm.agent import models
from mindbot_tasks.llm.dify import modes
from mindbot_tasks.model.message import Stage
from mindbot_tasks.platforms import registry
from mindbot_tasks.presence import Presence
from mindbot_tasks.stores import cancelling, database, inbox, limiter, people, quota, trace
from mindbot_tasks.stores import redis as redis_store
from mindbot_tasks.stores.database import forget_engine, get_engine, one_statement, reading
from mindbot_tasks.stores.tables import MessageRow
from mindbot_tasks.stores.trace import Trace
from tests.emulated import dify_process, fresh, logs, openai_process
from tests.stages.stooge import Stooge
from tests.stores.words import message

__all__ = ["dify_process", "logs", "openai_process"]

Configure = Callable[..., Settings]


def _forget() -> None:
    if presence.get_presence.cache_info().currsize:
        there = presence.get_presence()
        there.leave()
        there._thread.join(60)  # it must not go on in the database of another test
    presence.forget_presence()
    shutdown.forget()
    reset_settings()
    redis_store.get_redis.cache_clear()
    registry.get.cache_clear()
    forget_engine(close=True)
    inbox.forget_known()
    limiter.local.__init__()  # type: ignore[misc]
    quota.forget()
    people.forget()
    admission.loops.forget()
    cancelling.here.forget()
    for holdoff in (chains._broker, intake._database):
        holdoff.worked()


def _forget_broker() -> None:
    pools.reset()
    vars(app)["_pool"] = None
    vars(app.amqp)["_producer_pool"] = None


@pytest.fixture
def configure(database_url: str, redis_url: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Make these the settings of this process; call it again to change them."""
    # a slow machine is no database that is away; but less than a worker's patience, as where somebody waits
    monkeypatch.setattr(database, "_PATIENCE_S", 60.0)
    monkeypatch.setattr(database, "_patience_s", 50.0)
    monkeypatch.setenv("CELERY_BROKER_URL", redis_url)

    def make(**changes: Any) -> Settings:
        values: dict[str, Any] = {
            "home": tmp_path,
            "redis_url": SecretStr(redis_url),
            "database_url": SecretStr(database_url),
        }
        settings = Settings(**(values | changes))
        monkeypatch.setattr("mindbot_tasks.core.settings.load.load", lambda *_, **__: settings)
        # only now: a thread that is left of the test before may have asked for any of them in the meantime
        reset_settings()
        registry.get.cache_clear()
        redis_store.get_redis.cache_clear()
        forget_engine(close=True)
        return settings

    _forget()
    _forget_broker()
    make()
    yield make
    _forget()
    _forget_broker()


@pytest.fixture
def stooge(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> Stooge:
    """A platform named "stooge"."""
    it = Stooge()
    monkeypatch.setitem(registry.FACTORIES, "stooge", lambda bot, _settings: it if bot == "default" else None)
    return it


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, Stage]]:
    """The chains that were started, in place of the broker's queues."""
    chains_started: list[tuple[int, Stage]] = []

    def start(
        message_id: int,
        stage: Stage = Stage.CLASSIFY,
        reply_queue: str = "reply",
        *,
        delay_s: float = 0.0,
        generate_queue: str = "",
        alone: bool = False,
    ) -> bool:
        chains_started.append((message_id, stage))
        return True

    monkeypatch.setattr(chains, "start", start)
    return chains_started


def without_pulse(here: Presence) -> Presence:
    """Its thread has ended: it lives as often as a test says `_beat()`, and only then."""
    here._stop.set()
    here._endings.wake()
    here._thread.join(60)
    assert not here._thread.is_alive()
    if here._id is not None:
        here._beat()
    return here


class Ledger:
    """Messages of the platform that does as it is told, and what is known about them."""

    def __init__(self, stooge: Stooge) -> None:
        self.stooge = stooge

    @property
    def engine(self) -> Engine:
        return get_engine()

    def receive(self, text: str = "what is 6*7?", **fields: Any) -> int:
        return intake.receive([message(platform="stooge", text=text, **fields)])[0]

    def told(self, message_id: int) -> Trace:
        with reading() as connection:
            found = trace.get_trace(connection, message_id)
        assert found is not None
        return found

    def state(self, message_id: int) -> str:
        return str(self.told(message_id).message["state"])

    def run(self, message_id: int, *stages: Stage) -> str:
        """Run these stages here, one after the other; returns how the last one ended, as Celery sees it."""
        ended = ""
        for stage in stages:
            ended = app.tasks[f"mindbot.{stage}"].apply(args=(message_id,)).state
        return ended

    def say(self, text: str, **fields: Any) -> str:
        """Say something and let all stages do their work; returns what is shown then."""
        message_id = self.receive(text, **fields)
        shown = len(self.stooge.shown)
        self.run(message_id, Stage.CLASSIFY)
        if self.state(message_id) == "classified":
            self.run(message_id, Stage.GENERATE)
        self.run(message_id, Stage.REPLY)
        return "\n\n".join(self.stooge.shown[shown:])

    def change(self, message_id: int, **values: Any) -> None:
        with one_statement() as connection:
            connection.execute(update(MessageRow).where(MessageRow.id == message_id).values(**values))

    def awaken(self, message_id: int) -> None:
        """Whatever it waits for has come."""
        self.change(message_id, not_before=None)


@pytest.fixture
def ledger(stooge: Stooge, started: list[tuple[int, Stage]]) -> Ledger:
    app.loader.import_default_modules()
    return Ledger(stooge)


@pytest.fixture
def openai(openai_process: Emulator) -> Iterator[Emulator]:
    yield fresh(openai_process)
    models.forget()


@pytest.fixture
def dify(dify_process: Emulator) -> Emulator:
    modes.forget()
    return fresh(dify_process)
