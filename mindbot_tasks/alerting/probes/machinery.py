"""Probes of what MindBot runs on: machine, database, Redis, queues, workers, beat, Flower, vector store, web."""

from __future__ import annotations

import os
import socket
from typing import Any

import psutil
import redis

from mindbot_tasks.alerting.probes.context import Context, found, timed
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.core.http import get_http, refuse
from mindbot_tasks.core.settings import Settings
from mindbot_tasks.knowledge.chroma import get_chroma
from mindbot_tasks.stores import health, workers
from mindbot_tasks.stores.alert_probes import Finding
from mindbot_tasks.stores.database import get_engine, reading
from mindbot_tasks.stores.redis import get_redis

#: without these no message goes all the way
NEEDED = ("classify", "generate", "reply")
_CPU_S = 0.5


def machine(context: Context) -> Finding:
    """Processor, memory and disk of the machine that this worker runs on."""
    host = socket.gethostname()
    home = context.settings.home
    disk = psutil.disk_usage(str(home if home.exists() else home.anchor or "/"))
    return Finding(
        True,
        readings={
            "cpu_usage": {host: psutil.cpu_percent(interval=_CPU_S) / 100},
            "memory_usage": {host: psutil.virtual_memory().percent / 100},
            "disk_usage": {host: disk.percent / 100},
            "disk_free": {host: float(disk.free)},
        },
    )


def database(_context: Context) -> Finding:
    """How long one statement takes, and how many connections of this worker are in use."""

    def ask() -> None:
        with reading() as connection:
            workers.database_time(connection)

    call = timed(ask)
    return found(
        call,
        {
            "database_up": float(call.ok),
            "database_response_time": call.took_ms if call.ok else None,
            "database_pool_usage": _pool_usage(get_engine().pool),
        },
    )


def _pool_usage(pool: Any) -> float | None:
    """None: this kind of pool has no limit."""
    if not hasattr(pool, "checkedout") or not hasattr(pool, "size"):
        return None
    most = pool.size() + max(0, getattr(pool, "_max_overflow", 0))
    return float(pool.checkedout() / most) if most else None


def redis_server(_context: Context) -> Finding:
    """Whether Redis answers, and how full it is."""
    told: dict[str, Any] = {}

    def ask() -> None:
        try:
            told.update(get_redis().info("memory"))
        except redis.RedisError as exc:
            raise Unavailable(type(exc).__name__, kind="connection") from None

    call = timed(ask)
    most = float(told.get("maxmemory") or 0)
    return found(call, {"redis_memory_usage": float(told["used_memory"]) / most if most else None})


def queues(_context: Context) -> Finding:
    """What the ledger knows of queues, workers and sweeps."""
    with reading() as connection:
        seen = health.snapshot(connection)
        beat_ms = workers.duty_age_ms(connection, "beat")
    return Finding(
        True,
        readings={
            "queue_age": max(0.0, seen.oldest_unstarted_s or 0.0),
            "unfinished_messages": float(sum(seen.unfinished.values())),
            "workers": float(seen.workers),
            "unserved_queues": float(len(set(NEEDED) - seen.served)),
            "beat_age": None if beat_ms is None else max(0.0, beat_ms / 1000),
            # of a queue that nobody serves the rule no_worker speaks
            "queue_canary_age": {
                queue: max(0.0, age_s) for queue, age_s in seen.canary_age_s.items() if queue in seen.served
            },
        },
    )


def flower_url(settings: Settings) -> str:
    """Where Flower is, "" if nobody said."""
    port = os.environ.get("FLOWER_PORT", "")
    return settings.web.flower_url or (f"http://127.0.0.1:{port}" if port.isdigit() and int(port) else "")


def flower(context: Context) -> Finding:
    """Whether it answers; that it asks for a password is an answer."""
    return _http(context, flower_url(context.settings), "flower_up", fine=(401, 403))


def vector_store(context: Context) -> Finding:
    """Whether Chroma answers. Without it passages are still found by their words."""

    def ask() -> None:
        if not get_chroma(context.settings).is_up(context.deadline):
            raise Unavailable("no heartbeat", kind="connection")

    call = timed(ask)
    return found(call, {"vector_store_up": float(call.ok)})


def web(context: Context) -> Finding:
    """Whether the web side says that it lives."""
    manager = context.settings.alert_manager
    assert manager is not None  # noqa: S101
    return _http(context, manager.watch_web, "web_up")


def _http(context: Context, url: str, metric: str, fine: tuple[int, ...] = ()) -> Finding:
    def ask() -> None:
        response = get_http().request("GET", url, deadline=context.deadline)
        if not response.ok and response.status not in fine and not 300 <= response.status < 400:
            refuse(response)

    call = timed(ask)
    return found(call, {metric: float(call.ok)})
