"""A bridge in a thread of the test, with short times, whose messages go into a list instead of a ledger."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import SecretStr

from emulators.running import Emulator
from mindbot_tasks.bridges.dingtalk_intake import Intake
from mindbot_tasks.bridges.dingtalk_link import Times
from mindbot_tasks.bridges.dingtalk_stream import Stream, fetcher
from mindbot_tasks.core.errors import DatabaseUnavailable
from mindbot_tasks.core.http import get_http
from mindbot_tasks.core.settings import DingTalkSettings
from mindbot_tasks.model.message import Message
from mindbot_tasks.platforms.base import Platform
from mindbot_tasks.platforms.dingtalk import DingTalk
from mindbot_tasks.platforms.dingtalk.client import Client
from mindbot_tasks.stores import tokens

T = TypeVar("T")
#: pauses are short; nothing is given up because the machine is slow, unless a test is about giving up
QUICK = Times(
    open_s=30, ping_s=60, pong_s=60, idle_s=600, tick_s=0.05, drain_s=60, steady_s=0.2, first_wait_s=0.05,
    most_wait_s=0.4, settle_s=30,
)  # fmt: skip


def until(found: Callable[[], T], what: str, *, within_s: float = 30) -> T:
    """The first true value. Raises AssertionError after a while."""
    ends_at = time.monotonic() + within_s
    while not (value := found()):
        assert time.monotonic() < ends_at, f"after {within_s} s there is still no {what}"
        time.sleep(0.01)
    return value


class Ledger:
    """What `intake.receive` was given; may be told to fail: for as long as it is away, or once for each trouble."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.trouble: list[Exception] = []
        self.away = False
        self.calls = 0

    @property
    def texts(self) -> list[str]:
        return [message.text for message in self.messages]

    def receive(self, messages: Sequence[Message]) -> list[int]:
        self.calls += 1
        if self.away:
            raise DatabaseUnavailable("away")
        if self.trouble:
            raise self.trouble.pop(0)
        self.messages += messages
        return list(range(len(messages)))


class Said:
    """What the bridge reports."""

    def __init__(self) -> None:
        self.states: list[tuple[str, str]] = []

    def say(self, state: str, detail: str = "") -> None:
        self.states.append((state, detail))

    def heard(self) -> None:
        pass

    @property
    def now(self) -> tuple[str, str]:
        return self.states[-1] if self.states else ("", "")


def settings_for(gateway: Emulator, **changes: Any) -> DingTalkSettings:
    values: dict[str, Any] = {"client_id": "dingapp0001", "client_secret": SecretStr("a-secret"), "mode": "stream",
                              "api_base": gateway.url, "oapi_base": gateway.url}  # fmt: skip
    return DingTalkSettings(**(values | changes))


class Held:
    """A bridge that runs until the end of the `with` block."""

    def __init__(
        self, gateway: Emulator, times: Times = QUICK, *, platform: Platform | None = None, connections: int = 2,
        **changes: Any,
    ) -> None:  # fmt: skip
        self.said = Said()
        self._times = times
        self._connections = connections
        self._settings = settings_for(gateway, **changes)
        self.intake = Intake(
            platform or DingTalk("default", self._settings, Client(self._settings, get_http(), tokens))
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.trouble: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Held:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self.trouble is not None:
            raise self.trouble

    def online(self, detail: str = "2 of 2 connections") -> None:
        until(lambda: self.said.now == ("online", detail), f"connection, but {self.said.states[-5:]}")

    def stop(self) -> float:
        """Ask it to end; seconds until it has."""
        began = time.monotonic()
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(40)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as exc:  # noqa: BLE001 - raised again in the test's own thread
            self.trouble = exc

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        stream = Stream(
            "default", fetcher(self._settings, self._times, self._stop), self.intake, self.said, self._times,
            connections=self._connections,
        )  # fmt: skip
        await stream.run(self._stop)
